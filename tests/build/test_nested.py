"""EXEC and GLOBAL: another jail is built first, is there while it is named, and is gone afterwards."""

from __future__ import annotations

import pytest

from reconciler.makejail.problem import MakejailError
from reconciler.makejail.program import compile_text
from tests.build.test_layers import WEB, build_jails, build_titles, failure, inside, layers, makejail
from tests.fleet import Fleet, problems

BUILDER = ("ARG word", "CMD mkdir -p /out && echo $word >/out/made")
OUTER = (
    "GLOBAL :tool: CMD echo tool >/tool",
    "EXEC --file builder.makejail --name builder --arg word=good",
    "EXEC --file :tool: --name tool",
    "CMD echo first >/root/log",
    "COPY --jail builder /out/made /root/made",
    "RAW appjail cmd jexec tool cat /tool >seen",
    "COPY seen /root/seen",
    "DESTROY --force builder",
)


def test_what_another_jail_built_is_copied_from_it_and_it_is_gone(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, *BUILDER, name="builder.makejail")
    makejail(fleet, *OUTER)
    assert sorted(build_titles(fleet)) == [
        "build segment 1 of 1 of builder: CMD",
        "build segment 1 of 1 of tool: CMD",
        "build segment 1 of 3: CMD",
        "build segment 2 of 3: COPY",
        "build segment 3 of 3: RAW COPY",
    ]
    assert problems(fleet.apply()) == []
    assert (inside(fleet, "/root/made"), inside(fleet, "/root/seen")) == ("good\n", "tool\n")
    assert fleet.titles() == [] and build_jails(fleet) == []
    assert not [name for name in layers(fleet) if "beside" in name]

    makejail(fleet, *(line.replace("good", "better") for line in OUTER))
    assert [t for t in build_titles(fleet) if "of builder" in t or "2 of 3" in t] == [
        "build segment 1 of 1 of builder: CMD",
        "build segment 2 of 3: COPY (1 already here)",
    ]
    assert problems(fleet.apply()) == []
    assert inside(fleet, "/root/made") == "better\n"

    makejail(fleet, *(line.replace("good", "better") for line in OUTER), "CMD true")
    assert build_titles(fleet) == ["build segment 4 of 4: CMD (3 already here)"]


def test_a_failure_leaves_no_jail_beside(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, *BUILDER, name="builder.makejail")
    makejail(fleet, OUTER[1], "COPY --jail builder /nothing /root/made")
    assert "COPY" in failure(fleet.apply())
    assert build_jails(fleet) == [] and not [name for name in layers(fleet) if "beside" in name]


REFUSED = [
    ("VAR f=x\nEXEC --file $f --name n", "exec-unknown", 2),
    ("EXEC --file missing --name n", "include-missing", 1),
    ("GLOBAL :x: EXEC --file :x: --name n\nEXEC --file :x: --name n", "exec-too-deep", 1),
    ("GLOBAL :x: LOGIN\nEXEC --file :x: --name n", "instruction-unavailable", 1),
    ("EXEC --file :x: --name n\nDESTROY other", "instruction-unavailable", 2),
    ("STAGE start\nEXEC --file x --name n", "instruction-unavailable", 2),
]


@pytest.mark.parametrize(("text", "code", "line"), REFUSED)
def test_what_cannot_be_built_is_refused_before_any_build(text: str, code: str, line: int) -> None:
    with pytest.raises(MakejailError) as caught:
        compile_text(f"{text}\n")
    first = caught.value.diagnostics[0]
    assert first.code == code and (first.span is None or first.span.line in (line, 0))


def test_makejails_that_build_each_other_end() -> None:
    lines = ["GLOBAL :x: GLOBAL :x: CMD true", "EXEC --file :x: --name n"]
    program = compile_text("\n".join(lines) + "\n")
    assert list(program.others) == ["n"] and program.segments == ()
