"""Text on its way into sh(1): quoting, and double-quoted text that the host's shell expands.

`DoubleQuoted` holds exactly what stands between two double quotes in a script, so that one
value serves the script, the facts shown about an instruction, and evaluation before any run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+\Z")
_PLAIN = re.compile(r'[^\\$"`]+')
_DEEPEST = 50
_ESCAPABLE = '$`"\\'


def single(text: str) -> str:
    """Quote `text` for sh so that nothing in it is special."""
    return text if _SAFE.match(text) else "'" + text.replace("'", "'\\''") + "'"


def host_text(text: str) -> str:
    """Return `text` for use between double quotes: `$x` and `${x}` still expand on the host,
    while a backquote, a double quote, a backslash and `$(` are neutralised."""
    return re.sub(r'[`"\\]|\$(?=\()', r"\\\g<0>", text)


def literal_text(text: str) -> str:
    """Return `text` for use between double quotes with nothing special in it."""
    return re.sub(r'[`"\\$]', r"\\\g<0>", text)


@dataclass(frozen=True, slots=True)
class Expansion:
    """A parameter expansion as written, `$x` or `${x:-y}`; `body` is what `${}` would hold."""

    source: str
    body: str

    @property
    def name(self) -> str:
        """The variable's name; empty for `$1`, `$#` and the like."""
        found = _NAME.match(self.body.removeprefix("#"))
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class DoubleQuoted:
    """A word between double quotes in a host script. `source` stands between the quotes."""

    source: str

    @classmethod
    def host(cls, text: str) -> DoubleQuoted:
        """Make the word whose `$x` the host expands; see `host_text`."""
        return cls(host_text(text))

    @classmethod
    def literal(cls, text: str) -> DoubleQuoted:
        """Make the word that means `text` itself."""
        return cls(literal_text(text))

    def __add__(self, other: DoubleQuoted) -> DoubleQuoted:
        return DoubleQuoted(self.source + other.source)

    @property
    def sh(self) -> str:
        """The word as a script says it."""
        if not any(char in _ESCAPABLE for char in self.source):
            return single(self.source)
        return f'"{self.source}"'

    @property
    def parses(self) -> bool:
        """Whether the word ends where its closing quote stands."""
        try:
            self.parts()
        except ValueError:
            return False
        return True

    @property
    def static(self) -> str | None:
        """The word's value when nothing in it expands, else None."""
        if not self.parses:
            return None
        parts = self.parts()
        return None if any(isinstance(part, Expansion) for part in parts) else "".join(map(str, parts))

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that the host's shell reads for this word, those inside `${x:-$y}` too;
        none when the text breaks its own quoting."""
        if not self.parses:
            return ()
        found = [part for part in self.parts() if isinstance(part, Expansion)]
        inner = [name for part in found for name in re.findall(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)", part.body)]
        return tuple(dict.fromkeys(name for name in (*(part.name for part in found), *inner) if name))

    @property
    def notation(self) -> str:
        """The value with «x» for the value of the host variable x."""
        return "".join(f"«{p.body}»" if isinstance(p, Expansion) else p for p in self.parts())

    def parts(self) -> tuple[str | Expansion, ...]:
        """Take the word apart. Raises ValueError when its own text breaks the quoting."""
        return _parts(self.source)


@lru_cache(maxsize=4096)
def _parts(text: str) -> tuple[str | Expansion, ...]:
    found: list[str | Expansion] = []
    at = 0
    while at < len(text):
        if plain := _PLAIN.match(text, at):
            found.append(plain[0])
            at = plain.end()
            continue
        char = text[at]
        if char == "\\":
            if at + 1 == len(text):
                raise ValueError("a backslash before the closing quote")
            escaped = text[at + 1]
            found.append(escaped if escaped in _ESCAPABLE else char + escaped)
            at += 2
        elif char == "$" and (expansion := _expansion(text, at)):
            found.append(expansion)
            at += len(expansion.source)
        elif char in '"`' or text.startswith("$(", at):
            raise ValueError("a quote, a backquote or $( inside the quotes")
        else:
            found.append(char)
            at += 1
    return tuple(found)


def _expansion(text: str, at: int) -> Expansion | None:
    """Read the expansion that starts with the `$` at `at`; None when the `$` is plain text."""
    following = text[at + 1 : at + 2]
    if following == "{":
        end = _closing(text, at + 2)
        return Expansion(text[at : end + 1], text[at + 2 : end])
    if name := _NAME.match(text, at + 1):
        return Expansion("$" + name[0], name[0])
    if following and following in "0123456789#@*?$!-":
        return Expansion("$" + following, following)
    return None


def _closing(text: str, at: int) -> int:
    """Return the index of the `}` that closes the expansion whose body starts at `at`."""
    depth = 1
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text.startswith("${", at):
            depth += 1
            at += 1
            if depth > _DEEPEST:
                raise ValueError(f"more than {_DEEPEST} ${{ are open at once")
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
        at += 1
    raise ValueError("${ is never closed")
