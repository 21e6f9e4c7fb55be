"""Each OPTION is the spec's, so in any case, or not available; and says so."""

import pytest

from reconciler.makejail.program import compile_text
from reconciler.makejail.wishes import TABLE, Meaning, Wishes, conflicts, wishes

OPTIONS = """\
ARG port=8080
OPTION start
OPTION overwrite=force
OPTION osversion=15.1-RELEASE
OPTION noboot
OPTION boot
OPTION label=team:web
OPTION meta=owner:ops
OPTION limits=memoryuse:deny=512M descr:small
OPTION volume=data mountpoint:/srv owner:80
OPTION volume=cache
OPTION device=path 'bpf*' unhide
OPTION depend=db
OPTION ip4_inherit
OPTION expose=$port:80 proto:tcp
"""


def wished(text: str) -> tuple[Wishes, list[tuple[str, int]]]:
    """The wishes of a Makejail, and the codes and lines of what is said about them."""
    found, diagnostics = wishes(compile_text(text).options)
    return found, [(one.code, one.span.line if one.span else 0) for one in diagnostics]


def test_options_are_read_as_the_spec_would_say_them() -> None:
    found, _ = wished(OPTIONS)
    assert (found.release, found.boot, found.inherit, found.depends_on) == ("15.1-RELEASE", True, True, ("db",))
    assert (found.labels, found.parameters) == ({"team": "web"}, {"meta.owner": "ops"})
    assert (found.limits, found.volumes) == ({"memoryuse:deny": "512M"}, {"data": "/srv", "cache": "/volumes/cache"})
    assert found.devices == ("path bpf* unhide",)
    (expose,) = found.of("expose")
    assert (expose.words, dict(expose.named)) == (("8080:80", "proto:tcp"), {"proto": "tcp"})


def test_an_option_that_is_so_in_any_case_says_nothing() -> None:
    assert wished("OPTION start\nOPTION overwrite=force\nOPTION type=thin\n")[1] == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("OPTION osversion=15.1-RELEASE", "option-in-spec"),
        ("OPTION from=nginx:latest", "option-unavailable"),
        ("OPTION container=boot", "option-unavailable"),
        ("OPTION virtaulnet=:x", "option-unknown"),
        ('OPTION label="a', "tokenizer"),
    ],
)
def test_every_other_option_says_what_becomes_of_it(line: str, code: str) -> None:
    _, said = wished(f"CMD a\n{line}\n")
    assert said == [(code, 2)]


def test_a_wish_that_the_spec_contradicts_is_a_conflict() -> None:
    found, _ = wished(OPTIONS)
    agrees = {"release": "15.1-RELEASE", "boot": True, "labels": {"team": "web"}, "volumes": {"data": "/srv"}}
    assert conflicts(found, agrees) == ()
    differs = {"release": "14.3-RELEASE", "boot": False, "labels": {"team": "db"}, "inherit": False}
    assert [one.code for one in conflicts(found, differs)] == ["option-conflict"] * 4


def test_every_rule_says_what_to_do() -> None:
    assert all(rule.says and bool(rule.field) == (rule.meaning is Meaning.SPEC) for rule in TABLE.values())
