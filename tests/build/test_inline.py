"""A Makejail that stands in the spec itself copies files that lie beside the spec."""

from __future__ import annotations

import pytest

from reconciler.model.command import Command
from reconciler.model.diagnostic import SpecError
from tests.fleet import Fleet, problems

SPEC = """
kind: Jail
name: web
release: 15.1-RELEASE
makejail: {text: COPY motd /etc/motd.template}
"""


def test_a_layer_covers_what_an_inline_makejail_copies(fleet: Fleet) -> None:
    fleet.write(SPEC)
    fleet.write("one", "motd")
    before = [title for title in fleet.titles() if "layer" in title]
    fleet.write("two", "motd")
    assert [title for title in fleet.titles() if "layer" in title] != before


def test_files_of_options_are_copied_first_and_part_of_a_layer(fleet: Fleet) -> None:
    text = "CMD cat /etc/deep/a > /root/seen\\nOPTION copydir=tree\\nOPTION file=/etc/deep/a\\nOPTION files=list\\n"
    fleet.write(SPEC.replace("{text: COPY motd /etc/motd.template}", f'{{text: "{text}"}}'))
    (fleet.specs / "tree/etc/deep").mkdir(parents=True)
    fleet.write("one\n", "tree/etc/deep/a")
    fleet.write("two\n", "tree/etc/b")
    fleet.write("/etc/b\n", "list")
    assert problems(fleet.apply()) == []
    for path, content in (("/root/seen", b"one\n"), ("/etc/deep/a", b"one\n"), ("/etc/b", b"two\n")):
        assert fleet.runner.run(Command(("jexec", "web", "cat", path))).stdout == content
    assert fleet.titles() == []
    fleet.write("three\n", "tree/etc/b")
    assert any("layer" in title for title in fleet.titles())


@pytest.mark.parametrize("path", ["../x", "/a/../../b", "/", "/a b'c"])
def test_a_path_that_leads_elsewhere_is_refused_at_its_line(fleet: Fleet, path: str) -> None:
    text = f'{{text: "CMD true\\nOPTION copydir=tree\\nOPTION file={path}\\n"}}'
    fleet.write(SPEC.replace("{text: COPY motd /etc/motd.template}", text))
    with pytest.raises(SpecError) as caught:
        fleet.decide()
    assert [found.code for found in caught.value.diagnostics] == ["option-file"]


def test_a_file_that_is_not_there_is_said_by_the_plan_at_its_line(fleet: Fleet) -> None:
    fleet.write(SPEC)
    notes = fleet.decide().plan.notes
    assert ("copy-missing", 5) in [(note.code, note.span.line if note.span else 0) for note in notes]


def test_an_argument_that_no_arg_declares_is_said_where_the_spec_gives_it(fleet: Fleet) -> None:
    fleet.write(SPEC.replace("{text: COPY motd /etc/motd.template}", '\n  args: {titel: x}\n  text: "ARG title=a"'))
    with pytest.raises(SpecError) as caught:
        fleet.decide()
    found = [(problem.code, str(problem.span)) for problem in caught.value.diagnostics]
    assert found == [("argument-unknown", f"{fleet.specs}/fleet.yaml:6:9")]
