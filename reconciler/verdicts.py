"""What a plan found when it found nothing to do, by content: the next run that sees the same says the same.

A verdict holds for the bytes of the specs, of every file that their Makejails read, and of everything that
the host showed; for the question that was asked; and for the very code of the tool. Only a plan without
steps, notes, refusals and warnings is remembered, so there is nothing to get wrong but one sentence. The
folder is its owner's alone; one that is missing, damaged or not ours is the same as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reconciler import __version__
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.recorded import unchanged
from reconciler.model.ports import Request
from reconciler.spec.cache import cache_folder, read_private, write_private
from reconciler.spec.files import read_tree


@dataclass(frozen=True, slots=True)
class Question:
    """What a plan was asked: specs as they were named, host, labels, jails, and on what paper."""

    path: Path
    url: str
    labels: tuple[tuple[str, str], ...] = ()
    only: tuple[str, ...] = ()
    paper: str = ""

    def key(self) -> str:
        """The name of its file."""
        words = (os.path.abspath(self.path), str(self.path), self.url, self.labels, self.only, self.paper)
        return hashlib.sha256(json.dumps(words).encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".json"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` is the whole answer. It holds while the host answers `request` with what has the digest `seen`."""

    request: Request
    seen: str
    text: str


def folder_of(environ: Mapping[str, str]) -> Path | None:
    """Where the command line keeps verdicts; None where there is no place for it."""
    specs = cache_folder(environ)
    return specs.parent / "verdicts" if specs is not None else None


def recall(folder: Path, question: Question) -> Verdict | None:
    """The verdict on these specs as they are now, if there is one: what it asks of the host is not checked here."""
    try:
        held = json.loads(read_private(folder, question.key()))
        if held["code"] != code_digest() or held["specs"] != read_tree(question.path).digest:
            return None
        if not unchanged(held["makejails"], LocalFiles()):
            return None
        asked = held["request"]
        request = Request(
            asked["pool"],
            asked["mountpoint"],
            frozenset(asked["facets"]),
            parameters=tuple(asked["parameters"]),
            extra_pools=tuple(asked["extra_pools"]),
        )
        return Verdict(request, held["seen"], held["text"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def remember(folder: Path, question: Question, specs: str, makejails: Mapping[str, str], verdict: Verdict) -> None:
    """Keep a verdict on specs of this digest. Fails silently: it is never needed."""
    request = verdict.request
    held: dict[str, Any] = {
        "code": code_digest(),
        "specs": specs,
        "makejails": dict(makejails),
        "request": {
            "pool": request.pool,
            "mountpoint": request.mountpoint,
            "facets": sorted(request.facets),
            "parameters": request.parameters,
            "extra_pools": request.extra_pools,
        },
        "seen": verdict.seen,
        "text": verdict.text,
    }
    write_private(folder, question.key(), json.dumps(held).encode())


def code_digest() -> str:
    """The version, the interpreter, and every file of the tool's own code by name, size and time."""
    return _code_digest(__version__)


@cache
def _code_digest(version: str) -> str:
    marks = [version, sys.version]
    waiting = [os.path.dirname(os.path.abspath(__file__))]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda found: found.name):
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":
                        waiting.append(entry.path)
                elif entry.name.endswith(".py") or folder.endswith("data"):
                    status = entry.stat()
                    marks.append(f"{entry.path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(marks).encode("utf-8", "surrogateescape")).hexdigest()
