"""MANIFEST: which sets a release has and what each must hash to. Pure: bytes in, values out.

One line per set, six fields separated by tabs: file name, SHA256, number of archive members, name
of the distribution (file name without .txz, `-` and `.` as `_`), description in double quotes,
`on` or `off`. Written by release/scripts/make-manifest.sh, read by bsdinstall(8). It comes
from a mirror, so every field is bounded and anything unexpected is refused, all at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.model.diagnostic import Diagnostic, FetchError, Span

SIZE_LIMIT = 64 * 1024
"""Bytes of a whole MANIFEST; real ones have about 1200."""
LINES_LIMIT = 64
_REPORTED = 10

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.txz", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_COUNT = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_DIST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,63}", re.ASCII)
_DESCRIPTION = re.compile(r'"[\x20\x21\x23-\x7e]{0,255}"', re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """One set. `members` counts archive members; `default` is whether bsdinstall selects it."""

    file: str
    sha256: str
    members: int
    dist: str
    description: str
    default: bool

    @property
    def name(self) -> str:
        """The name that specs use: the file name without `.txz` (`base`, `lib32`, `base-dbg`)."""
        return self.file.removesuffix(".txz")


@dataclass(frozen=True, slots=True)
class Manifest:
    """All sets of a release, in the order of the file."""

    entries: tuple[Entry, ...]

    def find(self, name: str) -> Entry | None:
        """The set with this name (`base`), or None."""
        return next((entry for entry in self.entries if entry.name == name), None)


def parse(data: bytes, source: str = "MANIFEST") -> Manifest:
    """Read a MANIFEST; `source` names it in diagnostics. Raises FetchError (`manifest-malformed`).

    All malformed lines are reported together, the first ten at most.
    """
    if len(data) > SIZE_LIMIT:
        raise FetchError(_malformed(source, 0, f"It has {len(data)} bytes; at most {SIZE_LIMIT} are read."))
    if not data.endswith(b"\n"):
        raise FetchError(_malformed(source, 0, "It does not end with a line end, so it may be cut short."))
    lines = data[:-1].split(b"\n")
    if len(lines) > LINES_LIMIT:
        raise FetchError(_malformed(source, 0, f"It has {len(lines)} lines; at most {LINES_LIMIT} are read."))
    entries: list[Entry] = []
    problems: list[Diagnostic] = []
    for number, line in enumerate(lines, start=1):
        fields = line.decode("latin-1").split("\t")
        found = list(_wrong(fields, entries))
        problems.extend(_malformed(source, number, detail) for detail in found)
        if not found:
            file, sha256, members, dist, description, default = fields
            entries.append(Entry(file, sha256, int(members), dist, description[1:-1], default == "on"))
    if problems:
        raise FetchError(problems[:_REPORTED])
    return Manifest(tuple(entries))


def dump(manifest: Manifest) -> bytes:
    """The text of a MANIFEST, as the release scripts write it; `parse` reads it back unchanged."""
    rows = (
        f'{e.file}\t{e.sha256}\t{e.members}\t{e.dist}\t"{e.description}"\t{"on" if e.default else "off"}\n'
        for e in manifest.entries
    )
    return "".join(rows).encode("ascii")


def _wrong(fields: list[str], before: list[Entry]) -> Iterator[str]:
    """Every reason why these fields are not an entry."""
    if len(fields) != 6:
        yield f"It has {len(fields)} fields separated by tabs; six were expected."
        return
    names = ("file name", "SHA256", "number of members", "distribution", "quoted description")
    rules = (_FILE, _SHA256, _COUNT, _DIST, _DESCRIPTION)
    for name, rule, value in zip(names, rules, fields, strict=False):
        if not rule.fullmatch(value):
            yield f"{_quote(value)} is not a {name}."
    if fields[5] not in ("on", "off"):
        yield f"{_quote(fields[5])} is neither on nor off."
    if any(fields[0].lower() == entry.file.lower() for entry in before):
        yield f"{_quote(fields[0])} is listed twice."


def _quote(value: str) -> str:
    """A hostile value, short and without control characters."""
    return ascii(value[:40])


def _malformed(source: str, line: int, detail: str) -> Diagnostic:
    return Diagnostic(
        "manifest-malformed",
        "MANIFEST is not in the expected format",
        detail,
        "Try another mirror, or fetch again if the mirror was being updated.",
        Span(source, line),
    )
