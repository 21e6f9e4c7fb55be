"""What `zfs diff` prints of the changes that a recording must understand: scenarios and the lines for them.

The lines are those of OpenZFS 2.3.2, without times and mount points; `tests/captures/data/openzfs-diff.txt` has the
whole run. A scenario changes a folder that a snapshot was taken of. Paths are bytes: names are what they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

Change = Callable[[bytes], None]
NAMES = (b"sp ace", b"ta\tb", b"new\nline", b"\xff\xfe raw", "é".encode(), b"back\\slash", b"ctl\x01\x7f", b"a'b\"$c*?")
ESCAPED = (
    "sp\\0040ace", "ta\\0011b", "new\\0012line", "\\0377\\0376\\0040raw", "\\0303\\0251", "back\\0134slash",
    "ctl\\0001\\0177", "a'b\"$c*?",
)  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """`lines` are OP TYPE PATH [MORE], tabs between them; the root's own line is left out where it says nothing."""

    name: str
    before: Change
    after: Change
    lines: frozenset[str] = field(default_factory=frozenset)


def put(path: bytes, data: bytes = b"x") -> None:
    """Write a file in place."""
    with open(path, "wb") as file:
        file.write(data)


def files(*names: bytes) -> Change:
    """A folder with these files, and the folders that they lie in."""

    def make(root: bytes) -> None:
        for name in names:
            os.makedirs(os.path.dirname(root + name), exist_ok=True)
            if not name.endswith(b"/"):
                put(root + name)

    return make


def lines(*words: str) -> frozenset[str]:
    """Lines, with spaces for tabs."""
    return frozenset(line.replace(" ", "\t") for line in words)


def _names(root: bytes) -> None:
    for name in NAMES[:-1]:
        put(root + name, b"longer")
    os.rename(root + NAMES[-1], root + b"-" + NAMES[-1])


def _links_before(root: bytes) -> None:
    files(b"h1", b"h3", b"wr", b"other/")(root)
    for one, two in ((b"h3", b"h4"), (b"wr", b"other/wr")):
        os.link(root + one, root + two)


def _links(root: bytes) -> None:
    os.link(root + b"h1", root + b"h2")
    os.remove(root + b"h3")


def _written_through_a_link(root: bytes) -> None:
    put(root + b"other/wr", b"longer")


def _folders(root: bytes) -> None:
    os.rename(root + b"d", root + b"D2")
    put(root + b"D2/in", b"changed")
    put(root + b"D2/newin")
    os.rename(root + b"ren", root + b"D2/renamed")
    os.mkdir(root + b"newdir")
    put(root + b"newdir/f")
    os.mkdir(root + b"newdir/e")
    os.remove(root + b"gone/s/b")
    os.rmdir(root + b"gone/s")
    os.remove(root + b"gone/a")
    os.rmdir(root + b"gone")


def _kinds_before(root: bytes) -> None:
    files(b"plain", b"chmod", b"repl/", b"mode/", b"touch")(root)
    os.symlink(b"plain", root + b"ln")


def _kinds(root: bytes) -> None:
    os.chmod(root + b"chmod", 0o711)
    os.chmod(root + b"mode", 0o700)
    os.utime(root + b"touch", (5, 5))
    os.remove(root + b"ln")
    os.symlink(b"other", root + b"ln")
    os.rmdir(root + b"repl")
    put(root + b"repl", b"a file now")
    os.mkfifo(root + b"fifo")
    put(root + b"tmp", b"as editors do it")
    os.rename(root + b"tmp", root + b"plain")


def _swap(root: bytes) -> None:
    for one, two in ((b"a", b"b"), (b"p", b"q")):
        os.rename(root + one, root + b"t")
        os.rename(root + two, root + one)
        os.rename(root + b"t", root + two)


def _nest(root: bytes) -> None:
    os.rename(root + b"a/b", root + b"B")
    os.rename(root + b"a", root + b"B/c/a")
    os.rename(root + b"top", root + b"B/c/a/top")


SCENARIOS = (
    Scenario(
        "names",
        files(*NAMES),
        _names,
        lines("M / ", *(f"M F {name}" for name in ESCAPED[:-1]), f"R F {ESCAPED[-1]} @-{ESCAPED[-1]}"),
    ),
    Scenario(
        "hard links",
        _links_before,
        _links,
        lines("M / ", "M F h1 (+1)", "M F h4 (-1)"),
    ),
    Scenario(
        "a file with names in two folders, which is named once",
        _links_before,
        _written_through_a_link,
        lines("M F other/wr"),
    ),
    Scenario(
        "folders",
        files(b"d/in", b"d/in2", b"d/sub/x", b"ren", b"gone/a", b"gone/s/b"),
        _folders,
        lines(
            "M / ", "R / d @D2", "R F d/in @D2/in", "+ F D2/newin", "R F ren @D2/renamed", "- / gone", "- F gone/a",
            "- / gone/s", "- F gone/s/b", "+ / newdir", "+ F newdir/f", "+ / newdir/e",
        ),
    ),
    Scenario(
        "kinds",
        _kinds_before,
        _kinds,
        lines(
            "M / ", "M F chmod", "M / mode", "M F touch", "- @ ln", "+ @ ln", "- / repl", "+ F repl", "+ | fifo",
            "- F plain", "+ F plain",
        ),
    ),
    Scenario(
        "names that change places",
        files(b"a", b"b", b"p/x", b"q/y"),
        _swap,
        lines("M / ", "R F a @b", "R F b @a", "R / p @q", "R / q @p"),
    ),
    Scenario(
        "folders moved into each other",
        files(b"a/b/c/f", b"top"),
        _nest,
        lines("M / ", "R / a @B/c/a", "R / a/b @B", "R / a/b/c @B/c", "R F top @B/c/a/top"),
    ),
)  # fmt: skip


def told(stdout: bytes, mountpoint: str) -> frozenset[str]:
    """What `zfs diff -FHt` printed, in the form of `Scenario.lines`."""
    found = set()
    for line in stdout.decode("utf-8", "surrogateescape").splitlines():
        _time, op, kind, path, *more = line.split("\t")
        new = ["@" + word.removeprefix(f"{mountpoint}/") if word.startswith("/") else word for word in more]
        found.add("\t".join([op, kind, path.removeprefix(f"{mountpoint}/"), *new]))
    return frozenset(found)
