"""EXEC: the Makejails of other jails, compiled as the outer one is; GLOBALs are files of the Makejail's folder."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.makejail.expand import evaluate
from reconciler.makejail.problem import DATA, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.sources import Entry, Sources
from reconciler.makejail.step import Nested

DEEPEST = 8
_GLOBALS = "${GLOBALS}/"


@dataclass(frozen=True, slots=True)
class WithGlobals:
    """Sources that have, beside the files of others, a text for each path of `texts`."""

    sources: Sources
    texts: Mapping[str, str]

    def read(self, path: str) -> bytes | None:
        """See Sources."""
        text = self.texts.get(path)
        return self.sources.read(path) if text is None else text.encode("utf-8", "surrogateescape")

    def realpath(self, path: str) -> str:
        """See Sources."""
        return path if path in self.texts else self.sources.realpath(path)

    def isdir(self, path: str) -> bool:
        """See Sources."""
        return path not in self.texts and self.sources.isdir(path)

    def walk(self, path: str) -> Iterable[Entry] | None:
        """See Sources."""
        return self.sources.walk(path)


@dataclass(frozen=True, slots=True)
class Other:
    """What an EXEC asks, its variables replaced: `entry` is an INCLUDE argument."""

    name: str
    entry: str
    arguments: Mapping[str, str]
    build_arguments: tuple[str, ...]
    options: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


def asked(nested: Nested, values: Mapping[str, str], root: str) -> Other:
    """What is to be built. Raises MakejailError 65 where a word holds a variable that only the build knows."""

    def known(word: DoubleQuoted) -> str:
        missing = sorted(set(word.names) - values.keys())
        if missing:
            detail = f"EXEC names {missing[0]}, which gets its value when the build runs; its jail is built before."
            hint = f"Make {missing[0]} an ARG, or write its value."
            raise problem(DATA, "exec-unknown", "What EXEC builds is not known", detail, hint, nested.span)
        return evaluate(word, values, nested.span)

    def file(word: DoubleQuoted) -> str:
        text = known(word)
        return f"file+{posixpath.join(root, text.removeprefix(_GLOBALS))}" if text.startswith(_GLOBALS) else text

    words = tuple(map(known, nested.parameters))
    return Other(
        known(nested.name),
        file(nested.file),
        {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)},
        tuple(map(known, nested.build_arguments)),
        tuple(map(known, nested.options)),
        tuple(map(file, nested.before)),
        tuple(map(file, nested.after)),
    )


def with_globals(sources: Sources, collected: Mapping[str, list[str]], root: str) -> Sources:
    """Sources with the texts of all GLOBALs as files of the folder `root`."""
    texts = {posixpath.join(root, name): "".join(f"{line}\n" for line in lines) for name, lines in collected.items()}
    return WithGlobals(sources, texts) if texts else sources
