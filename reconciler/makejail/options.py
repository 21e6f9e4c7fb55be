"""Leading `--x` words of an instruction, read with the original's habits.

`--` ends the options and stays as the first operand. A flag that is the last word counts and
is an operand too. An option that wants a value and is the last word takes itself as the value.
Words of white space alone are passed over until the first operand.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches

from reconciler.makejail.lines import blank
from reconciler.makejail.problem import USAGE, MakejailError, problem
from reconciler.makejail.step import Line
from reconciler.makejail.tokens import tokenize


@dataclass(frozen=True, slots=True)
class Options:
    """The options in order, and the operands after them.

    `words` are operands without quotes, `written` with them: counted from the same place, so the two
    differ where empty quotes, which are a word only as written, stand before. `complete` is whether an
    operand ended the options; `last` is the last word looked at, an operand or not.
    """

    given: tuple[tuple[str, str], ...]
    words: tuple[str, ...]
    written: tuple[str, ...]
    complete: bool
    last: str

    def has(self, name: str) -> bool:
        """Say whether the option was given."""
        return any(option == name for option, _ in self.given)

    def all(self, name: str) -> list[str]:
        """Return every value of the option."""
        return [value for option, value in self.given if option == name]

    def value(self, name: str) -> str | None:
        """Return the last value of the option, or None."""
        return self.all(name)[-1] if self.has(name) else None


def read_options(line: Line, flags: Collection[str], valued: Collection[str], usage: str) -> Options:
    """Split the line's words. Raises MakejailError 64 (usage) and TokenError (1)."""
    tokens = tokenize(line.rest, line.span)
    plain = [token.plain for token in tokens if token.plain]
    given: list[tuple[str, str]] = []
    at, complete = 0, False
    while at < len(plain) and not complete:
        word = plain[at]
        at += 1
        if blank(word):
            continue
        complete = not word.startswith("--") or word == "--"
        if word in flags:
            given.append((word, ""))
        elif word in valued:
            at += 1
            given.append((word, _value(line, plain, at, usage)))
        elif not complete:
            raise _refuse(line, f"{word} is no option of {line.name}.", near(word, {*flags, *valued}) or usage)
    start = max(at - 1, 0)
    written = tuple(token.quoted for token in tokens)[start:]
    last = plain[min(start, len(plain) - 1)] if plain else ""
    return Options(tuple(given), tuple(plain[start:]), written, complete, last)


def _value(line: Line, plain: list[str], at: int, usage: str) -> str:
    """The value of the option before `at`, a count of words; the option itself where it is the last."""
    value = plain[min(at, len(plain)) - 1]
    if at == len(plain):
        raise _refuse(line, f"Nothing follows the value of {plain[at - 2]}.", usage)
    if blank(value):
        raise _refuse(line, f"The value of {plain[at - 2]} is blank.", usage)
    return value


def near(word: str, known: set[str]) -> str:
    """Return a hint with the known option that looks like `word`, or nothing."""
    found = get_close_matches(word, sorted(known), n=1)
    return f"Did you mean {found[0]}?" if found else ""


def lacking(line: Line, usage: str) -> MakejailError:
    """The error (64) about an instruction whose operands are missing or blank; the caller raises it."""
    summary = "The instruction lacks its arguments"
    return problem(USAGE, "usage", summary, f"{line.name} lacks an operand, or has a blank one.", usage, line.span)


def _refuse(line: Line, detail: str, hint: str) -> MakejailError:
    return problem(USAGE, "instruction-option", "The instruction's options are not valid", detail, hint, line.span)
