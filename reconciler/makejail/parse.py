"""A flat line to its stage, instruction name and arguments.

The name is the text up to the first space; a tab does not separate.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.makejail.include import FlatLine
from reconciler.makejail.lines import head
from reconciler.makejail.problem import DATA, MakejailError, Problems, problem
from reconciler.makejail.stages import APPLY, BUILD, check_stage
from reconciler.makejail.step import Line


def parse_lines(
    lines: tuple[FlatLine, ...], root: str, problems: Problems, *, apply: bool | None = None
) -> Iterator[Line]:
    """Yield every instruction line but STAGE; what is wrong goes to `problems`.

    `apply` leaves out unread what is not in the apply stage (True), or what is (False).
    """
    stage, cwd = BUILD, root
    for flat in lines:
        name, rest = head(flat.text, " ")
        span = flat.line.span
        try:
            if name == "STAGE":
                stage = check_stage(rest, span)
                continue
            if apply is not None and apply != (stage == APPLY):
                continue
            if not name:
                raise problem(DATA, "line-blank", "A line needs an instruction", span=span)
            if "/" in name:
                raise problem(
                    DATA,
                    "instruction-name",
                    "The name of an instruction is not valid",
                    f"{name!r} holds a /.",
                    span=span,
                )
        except MakejailError as error:
            problems.add(error)
            continue
        cwd = flat.directory or cwd
        yield Line(stage, name, rest, span, cwd, flat.directory, root, flat.line.origin, flat.outside)
