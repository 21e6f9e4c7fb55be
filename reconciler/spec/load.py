"""A spec file or folder to a SpecSet: read, parse, validate, lint; every problem of every file at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.spec.document import KINDS
from reconciler.spec.files import Tree, read_tree
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
    from reconciler.spec.lint import lint

    tree = read_tree(path)
    problems = list(tree.problems)
    found: list[tuple[str, Sourced[Any]]] = []
    broken = False
    for source in tree.sources:
        documents, wrong = read_source(source)
        found += documents
        problems += wrong
        broken = broken or bool(wrong)
    specs = assemble(tree, found)
    problems += lint(specs, found, complete=not broken and not tree.problems)
    problems.sort(key=Diagnostic.sort_key)
    return with_warnings(specs, problems), tuple(problems)


def read_source(source: Source) -> tuple[list[tuple[str, Sourced[Any]]], list[Diagnostic]]:
    """The valid documents of one file with their kinds, and what is wrong with the others."""
    parsed = parse(source.data, source.file)
    problems = list(parsed.diagnostics)
    found: list[tuple[str, Sourced[Any]]] = []
    for index, raw in enumerate(parsed.values):
        kind = _kind(raw, source, index, problems)
        if kind is None:
            continue
        try:
            doc = KINDS[kind].model_validate(raw)
        except ValidationError as error:
            problems += translate(error, kind, raw, source, index)
            continue
        found.append((kind, Sourced(source, index, raw, partial(_same, doc))))
    return found, problems


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
    import dataclasses

    return dataclasses.replace(specs, warnings=tuple(p for p in problems if p.severity == "warning"))
