"""When the next turn is due. Pure: times and chance are arguments."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.agent.board import Approval

HANGS = 1800.0
"""Seconds for which a turn may ask, verify and plan, or be late: any more, and the loop hangs."""


def until_next(
    usual: float, others: Iterable[float | None], shared: float | None, approval: Approval | None, wall: float
) -> float:
    """Seconds until something may be due: never less than one, so that nothing spins.

    `usual` is the time between two looks, `others` what asks for an earlier one. While something fails that all jails
    share, only its own wait counts: `shared`. An approval's times are of the wall's clock, which jumps: one that is
    past says nothing, for the turn that has just ended looked at it.
    """
    if shared is not None:
        return max(1.0, shared)
    times = (approval.by_itself, approval.window) if approval is not None else ()
    due = [usual, *(one for one in others if one is not None)]
    due += [at - wall for at in times if at is not None and at > wall]
    return max(1.0, min(due))
