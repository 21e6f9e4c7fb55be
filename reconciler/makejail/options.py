"""Leading `--x` words of an instruction, read with the original's habits.

`--` ends the options and stays as the first operand. A flag that is the last word counts and
is an operand too. An option that wants a value and is the last word takes itself as the value.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches

from reconciler.makejail.problem import USAGE, problem
from reconciler.makejail.step import Line
from reconciler.makejail.tokens import Token, tokenize


@dataclass(frozen=True, slots=True)
class Options:
    """The options in order, the operands after them, and whether an option is an operand too."""

    given: tuple[tuple[str, str], ...]
    operands: tuple[Token, ...]
    option_is_operand: bool

    def has(self, name: str) -> bool:
        """Say whether the option was given."""
        return any(option == name for option, _ in self.given)

    def all(self, name: str) -> list[str]:
        """Return every value of the option."""
        return [value for option, value in self.given if option == name]

    def last(self, name: str) -> str | None:
        """Return the last value of the option, or None."""
        return self.all(name)[-1] if self.has(name) else None

    @property
    def words(self) -> list[str]:
        """The operands without quotes; empty words vanish."""
        return [token.plain for token in self.operands if token.plain]


def read_options(line: Line, flags: Collection[str], valued: Collection[str], usage: str) -> Options:
    """Split the line's words. Raises MakejailError 64 (usage) and TokenError (1)."""
    tokens = list(tokenize(line.rest, line.span))
    given: list[tuple[str, str]] = []
    while True:
        skipped = next((at for at, token in enumerate(tokens) if token.plain), len(tokens))
        if skipped == len(tokens):
            return Options(tuple(given), tuple(tokens), False)
        word = tokens[skipped].plain
        if not word.startswith("--") or word == "--":
            return Options(tuple(given), tuple(tokens), False)
        tokens = tokens[skipped:]
        alone = len(tokens) == 1
        if word in flags:
            given.append((word, ""))
        elif word not in valued:
            raise _refuse(line, f"{word} is no option of {line.name}.", near(word, {*flags, *valued}) or usage)
        elif len(tokens) == 2:
            raise _refuse(line, f"Nothing follows the value of {word}.", usage)
        else:
            given.append((word, word if alone else tokens[1].plain))
            tokens = tokens if alone else tokens[1:]
        if alone:
            return Options(tuple(given), tuple(tokens), True)
        tokens = tokens[1:]


def near(word: str, known: set[str]) -> str:
    """Return a hint with the known option that looks like `word`, or nothing."""
    found = get_close_matches(word, sorted(known), n=1)
    return f"Did you mean {found[0]}?" if found else ""


def _refuse(line: Line, detail: str, hint: str) -> Exception:
    return problem(USAGE, "instruction-option", "The instruction's options are not valid", detail, hint, line.span)
