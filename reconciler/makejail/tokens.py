"""The tokenizer of instruction arguments and of template values.

Only a space separates words. A closing quote ends its word. A backslash escapes itself and
the quote that is open, also inside single quotes; before anything else it stays. An empty
word vanishes from the plain reading but not from the quoted one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.makejail.problem import TOKENIZER, MakejailError
from reconciler.model.diagnostic import Diagnostic, Span

_SPECIAL = re.compile(r"[\"'\\]")


class TokenError(MakejailError):
    """The line ends inside quotes or in a lone backslash (status 1)."""

    def __init__(self, detail: str, hint: str, span: Span | None, text: str = "", offset: int = 0) -> None:
        """Say what is open at the end of the line; it begins at `offset` of `text`."""
        self.text, self.offset = text, offset
        super().__init__(Diagnostic("tokenizer", "The line cannot be split into words", detail, hint, span), TOKENIZER)


@dataclass(frozen=True, slots=True)
class Token:
    """One word: `plain` without quotes and escapes (may be empty), `quoted` as written."""

    plain: str
    quoted: str


def tokenize(text: str, span: Span | None = None) -> tuple[Token, ...]:
    """Split `text` into words. Raises TokenError and nothing else."""
    if not _SPECIAL.search(text):
        return tuple(Token(word, word) for word in text.split(" ") if word)
    tokens: list[Token] = []
    plain: list[str] = []
    quoted: list[str] = []
    quote, opened = "", 0
    characters = enumerate(text)

    def end() -> None:
        if quoted:
            tokens.append(Token("".join(plain), "".join(quoted)))
        plain.clear()
        quoted.clear()

    for at, char in characters:
        if char == "\\":
            _, following = next(characters, (at, ""))
            if not following:
                hint = "Remove it, or write \\\\ for one backslash."
                raise TokenError("A backslash stands at the end.", hint, span, text, at)
            plain.append(following if following in ("\\", quote) else char + following)
            quoted.append(char + following)
        elif char in "\"'" and not quote:
            quote, opened = char, at
            quoted.append(char)
        elif quote and char == quote:
            quote = ""
            quoted.append(char)
            end()
        elif char == " " and not quote:
            end()
        else:
            plain.append(char)
            quoted.append(char)
    if quote:
        raise _unclosed(quote, span, text, opened)
    end()
    return tuple(tokens)


def _unclosed(quote: str, span: Span | None, text: str, opened: int) -> TokenError:
    hint = f"Close it, or write \\{quote} inside quotes."
    return TokenError(f"A {quote} is opened and never closed.", hint, span, text, opened)


def words(text: str, span: Span | None = None) -> list[str]:
    """Return the words without quotes and escapes; empty words vanish."""
    return [token.plain for token in tokenize(text, span) if token.plain]


def quoted_words(text: str, span: Span | None = None) -> list[str]:
    """Return the words as written, quotes and escapes kept."""
    return [token.quoted for token in tokenize(text, span)]
