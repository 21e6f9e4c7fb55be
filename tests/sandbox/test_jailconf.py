"""jail.conf(5) as the sandbox reads it."""

import pytest

from reconciler.hosts.sandbox.jailconf import ConfigError, load


def none(pattern: str) -> list[tuple[str, str]]:
    raise FileNotFoundError(2, "No such file or directory", pattern)


CASES = [
    ("comments of all kinds", "# a\n// b\n/* c\n */ j { path = /x; }", {"path": ["/x"]}),
    ("a later entry wins", "path = /a; j { path = /b; }", {"path": ["/b"]}),
    ("a wildcard block counts in its place", "j { path = /a; } * { path = /b; }", {"path": ["/b"]}),
    ("appended values", 'j { exec.start = "a"; exec.start += "b c"; }', {"exec.start": ["a", "b c"]}),
    ("several values", "j { ip4.addr = 10.0.0.1, 10.0.0.2; }", {"ip4.addr": ["10.0.0.1", "10.0.0.2"]}),
    ("the jail's own name", 'j { path = "/jails/$name"; host.hostname = ${name}.x; }',
     {"path": ["/jails/j"], "host.hostname": ["j.x"]}),
    ("variables", '$top = /t; j { path = "$top/$name"; }', {"path": ["/t/j"]}),
    ("variables of variables", "$a = 1; $b = ${a}2; j { path = /$b; }", {"path": ["/12"]}),
    ("nothing is filled in between single quotes", "j { exec.start = 'echo $name'; }", {"exec.start": ["echo $name"]}),
    ("escapes", 'j { exec.start = "echo \\$x \\"y\\""; }', {"exec.start": ['echo $x "y"']}),
    ("bare names", "j { persist; allow.mount; }", {"persist": None, "allow.mount": None}),
    ("a negation replaces", "allow.mount; j { allow.nomount; }", {"allow.nomount": None}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_parameters_are_read(text: str, wanted: dict[str, list[str] | None]) -> None:
    (jail,) = load("f", text, none)
    assert jail.params == wanted


ERRORS = [
    ("j { path = /x", "f: unexpected EOF"),
    ('j { path = "/x; }', "f: unexpected EOF"),
    ("j { bogus.thing = 1; }", "j: unknown parameter: bogus.thing"),
    ("j { path = $nosuch; }", 'j: variable "nosuch" not found'),
    ("$a = $b; $b = $a; j { path = $a; }", "j: variable loop: a"),
    ("j { path /x; }", "f line 1: syntax error: /x"),
    ('.include "/no/such";', "/no/such: No such file or directory"),
]


@pytest.mark.parametrize(("text", "words"), ERRORS, ids=[words for _, words in ERRORS])
def test_what_is_wrong_is_said_as_jail_says_it(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("f", text, none)
    assert str(caught.value) == words


def test_includes_are_read_in_place() -> None:
    jails = load("f", '.include "/d/*.conf"; b { path = /b; }', lambda _: [("/d/a.conf", "a { path = /a; }")])
    assert [jail.name for jail in jails] == ["a", "b"]
