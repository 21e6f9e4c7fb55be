"""A spec file or folder to a SpecSet: the way in for everyone else.

What is slow (parsing, pydantic, lint) is loaded only when the cache does not know the answer.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.spec.cache import Cache
from reconciler.spec.files import read_tree
from reconciler.spec.specset import SpecSet


def load(path: str | Path, cache: Path | None = None) -> SpecSet:
    """The documents of a file or folder. Raises SpecError with everything that is wrong with them.

    `cache` is a folder of the user's own (`cache_folder`), where what was read is remembered by content.
    """
    specs, problems = examine(path, cache)
    if any(problem.severity == "error" for problem in problems):
        raise SpecError(problems)
    return specs


def examine(path: str | Path, cache: Path | None = None) -> tuple[SpecSet, tuple[Diagnostic, ...]]:
    """The documents that are valid, and every diagnostic, sorted by place. Never raises for what a user wrote."""
    with collector_paused():
        tree = read_tree(path)
        store = Cache.open(cache, tree.root) if cache is not None else Cache()
        specs = store.whole(tree)
        if specs is not None:
            return specs, specs.warnings
        from reconciler.spec.examine import examine_tree, known_from

        examined = examine_tree(tree, known_from(store))
        if cache is not None and examined.valid:
            store.save(cache, tree, examined)
        return examined.specs, examined.problems


def digest_of(path: str | Path) -> str:
    """The `digest` that the SpecSet of a file or folder would have: SHA256 in hex, without parsing."""
    return read_tree(path).digest


@contextmanager
def collector_paused() -> Iterator[None]:
    """Documents and resources hold no cycles; looking for some while they are made takes a third of the time.

    What was made meanwhile is set aside until the next pause, or the first look afterwards would go through it all.
    """
    was = gc.isenabled()
    gc.disable()
    gc.unfreeze()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()
