"""One thing that a Makejail says of a jail's document: where it belongs, what it is, and who says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.makejail.problem import warning
from reconciler.makejail.wishes import Wish
from reconciler.model.diagnostic import Diagnostic, Span


@dataclass(frozen=True, slots=True)
class Part:
    """`path` leads to a field of the Jail document; a member of a list is named by its key, such as
    ("volumes", "data", "mode"). `append`: the field is a plain list, and `value` one of its members.

    `weak` marks what is derived and not said: it yields to the spec without a word.
    """

    path: tuple[str, ...]
    value: Any
    span: Span
    by: str
    append: bool = False
    weak: bool = False


Found = list[Part | Diagnostic]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the readers of options may look at.

    `raw` is the document as its user wrote it, `files` what a Makejail's options name (None: not there), and
    `networks` the virtual networks that are known by their bridge: (network, gateway).
    """

    jail: str
    raw: Mapping[str, Any]
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    networks: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def network(self) -> Mapping[str, Any]:
        """What the document says of its network."""
        said = self.raw.get("network")
        return said if isinstance(said, Mapping) else {}


_RULESETS = ("hide_all", "unhide_basic", "unhide_login", "jail", "jail_vnet")
"""What /etc/defaults/devfs.rules calls its rulesets from 1 on: `$devfsrules_NAME`."""


def rule(words: Sequence[str]) -> str:
    """A devfs rule as a spec has it, with the system's rulesets by number."""
    names = {f"$devfsrules_{name}": str(number) for number, name in enumerate(_RULESETS, 1)}
    return " ".join(names.get(word, word) for word in words)


def said_by(wish: Wish) -> str:
    """The OPTION as a message names it."""
    return f"OPTION {wish.option}"


def part(path: str, value: Any, wish: Wish, *, append: bool = False, weak: bool = False) -> Part:
    """What an OPTION says of a field; a path is written with slashes, as keys may hold dots."""
    return Part(tuple(path.split("/")), value, wish.span, said_by(wish), append, weak)


def incomplete(wish: Wish, detail: str, hint: str = "") -> Diagnostic:
    """The warning about an OPTION that cannot be used as it stands."""
    where = hint or f"In the spec: {wish.rule.says}"
    return warning("option-incomplete", "An OPTION cannot be used as it stands", detail, where, wish.span)


def ignored(wish: Wish, words: str) -> Diagnostic:
    """The warning about those words of an OPTION that mean nothing here."""
    detail = f"In OPTION {wish.option}, {words} has no effect here; the rest has."
    return warning("option-part-ignored", "Part of an OPTION has no effect", detail, "Leave it out.", wish.span)
