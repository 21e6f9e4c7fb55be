"""jail.conf(5): text into the jails that it configures, in the order and with the words of jail(8)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.hosts.sandbox import jailparams

_DEPTH = 32
Reader = Callable[[str], list[tuple[str, str]]]
"""Gives name and text of each file that a path or pattern means; raises OSError."""


class ConfigError(Exception):
    """The file cannot be used; the words are jail(8)'s, without its name in front."""


@dataclass(slots=True)
class Token:
    """A word, string or sign. `parts` are pieces of text and `$`-marked variable names."""

    kind: str
    parts: list[tuple[str, str]]
    file: str
    line: int

    @property
    def text(self) -> str:
        """The literal text, variables left as they were written."""
        return "".join(text if kind == "text" else "${" + text + "}" for kind, text in self.parts)


@dataclass(slots=True)
class Setting:
    """`name [= values]` or `name += values`; values None for a bare name."""

    name: str
    values: list[list[tuple[str, str]]] | None
    append: bool


@dataclass(slots=True)
class Jail:
    """One configured jail: its name and its parameters as written, in order; None is a bare name."""

    name: str
    params: dict[str, list[str] | None] = field(default_factory=dict)

    def one(self, name: str) -> str | None:
        """The last value of a parameter, None where it is not given."""
        values = self.params.get(name)
        return values[-1] if values else None

    def all(self, name: str) -> list[str]:
        """Every value of a parameter."""
        return self.params.get(name) or []


def load(name: str, text: str, read: Reader) -> list[Jail]:
    """The jails of a configuration file; raises ConfigError with jail(8)'s words."""
    entries: list[tuple[str | None, list[Setting]]] = []
    _statements(_Stream(_tokens(name, text, read, 0), name), entries)
    names: list[str] = []
    for who, _ in entries:
        if who is not None and "*" not in who and who not in names:
            names.append(who)
    return [_assemble(who, entries) for who in names]


def _assemble(name: str, entries: list[tuple[str | None, list[Setting]]]) -> Jail:
    raw: dict[str, list[list[tuple[str, str]]] | None] = {}
    for who, settings in entries:
        if who is not None and not fnmatch.fnmatchcase(name, who):
            continue
        for setting in settings:
            own, plain = jailparams.positive(setting.name)
            _clear_opposite(raw, own, setting.name if not plain else None)
            if setting.values is None:
                raw[setting.name] = None
            elif setting.append:
                raw[setting.name] = [*(raw.get(setting.name) or []), *setting.values]
            else:
                raw[setting.name] = list(setting.values)
    for own in raw:
        if not own.startswith("$") and not jailparams.known(own):
            raise ConfigError(f"{name}: unknown parameter: {own}")
    jail = Jail(name)
    for own, values in raw.items():
        if not own.startswith("$"):
            expanded = None if values is None else [_expand(name, raw, v, ()) for v in values]
            jail.params[own] = expanded
    return jail


def _clear_opposite(raw: dict[str, list[list[tuple[str, str]]] | None], own: str, negated: str | None) -> None:
    """`allow.nomount` takes the place of `allow.mount`, and the other way round."""
    head, dot, tail = own.rpartition(".")
    raw.pop(own if negated else f"{head}{dot}no{tail}", None)


def _expand(
    name: str,
    raw: dict[str, list[list[tuple[str, str]]] | None],
    parts: list[tuple[str, str]],
    inside: tuple[str, ...],
) -> str:
    text = ""
    for kind, piece in parts:
        if kind == "text":
            text += piece
            continue
        if piece in inside:
            raise ConfigError(f"{name}: variable loop: {piece}")
        if piece == "name":
            text += name
            continue
        values = raw.get(f"${piece}", raw.get(piece))
        if values is None:
            raise ConfigError(f'{name}: variable "{piece}" not found')
        text += ",".join(_expand(name, raw, value, (*inside, piece)) for value in values)
    return text


class _Stream:
    """Tokens with one look ahead."""

    def __init__(self, tokens: list[Token], file: str) -> None:
        self.tokens = tokens
        self.place = 0
        self.file = file

    def peek(self) -> Token | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def next(self) -> Token:
        token = self.peek()
        if token is None:
            raise ConfigError(f"{self.file}: unexpected EOF")
        self.place += 1
        return token


