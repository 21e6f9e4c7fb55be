"""Which packages PKG installs, as far as its variables are known before the run. Pure.

What is resolved wrongly here does no harm: a build holds what was installed to the lock afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.makejail.blocks import Blocks
from reconciler.makejail.expand import evaluate
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Step

_WORD = re.compile(r"(?<![\w$])(?<!\$\{)[A-Za-z_]\w*")
_ANYTHING = frozenset({"eval", "source"})


def resolved(steps: Sequence[Step], values: Mapping[str, str]) -> Iterator[Step]:
    """The steps, with the packages of each PKG by the names that its variables stand for.

    `values` are the host's variables that are known at first; VAR sets more, in order. A word with a variable that
    only the run knows stays as it is written.
    """
    now, blocks = dict(values), Blocks()
    for step in steps:
        if step.raw:
            blocks.feed(step.script)
            _forget(now, step.script)
        elif step.script:
            blocks.feed_command(step.script)
        if step.name == "VAR" and not step.raw:
            _set(now, step, certain=blocks.closed)
        yield replace(step, packages=tuple(_named(step, now))) if step.packages and step.names else step


def _named(step: Step, now: Mapping[str, str]) -> Iterator[str]:
    words = {word.source: word for word in step.words}
    for package in step.packages:
        word = words.get(package)
        yield (_value(word, now) if word is not None else None) or package


def _set(now: dict[str, str], step: Step, *, certain: bool) -> None:
    word = step.operands.get("value")
    value = _value(word, now) if certain and isinstance(word, DoubleQuoted) else None
    now.pop(step.names[0], None)
    if value is not None:
        now[step.names[0]] = value


def _value(word: DoubleQuoted, now: Mapping[str, str]) -> str | None:
    """What the word stands for; None where a variable in it is not known."""
    if not word.parses or not set(word.names) <= now.keys():
        return None
    try:
        return evaluate(word, now)
    except MakejailError:
        return None


def _forget(now: dict[str, str], code: str) -> None:
    """Let go of every variable that this code may change: one that it names without a $."""
    named = set(_WORD.findall(code))
    for name in [*now] if named & _ANYTHING or re.search(r"(^|[;&|\s])\.\s", code) else named & now.keys():
        del now[name]
