"""Reads the language's test vectors and lays their files out."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from reconciler.makejail.problem import MakejailError

FOLDER = Path(__file__).parent / "vectors"
T = TypeVar("T")
Case = dict[str, Any]


def cases(name: str) -> list[Case]:
    """All cases of one file."""
    loaded: list[Case] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def ids(name: str) -> list[str]:
    """Their names, in the same order."""
    return [case["id"] for case in cases(name)]


def lay_out(case: Case, folder: Path) -> Path:
    """Write the case's files into `folder`."""
    for name, text in case["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
    return folder


def outcome(run: Callable[[], T]) -> tuple[int, T | None]:
    """The exit status of `run`, and its result when that is 0."""
    try:
        return 0, run()
    except MakejailError as error:
        return error.status, None


def flag(args: list[str], letter: str) -> list[str]:
    """The values of a repeatable option that takes one."""
    return [value for option, value in itertools.pairwise(args) if option == letter]
