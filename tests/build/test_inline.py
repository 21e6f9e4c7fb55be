"""A Makejail that stands in the spec itself copies files that lie beside the spec."""

from __future__ import annotations

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
