"""Diagnostics as an agent tells them: with paths of the repository, and never without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from traceback import extract_tb
from typing import Any

from reconciler.model.diagnostic import Diagnostic, SpecError


def plain(diagnostics: Iterable[Diagnostic], folder: Path) -> tuple[Diagnostic, ...]:
    """Diagnostics with paths as they are in the repository, not in our copy of it."""
    prefix = f"{folder}/"
    found = []
    for one in diagnostics:
        span = one.span
        if span is not None and span.file.startswith(prefix):
            span = replace(span, file=span.file.removeprefix(prefix))
        texts = (one.detail.replace(prefix, ""), one.hint.replace(prefix, ""))
        found.append(replace(one, span=span, detail=texts[0], hint=texts[1]))
    return tuple(found)


def plain_document(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A plan as JSON's values, with places as they are in the repository."""
    prefix, found = f"{folder}/", dict(document)
    for part in ("steps", "notes"):
        entries = found.get(part, ())
        found[part] = [{**one, "file": str(one.get("file", "")).removeprefix(prefix)} for one in entries]
    return found


def refused_by_machine(error: OSError) -> Diagnostic:
    """Something of our own machine, such as a full disk."""
    return Diagnostic("step-failed", "The machine refused an operation", str(error))


def pool_moved(pool: str) -> Diagnostic:
    """What stands on the pool changed while it was looked at, such as the commit that nothing may go behind."""
    detail = f"What stands on {pool} is not what stood there a moment ago: it was imported, suspended, or another ran."
    return Diagnostic("pool-waiting", "The pool is not ready", detail, "The agent looks again.")


def mistake(error: Exception) -> Diagnostic:
    """A mistake of ours, with its place for whoever gets the report."""
    frame = extract_tb(error.__traceback__)[-1]
    detail = f"{type(error).__name__}: {error} ({frame.filename.rpartition('/')[2]}:{frame.lineno})"
    hint = "Jails are not affected. Report this; the agent goes on with its next turn."
    return Diagnostic("internal-error", "This is a mistake in reconcile itself", detail, hint)


def there(tree: Path, folder: str, sha: str) -> None:
    """See that a commit has the folder of specs at all. Raises SpecError (`specs-folder-missing`)."""
    if not folder or (tree / folder).is_dir():
        return
    folders = sorted(one.name for one in tree.iterdir() if one.is_dir() and one.name != ".git")
    has = f"Its folders: {', '.join(folders[:20])}." if folders else "It has no folders at all."
    detail = f"Commit {sha[:12]} has no folder {folder}. {has}"
    hint = 'Name the one that holds specs in the agent\'s configuration: folder: NAME, or folder: "" for all of it.'
    raise SpecError(Diagnostic("specs-folder-missing", "The repository has no such folder of specs", detail, hint))
