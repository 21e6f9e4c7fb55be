"""Nothing passes the gate before it was judged, whoever gives up first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.packages.gate import AHEAD, Gate

CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=20)


class Refused(Exception):
    """What the check says."""


@settings(deadline=None, max_examples=60)
@given(CHUNKS, st.integers(1, 50))
def test_everything_comes_through_unchanged_and_in_order(chunks: list[bytes], size: int) -> None:
    seen = bytearray()

    def check(file: IO[bytes]) -> None:
        while piece := file.read(size):
            seen.extend(piece)

    assert b"".join(Gate(iter(chunks)).through(check)) == b"".join(chunks) == seen


@settings(deadline=None, max_examples=60)
@given(CHUNKS, st.integers(1, 50), st.integers(0, 600))
def test_what_a_check_refuses_is_never_given_on(chunks: list[bytes], size: int, bad: int) -> None:
    """Of the chunk that holds the byte at `bad`, and of all behind it, nothing comes through."""
    whole = b"".join(chunks)

    def check(file: IO[bytes]) -> None:
        at = 0
        while piece := file.read(size):
            if at <= bad < at + len(piece):
                raise Refused
            at += len(piece)

    given_on = bytearray()
    if bad >= len(whole):
        given_on.extend(b"".join(Gate(iter(chunks)).through(check)))
        assert given_on == whole
        return
    with pytest.raises(Refused):
        given_on.extend(iter_into(given_on, Gate(iter(chunks)).through(check)))
    assert len(given_on) <= bad and whole.startswith(given_on)


def iter_into(kept: bytearray, chunks: Iterator[bytes]) -> bytes:
    """Keep each chunk as it comes, so that what came before an error is there after it."""
    for chunk in chunks:
        kept.extend(chunk)
    return b""


def test_what_goes_wrong_with_the_chunks_is_told_although_the_check_read_no_further() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        yield b"two"
        raise Refused

    for check in (lambda file: file.read(3), lambda file: file.read(-1), lambda file: None):
        with pytest.raises(Refused):
            list(Gate(chunks()).through(check))


def test_whoever_stops_taking_ends_the_check_too() -> None:
    before = threading.active_count()
    taken = Gate(iter([b"x"] * 1000)).through(lambda file: [piece for _ in range(1000) if (piece := file.read(1))])
    assert next(taken) == b"x"
    taken.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_check_reads_ahead_only_so_far() -> None:
    pulled = []

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            pulled.append(number)
            yield b"x"

    taken = Gate(chunks()).through(lambda file: [file.read(1) for _ in range(100)])
    for _ in range(10):
        next(taken)
    assert len(pulled) <= 10 + AHEAD + 3
    taken.close()  # type: ignore[attr-defined]
