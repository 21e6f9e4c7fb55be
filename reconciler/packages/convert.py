"""Packages of the first format made into packages of format 2, and what had to be assumed for that.

The first format is what iocage's shell version wrote: a bare archive of a unionfs upper folder, and beside it the 64
digits of its SHA256. It does not say what it was recorded on, and cannot say what was deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from reconciler.cache import open_regular
from reconciler.model.diagnostic import Diagnostic
from reconciler.packages.archive import PACKAGE, Limits
from reconciler.packages.capture import Captured, capture
from reconciler.packages.compression import expand
from reconciler.packages.delta import delta
from reconciler.packages.manifest import Manifest
from reconciler.packages.read import unreadable

CODE = "package-first-format-says-less"
_SUMMARY = "The first format of packages cannot say this"


def convert(path: Path, said: Manifest, limits: Limits = PACKAGE) -> tuple[Manifest, Captured, tuple[Diagnostic, ...]]:
    """The manifest of an archive of the first format, its content, and warnings about what it does not say.

    `said` is what somebody knows about it: name, version, release and so on. Raises FetchError as
    `capture.capture`, `compression.expand`, and `package-unreadable`.
    """
    try:
        with open_regular(path, follow=True) as file:
            captured = capture(expand(file)[1], limits)
    except OSError as error:
        raise unreadable(path, error) from error
    manifest = replace(said, change=delta({}, captured.tree))
    return manifest, captured, tuple(_warnings(path, manifest))


def _warnings(path: Path, manifest: Manifest) -> Iterator[Diagnostic]:
    where = f"{manifest.release} {manifest.levels}"
    yield _warning(
        f"{path.name} does not say what it was recorded on: {where} and {manifest.arch} are taken from the command "
        "line, and nothing can check them.",
        "Apply it to a jail of that release first, and look whether its programs start.",
    )
    yield _warning(
        "Deletions and renames were not recorded: what the installation removed comes back.",
        "Record the installation anew where that matters: reconcile package record start JAIL",
    )
    entries = manifest.change.entries
    folders = {entry.path.rpartition("/")[0] for entry in entries}
    if not any(entry.type == "file" and not entry.size for entry in entries) and not any(
        entry.type == "directory" and entry.path not in folders for entry in entries
    ):
        yield _warning(
            "It has no empty file and no empty folder: `record stop` removed those, such as markers and places for "
            "sockets, even where a program needs them.",
            "Compare with a fresh installation, or record it anew.",
        )
    if not any(entry.flags or entry.xattrs or entry.acl for entry in entries):
        yield _warning(
            "It has no file flags, extended attributes or ACLs: unionfs did not copy them.",
            "Set in the Makejail what a program needs of them.",
        )


def _warning(detail: str, hint: str) -> Diagnostic:
    return Diagnostic(CODE, _SUMMARY, detail, hint, severity="warning")
