"""Spec files to documents: parse, validate, lint; every problem of every file at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pydantic import ValidationError

from reconciler.model.diagnostic import Diagnostic, Span
from reconciler.spec.assemble import assemble
from reconciler.spec.cache import Cache
from reconciler.spec.document import KINDS
from reconciler.spec.files import Tree
from reconciler.spec.lint import lint
from reconciler.spec.partly import without_faults
from reconciler.spec.specset import Source, Sourced, SpecSet, locate
from reconciler.spec.suggest import did_you_mean, shorten
from reconciler.spec.translate import translate
from reconciler.spec.yaml import parse

Entry = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Examined:
    """What a tree holds. `reads` goes by SHA256 of a file; `looks` are the paths that lint looked for."""

    specs: SpecSet
    problems: tuple[Diagnostic, ...]
    reads: Mapping[str, Read]
    looks: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether there is nothing worse than a warning."""
        return not any(problem.severity == "error" for problem in self.problems)


def examine_tree(tree: Tree, known: Callable[[Source], Read | None]) -> Examined:
    """Everything about the files of a tree; `known` may have read a file before. Never raises."""
    problems = list(tree.problems)
    reads = [known(source) or read_source(source) for source in tree.sources]
    found = [pair for read in reads for pair in read.found]
    problems += [problem for read in reads for problem in read.problems]
    specs = assemble(tree, found)
    broken = {kind: frozenset(n for read in reads for k, n in read.broken if k == kind) for kind in KINDS}
    complete = not tree.problems and all(read.complete for read in reads)
    looks: dict[str, tuple[bool, bool]] = {}
    partly = [part for read in reads for part in read.partly]
    said = lint(specs, [*found, *((p.kind, p.item) for p in partly)], broken, complete=complete, looks=looks)
    absent = {span for part in partly for span in part.absent}
    problems += [p for p in said if not (p.code.startswith("missing-") and p.span in absent)]
    if not problems and not found:
        problems.append(_nothing(str(tree.root), len(tree.sources)))
    problems = sorted(dict.fromkeys(problems), key=Diagnostic.sort_key)
    by_digest = {source.sha256: read for source, read in zip(tree.sources, reads, strict=True)}
    return Examined(with_warnings(specs, problems), tuple(problems), by_digest, tuple(looks))


@dataclass(frozen=True, slots=True)
class Part:
    """A document that is not valid, less what is wrong with it: nothing is made of it, but rules look at the rest.

    `absent` are the places around what was cut away; that it is missing there is not the user's doing.
    """

    kind: str
    item: Sourced[Any]
    absent: frozenset[Span]


@dataclass(frozen=True, slots=True)
class Read:
    """One file: its valid documents by kind, what is wrong, and the kinds and names of what is not valid.

    `complete` is False where even the names of some documents are not known.
    """

    found: list[tuple[str, Sourced[Any]]]
    problems: list[Diagnostic]
    broken: list[tuple[str, str]]
    complete: bool
    partly: list[Part] = field(default_factory=list)


def known_from(cache: Cache) -> Callable[[Source], Read | None]:
    """A reader of files that the cache knows to be valid."""

    def known(source: Source) -> Read | None:
        found = cache.documents(source)
        return None if found is None else Read(found, [], [], True)

    return known


def read_source(source: Source) -> Read:
    """Parse and validate one file."""
    parsed = parse(source.data, source.file)
    read = Read([], list(parsed.diagnostics), [], parsed.complete)
    for index, raw in enumerate(parsed.values):
        kind = _kind(raw, source, index, read.problems)
        if kind is None:
            read.broken.extend((known, str(raw["name"])) for known in KINDS if isinstance(raw, dict) and "name" in raw)
            continue
        try:
            doc = KINDS[kind].model_validate(raw)
        except ValidationError as error:
            read.problems.extend(translate(error, kind, raw, source, index))
            read.broken.append((kind, str(raw.get("name"))))
            read.partly.extend(_parts(kind, raw, error, source, index))
            continue
        read.found.append((kind, Sourced(source, index, raw, partial(build, kind, raw)).known(doc)))
    return read


def _parts(kind: str, raw: Mapping[str, Any], error: ValidationError, source: Source, index: int) -> Iterator[Part]:
    # A Host gives other documents what they lack: less of it, they would lack it.
    left = without_faults(kind, raw, error) if kind != "Host" else None
    if left is not None:
        doc, gone = left
        item = Sourced(source, index, raw, partial(build, kind, raw)).known(doc)
        around = frozenset(item.place(path[:end]) for path in gone for end in range(len(path)))
        yield Part(kind, item, around)


def _nothing(path: str, files: int) -> Diagnostic:
    hint = (
        "Spec files end in .yaml or .yml; give their folder.\n"
        "No apply lets the last jails of a host go. Where they are to go for good: reconcile destroy NAME"
    )
    detail = f"`{path}` holds no spec files."
    if files:
        hint = "A document begins with its kind, such as: kind: Jail"
        detail = f"The spec files of `{path}` hold no documents: they are empty, or all is commented out."
    return Diagnostic("no-documents", "No documents found", detail, hint, Span(path), "warning")


def build(kind: str, raw: Mapping[str, Any]) -> Any:
    """The document of plain values that are known to be valid."""
    return KINDS[kind].model_validate(raw)


def _kind(raw: Any, source: Source, index: int, problems: list[Diagnostic]) -> str | None:
    def report(code: str, summary: str, detail: str, hint: str, span: Span) -> None:
        problems.append(Diagnostic(code, summary, detail, hint, span))

    if not isinstance(raw, dict):
        detail = f"The document is {shorten(raw)}, not a mapping."
        report(
            "wrong-type",
            "Value has the wrong type",
            detail,
            "Begin it with `kind: Jail`.",
            locate(source, index, ()),
        )
        return None
    if "kind" not in raw:
        hint = f"Begin it with `kind: {_guess(raw)}`."
        detail = "The document does not say what it is."
        report("missing-key", "Required key is missing", detail, hint, locate(source, index, ()))
        return None
    kind = raw["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        detail = f"`kind` must be {', '.join(KINDS)}, not {shorten(kind)}."
        hint = did_you_mean(str(kind), KINDS, "One file may hold several documents, each with its kind.")
        report("bad-value", "Value is not allowed", detail, hint, locate(source, index, ("kind",)))
        return None
    return kind


def _guess(raw: dict[str, Any]) -> str:
    """The kind whose keys the document has most of."""
    return max(KINDS, key=lambda kind: len(raw.keys() & KINDS[kind].model_fields.keys()))


def with_warnings(specs: SpecSet, problems: list[Diagnostic]) -> SpecSet:
    """The same set with the warnings among `problems`."""
    return replace(specs, warnings=tuple(p for p in problems if p.severity == "warning"))