def _statements(stream: _Stream, entries: list[tuple[str | None, list[Setting]]]) -> None:
    glob: list[Setting] = []
    while (token := stream.peek()) is not None:
        if token.kind == ";":
            stream.next()
            continue
        head = _word(stream)
        after = stream.next()
        if after.kind == "{":
            entries.append((head.text, _block(stream)))
            continue
        stream.place -= 1
        glob = [_setting(stream, head)]
        entries.append((None, glob))


def _block(stream: _Stream) -> list[Setting]:
    settings: list[Setting] = []
    while True:
        token = stream.next()
        if token.kind == "}":
            return settings
        if token.kind != ";":
            stream.place -= 1
            settings.append(_setting(stream, _word(stream)))


def _word(stream: _Stream) -> Token:
    token = stream.next()
    if token.kind != "word":
        raise ConfigError(f"{token.file} line {token.line}: syntax error: {token.kind}")
    return token


def _setting(stream: _Stream, head: Token) -> Setting:
    kind, piece = head.parts[0]
    name = f"${piece}" if kind == "var" and len(head.parts) == 1 else head.text
    token = stream.next()
    if token.kind == ";":
        return Setting(name, None, append=False)
    if token.kind not in ("=", "+="):
        raise ConfigError(f"{token.file} line {token.line}: syntax error: {token.text or token.kind}")
    append, values = token.kind == "+=", []
    while True:
        values.append(_word(stream).parts)
        follow = stream.next()
        if follow.kind == ";":
            return Setting(name, values, append)
        if follow.kind != ",":
            raise ConfigError(f"{follow.file} line {follow.line}: syntax error: {follow.text or follow.kind}")


_SKIP = re.compile(r"\s+|\#[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)
_SIGN = re.compile(r"\+=|[=;{},]")
_BARE = re.compile(r"[^\s;={},\"'#$\\+]+|\+(?!=)|\\.|\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*|#", re.DOTALL)
_INCLUDE = re.compile(r"\.include\s+(\"[^\"]*\"|'[^']*'|[^\s;]+)\s*;")


def _tokens(file: str, text: str, read: Reader, depth: int) -> list[Token]:
    if depth > _DEPTH:
        raise ConfigError(f"{file}: include depth exceeded")
    tokens: list[Token] = []
    place = 0
    while place < len(text):
        line = text.count("\n", 0, place) + 1
        if match := _SKIP.match(text, place):
            place = match.end()
        elif match := _INCLUDE.match(text, place):
            for name, inner in _included(match[1].strip("\"'"), read):
                tokens += _tokens(name, inner, read, depth + 1)
            place = match.end()
        elif match := _SIGN.match(text, place):
            tokens.append(Token(match[0], [], file, line))
            place = match.end()
        else:
            parts, place = _string(file, text, place)
            tokens.append(Token("word", parts, file, line))
    return tokens


def _included(pattern: str, read: Reader) -> list[tuple[str, str]]:
    try:
        return read(pattern)
    except OSError as error:
        raise ConfigError(f"{pattern}: {error.strerror}") from error


def _string(file: str, text: str, place: int) -> tuple[list[tuple[str, str]], int]:
    """Adjoining bare and quoted pieces make one word."""
    parts: list[tuple[str, str]] = []
    while place < len(text):
        if text[place] in "\"'":
            quote = text[place]
            match = re.compile(rf"{quote}((?:[^{quote}\\]|\\.)*){quote}", re.DOTALL).match(text, place)
            if match is None:
                raise ConfigError(f"{file}: unexpected EOF")
            parts += [("text", _unescape(match[1]))] if quote == "'" else _interpolated(match[1])
            place = match.end()
            continue
        match = _BARE.match(text, place)
        if match is None or (text[place : place + 2] in ("//", "/*") and parts):
            break
        parts += _interpolated(match[0])
        place = match.end()
    return parts or [("text", text[place])], place + (not parts)


def _interpolated(text: str) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = []
    for piece in re.split(r"(\\.|\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*)", text, flags=re.DOTALL):
        if piece.startswith("$") and len(piece) > 1:
            parts.append(("var", piece[1:].strip("{}")))
        elif piece:
            parts.append(("text", _unescape(piece)))
    return parts or [("text", "")]


def _unescape(text: str) -> str:
    """Backslashes as in C: known letters, three octal digits, anything else as it stands."""
    letters = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\n": ""}

    def one(match: re.Match[str]) -> str:
        word = match[1]
        return chr(int(word, 8)) if word[0] in "01234567" else letters.get(word, word)

    return re.sub(r"\\([0-7]{1,3}|.)", one, text, flags=re.DOTALL)
