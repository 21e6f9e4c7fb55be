"""Which generation of a jail comes next, and which older ones stay. Pure.

Before a jail is pointed at another root, the one that it leaves gets a snapshot that names the new one. So the
snapshots tell which roots a jail went past: they were built, and something came in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.kinds.root import Root


def next_generation(roots: Iterable[Root], live: int, wanted: str) -> tuple[int, int]:
    """(number, former): the live root when it fits; one built beside it before a crash; else the next number."""
    by_number = {r.number: r for r in roots}
    if live in by_number and by_number[live].digest == wanted:
        return live, 0
    highest = max(by_number, default=0)
    if highest > live and by_number[highest].digest == wanted and not by_number[highest].written:
        return highest, live
    return max(highest, live) + 1, live


def passed(roots: Sequence[Root], root: Root, live: int, good: int) -> frozenset[int]:
    """The generations that the jail went past, goes past now, or was never pointed at.

    A jail with a good root and none that is live has lost its fstab: that says nothing of its roots.
    """
    left_for = {later for r in roots for later in r.left_for}
    between = {(r.number, later) for r in roots for later in r.left_for}
    never = set[int]()
    if live or not good:
        between.add((live, root.number))
        never = {r.number for r in roots if r.number > live and r.number not in left_for}
    never |= {r.number for r in roots if any(before < r.number < later for before, later in between)}
    return frozenset(never - {root.number})


def kept(roots: Sequence[Root], root: Root, live: int, good: int, keep: int) -> tuple[Root, ...]:
    """The older roots that stay beside `root`: the newest `keep` that were good, and what others or changes hold.

    One that never was good counts for nothing. It goes, but for the one that failed its check last: that may be
    looked into until another root takes its place.
    """
    every = sorted((r for r in roots if r.number != root.number and not r.expired), key=lambda r: -r.number)
    past = passed(roots, root, live, good)
    failed = {r.number for r in every if r.number > live > 0} - past
    counting = [r for r in every if r.number not in past | failed]
    stay = [r for r in every if r.number == good or r.number in failed or r.others or r.kept]
    return tuple(dict.fromkeys([*counting[:keep], *stay]))
