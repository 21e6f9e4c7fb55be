"""Paths in documents: relative to their file, below the repository, through no link that leaves it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from reconciler.spec.files import look
from reconciler.spec.specset import Path_, Sourced
from reconciler.spec.suggest import nearest
from reconciler.spec.view import Found, View, error


def relative(source: str) -> bool:
    """Whether a source is a path of the repository, not a URL."""
    return "://" not in source and not source.startswith("file:")


def missing(view: View, item: Sourced[Any], path: Path_, written: str) -> Found:
    """A path that a document names: it must exist, as a regular file, inside the repository."""
    if not relative(written):
        return
    area = view.specs.area
    if os.path.isabs(written) or "\0" in written:
        detail = f"`{written}` is not relative to {item.file}."
        hint = "Write a path relative to the document, so that every checkout has it."
        yield error(item, path, "path-outside", "Path leads out of the repository", detail, hint)
        return
    wanted = os.path.normpath(os.path.join(os.path.dirname(item.source.location), written))
    inside, there = view.seen(wanted, lambda: look(wanted, str(area)))
    if not inside:
        detail = f"`{written}` leads out of {area}."
        yield error(
            item,
            path,
            "path-outside",
            "Path leads out of the repository",
            detail,
            "Keep it in the repository.",
        )
    elif not there:
        detail = f"`{written}` is not a file; it is looked for at {os.path.relpath(wanted, view.specs.area)}."
        yield error(item, path, "missing-file", "File is missing", detail, _near(Path(wanted), written))


def _near(wanted: Path, written: str) -> str:
    try:
        names = sorted(entry.name for entry in os.scandir(wanted.parent))[:10_000]
    except OSError:
        return f"There is no folder `{os.path.dirname(written) or '.'}`."
    found = nearest(wanted.name, names)
    return (
        f"Did you mean `{os.path.join(os.path.dirname(written), found)}`?"
        if found
        else "Add the file to the repository."
    )
