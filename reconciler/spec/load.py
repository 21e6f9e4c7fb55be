"""A spec file or folder to a SpecSet: read, parse, validate, lint; every problem of every file at once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler.model.diagnostic import Diagnostic, Span, SpecError
from reconciler.spec.document import KINDS
from reconciler.spec.files import Tree, read_tree
from reconciler.spec.lint import lint
from reconciler.spec.specset import Source, Sourced, SpecSet, locate
from reconciler.spec.suggest import did_you_mean, shorten
from reconciler.spec.translate import translate
from reconciler.spec.yaml import parse

Entry = tuple[int, dict[str, Any]]


def load(path: str | Path) -> SpecSet:
    """The documents of a file or folder. Raises SpecError with everything that is wrong with them."""
    specs, problems = examine(path)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors or specs is None:
        raise SpecError(problems)
    return specs


def examine(path: str | Path) -> tuple[SpecSet | None, tuple[Diagnostic, ...]]:
    """The documents that can be understood, and every diagnostic, sorted by place. Never raises."""
    with collector_paused():
        return _examine(path)


def _examine(path: str | Path) -> tuple[SpecSet | None, tuple[Diagnostic, ...]]:
    tree = read_tree(path)
    problems = list(tree.problems)
    reads = [read_source(source) for source in tree.sources]
    found = [pair for read in reads for pair in read.found]
    problems += [problem for read in reads for problem in read.problems]
    specs = assemble(tree, found)
    broken = {kind: frozenset(n for read in reads for k, n in read.broken if k == kind) for kind in KINDS}
    problems += lint(specs, found, broken, complete=not tree.problems and all(read.complete for read in reads))
    if not problems and not tree.sources:
        problems.append(_nothing(str(path)))
    problems = sorted(dict.fromkeys(problems), key=Diagnostic.sort_key)
    return with_warnings(specs, problems), tuple(problems)


@dataclass(frozen=True, slots=True)
class Read:
    """One file: its valid documents by kind, what is wrong, and the kinds and names of what is not valid.

    `complete` is False where even the names of some documents are not known.
    """

    found: list[tuple[str, Sourced[Any]]]
    problems: list[Diagnostic]
    broken: list[tuple[str, str]]
    complete: bool


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
            continue
        read.found.append((kind, Sourced(source, index, raw, partial(_same, doc))))
    return read


def _nothing(path: str) -> Diagnostic:
    hint = "Spec files end in .yaml or .yml; give their folder."
    detail = f"`{path}` holds no spec files."
    return Diagnostic("no-documents", "No documents found", detail, hint, Span(path), "warning")


@contextmanager
def collector_paused() -> Iterator[None]:
    """Documents hold no cycles; looking for some while they are made takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def build(kind: str, raw: Mapping[str, Any]) -> Any:
    """The document of plain values that are known to be valid."""
    return KINDS[kind].model_validate(raw)


def _same(doc: Any) -> Any:
    return doc


def _kind(raw: Any, source: Source, index: int, problems: list[Diagnostic]) -> str | None:
    report: Callable[..., None] = lambda *args: problems.append(Diagnostic(*args))
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


def assemble(tree: Tree, found: list[tuple[str, Sourced[Any]]]) -> SpecSet:
    """Put documents under their names."""
    groups: dict[str, dict[str, Sourced[Any]]] = {kind: {} for kind in KINDS}
    for kind, item in found:
        group = groups[kind]
        key = item.name if item.name not in group else f"{item.name}@{','.join(item.hosts)}"
        group.setdefault(key, item)
    return SpecSet(
        root=tree.root,
        area=tree.area,
        digest=tree.digest,
        sources=tree.sources,
        jails=groups["Jail"],
        releases=groups["Release"],
        packages=groups["Package"],
        hosts=groups["Host"],
        is_folder=tree.is_folder,
    )


def with_warnings(specs: SpecSet, problems: list[Diagnostic]) -> SpecSet:
    """The same set with the warnings among `problems`."""
    return replace(specs, warnings=tuple(p for p in problems if p.severity == "warning"))
