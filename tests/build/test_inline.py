"""A Makejail that stands in the spec itself copies files that lie beside the spec."""

from __future__ import annotations

import pytest

from reconciler.model.diagnostic import SpecError
from tests.fleet import Fleet

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


def test_a_file_that_is_not_there_is_said_by_the_plan_at_its_line(fleet: Fleet) -> None:
    fleet.write(SPEC)
    notes = fleet.decide().plan.notes
    assert [(note.code, note.span.line if note.span else 0) for note in notes] == [("copy-missing", 5)]


def test_an_argument_that_no_arg_declares_is_said_where_the_spec_gives_it(fleet: Fleet) -> None:
    fleet.write(SPEC.replace("{text: COPY motd /etc/motd.template}", '\n  args: {titel: x}\n  text: "ARG title=a"'))
    with pytest.raises(SpecError) as caught:
        fleet.decide()
    found = [(problem.code, str(problem.span)) for problem in caught.value.diagnostics]
    assert found == [("argument-unknown", f"{fleet.specs}/fleet.yaml:6:9")]
