"""Sources that remember what was asked of them, so that another run can tell whether the answers are still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from reconciler.makejail.sources import Entry, Sources, tree_digest


class Recorded:
    """Passes everything on. `asked` maps `VERB PATH` to a digest of the answer."""

    def __init__(self, sources: Sources) -> None:
        """Start with nothing asked."""
        self.sources = sources
        self.asked: dict[str, str] = {}

    def read(self, path: str) -> bytes | None:
        """See Sources."""
        data = self.sources.read(path)
        self.asked[f"read {path}"] = _sum(data)
        return data

    def realpath(self, path: str) -> str:
        """See Sources."""
        found = self.sources.realpath(path)
        self.asked[f"realpath {path}"] = found
        return found

    def isdir(self, path: str) -> bool:
        """See Sources."""
        found = self.sources.isdir(path)
        self.asked[f"isdir {path}"] = str(found)
        return found

    def walk(self, path: str) -> Iterable[Entry] | None:
        """See Sources."""
        self.asked[f"walk {path}"] = str(tree_digest(self.sources, path))
        return self.sources.walk(path)


def unchanged(asked: Mapping[str, str], sources: Sources) -> bool:
    """Whether these sources give every answer that was given then."""
    again = Recorded(sources)
    for question, answer in asked.items():
        verb, _, path = question.partition(" ")
        {"read": again.read, "realpath": again.realpath, "isdir": again.isdir, "walk": again.walk}[verb](path)
        if again.asked[question] != answer:
            return False
    return True


def _sum(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()
