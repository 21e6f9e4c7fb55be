"""The records of a host's listings as bytes: what two looks differ in is found without parsing either.

A listing is taken apart where its program puts one record after the other. What is left of it is again what that
program prints, so that the parsers read it. A jail may have had a say in some record and made it look like two: then
what is left is read as a whole listing, or by nobody, for its quotes no longer match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from reconciler.hosts.freebsd import zfs
from reconciler.hosts.freebsd.failure import tool
from reconciler.model.command import Completed
from reconciler.model.ports import Observation

_STEP = 1 << 16
_BETWEEN = {"zfs": b"\n", "rctl": b"\n", "jls": b"}, {", "mount": b"},{"}
"""What each program prints between two records. One that prints something else lists one record, and is read whole."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """The output of a command: its records, with `between` after each but the last."""

    head: bytes
    body: bytes
    tail: bytes
    between: bytes

    @classmethod
    def of(cls, done: Completed) -> _Listing:
        """Of a command that lists records."""
        said, between = done.stdout, _BETWEEN[tool(done.argv)]
        if between == b"\n":
            return cls(b"", said.removesuffix(b"\n"), b"\n", between)
        start, end = said.find(b"[{") + 2, said.rfind(b"}]")
        start, end = (start, end) if 1 < start <= end else (len(said), len(said))
        return cls(said[:start], said[start:end], said[end:], between)

    def only(self, done: Completed, records: list[bytes]) -> Completed:
        """The same command, had it listed these records."""
        if records or self.between == b"\n":
            return replace(done, stdout=self.head + self.between.join(records) + (self.tail if records else b""))
        return replace(done, stdout=self.head.removesuffix(b"{") + self.tail.removeprefix(b"}"))


def _listings(observation: Observation) -> list[Completed] | None:
    """The commands that list records; None where more than one of a kind was asked, as for delegated datasets."""
    found = [done for done in observation.raw if tool(done.argv) in _BETWEEN]
    return found if len({tool(done.argv) for done in found}) == len(found) else None


def concerning(observation: Observation, names: Iterable[str]) -> Observation:
    """An answer with those records alone in which one of these names stands; all of them where that cannot be told."""
    listings = _listings(observation)
    if listings is None:
        return observation
    words = [name.encode() for name in names]
    return replace(observation, raw=tuple(_concerning(done, words) for done in listings))


def _concerning(done: Completed, words: Iterable[bytes]) -> Completed:
    listing = _Listing.of(done)
    body, between = listing.body, listing.between
    found: set[tuple[int, int]] = set()
    for word in words:
        at = body.find(word)
        while at >= 0:
            start = body.rfind(between, 0, at)
            end = body.find(between, at)
            end = len(body) if end < 0 else end
            found.add((0 if start < 0 else start + len(between), end))
            at = body.find(word, end)
    return listing.only(done, [body[start:end] for start, end in sorted(found)])


def differing(before: Observation, after: Observation) -> tuple[Observation, Observation] | None:
    """Two answers to one request with those records alone that only the one has, and only the other.

    Of datasets sizes are not looked at. None where anything else differs: another command's answer, an exit status,
    the order of the records that both have (that of limits says nothing).
    """
    listed = _listings(before), _listings(after)
    if len(before.raw) != len(after.raw) or None in listed:
        return None
    gone, came = [], []
    for was, now in zip(before.raw, after.raw, strict=True):
        if (was.argv, was.status, was.stderr) != (now.argv, now.status, now.stderr):
            return None
        if tool(was.argv) in _BETWEEN:
            pair = _differing(was, now)
            if pair is None or (was.status and was.stdout != now.stdout):
                return None
            gone.append(pair[0])
            came.append(pair[1])
        elif was.stdout != now.stdout:
            return None
    return replace(before, raw=tuple(gone)), replace(after, raw=tuple(came))


def _differing(was: Completed, now: Completed) -> tuple[Completed, Completed] | None:
    one, other = _Listing.of(was), _Listing.of(now)
    if (one.head, one.tail) != (other.head, other.tail):
        return None
    mine, theirs = _middles(one.body, other.body, one.between)
    lists_datasets = tool(was.argv) == "zfs"
    keys = [zfs.steady_line(record) for record in mine] if lists_datasets else mine
    others = [zfs.steady_line(record) for record in theirs] if lists_datasets else theirs
    kept, known = set(keys), set(others)
    if len(kept) < len(keys) or len(known) < len(others):
        return None  # what stands twice
    both = kept & known
    if tool(was.argv) != "rctl" and [key for key in keys if key in both] != [key for key in others if key in both]:
        return None
    gone = [record for record, key in zip(mine, keys, strict=True) if key not in both]
    came = [record for record, key in zip(theirs, others, strict=True) if key not in both]
    return one.only(was, gone), other.only(now, came)


def _middles(one: bytes, other: bytes, between: bytes) -> tuple[list[bytes], list[bytes]]:
    """The records of two lists from the first that differs to the last."""
    if one == other:
        return [], []
    start = one.rfind(between, 0, _alike(one, other)) + len(between)
    start = 0 if start < len(between) else start
    end = one.find(between, len(one) - _alike_at_end(one, other, start))
    rest = 0 if end < 0 else len(one) - end
    mine, theirs = one[start : len(one) - rest], other[start : len(other) - rest]
    return mine.split(between) if mine else [], theirs.split(between) if theirs else []


def _alike(one: bytes, other: bytes) -> int:
    """How many bytes from the first on are the same."""
    limit = min(len(one), len(other))
    return _reach(limit, lambda low, high: one[low:high] == other[low:high])


def _alike_at_end(one: bytes, other: bytes, start: int) -> int:
    """How many bytes before the last are the same, none of them before `start`."""
    mine, theirs = len(one), len(other)
    limit = min(mine, theirs) - start
    return _reach(limit, lambda low, high: one[mine - high : mine - low] == other[theirs - high : theirs - low])


def _reach(limit: int, same: Callable[[int, int], bool]) -> int:
    """How far two texts agree that are compared piece by piece."""
    at = 0
    while at < limit and same(at, min(at + _STEP, limit)):
        at = min(at + _STEP, limit)
    low, high = at, min(at + _STEP, limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if same(at, middle) else (low, middle - 1)
    return low
