"""YAML text to plain values with places; the only door to ruamel.yaml.

Text is read as a stream of events, never composed or constructed by the library, so depth, size and
aliases are bounded while reading, tags run nothing, and every problem has its line and column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from reconciler.model.diagnostic import Diagnostic, Span
from reconciler.spec.scalar import resolve
from reconciler.spec.text import BadText, decode, tab_in_indent

try:
    from _ruamel_yaml import CParser as _CParser  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # the C library is missing on some platforms; the Python parser gives the same events
    _CParser = None

MAX_DEPTH = 64
MAX_NODES = 2_000_000
MAX_ALIASED = 200_000
MAX_SYNTAX_ERRORS = 20

_STANDARD = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset(_STANDARD + name for name in ("null", "bool", "int", "float"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node begins (line and column from 1), and where its children do.

    `keys` holds the places of a mapping's keys, `children` those of its values or of a sequence's items.
    """

    line: int
    column: int
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    children: dict[str | int, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds: the value of each document, and everything that is wrong with the text."""

    values: tuple[Any, ...]
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every document was read, however wrong its content is."""
        return all(problem.code in ("duplicate-key", "unknown-tag") for problem in self.diagnostics)


class _Stop(Exception):
    """Reading on is pointless; the reason is already among the diagnostics."""


Events = Callable[[], Any]


def _c_events(text: str) -> Events:
    get: Events = _CParser(text).get_event
    return get


def _python_events(text: str) -> Events:
    stream: Iterator[Any] = YAML(typ="safe", pure=True).parse(text)
    return stream.__next__


def parse(data: bytes, file: str, *, pure: bool = False) -> Parsed:
    """Read every document of a file. Never raises: what is wrong stands in `diagnostics`.

    `file` is how the user named the file; `pure` uses the Python parser. Empty documents are left out.
    """
    builder = _Values(file)
    _drive(builder, data, file, pure)
    return Parsed(tuple(builder.documents), tuple(builder.problems))


def places(data: bytes, file: str, *, pure: bool = False) -> tuple[Place, ...]:
    """The places of every document that `parse` returns, in the same order."""
    builder = _Places(file)
    _drive(builder, data, file, pure)
    return tuple(builder.documents)


def _drive(builder: _Builder, data: bytes, file: str, pure: bool) -> None:
    """Feed a file to a builder; after a syntax error go on with the next `---`."""
    try:
        text = decode(data, file)
    except BadText as bad:
        builder.problems.append(bad.diagnostic)
        return
    events = _python_events if pure or _CParser is None else _c_events
    while text:
        line = builder.stream(events, text)
        if line is None or len(builder.problems) >= MAX_SYNTAX_ERRORS:
            return
        rest = re.compile(r"^---(?=\s|$)", re.MULTILINE).search(text, max(1, _offset(text, line)))
        if rest is None:
            return
        builder.offset += text.count("\n", 0, rest.start())
        text = text[rest.start() :]


def _offset(text: str, line: int) -> int:
    """Where line number `line` (from 0) begins; the end of the text when there is none."""
    at = 0
    for _ in range(line):
        at = text.find("\n", at) + 1
        if at == 0:
            return len(text)
    return at


class _Builder:
    """Walks the events of one file, counting what must stay bounded. Subclasses make the nodes."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.offset = 0
        self.problems: list[Diagnostic] = []
        self.documents: list[Any] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0
        self.aliased = 0
        self.get: Events = lambda: None

    def node(self, event: Any, depth: int) -> Any:
        """Make the node that begins with `event`."""
        raise AssertionError("a builder makes nodes")  # pragma: no cover

    def stream(self, events: Callable[[str], Events], text: str) -> int | None:
        """Read documents; the line (from 0) of a syntax error that stopped it, or None at the end."""
        try:
            self.get = events(text)
            while True:
                event = self.get()
                kind = event.__class__
                if kind is StreamEndEvent:
                    return None
                if kind is DocumentStartEvent:
                    self.document()
        except _Stop:
            return None
        except (YAMLError, RecursionError, ValueError, AttributeError, StopIteration) as error:
            return self.syntax(error, text)

    def document(self) -> None:
        """Read one document; an empty one leaves nothing."""
        self.anchors = {}
        event = self.get()
        self.count(event, 0)
        if event.__class__ is ScalarEvent and event.value == "" and event.implicit[0] and not event.anchor:
            return
        self.documents.append(self.node(event, 0))

    def count(self, event: Any, depth: int) -> None:
        """Stop where the file is too deep or has too many nodes."""
        self.nodes += 1
        if depth > MAX_DEPTH:
            detail = f"Values are nested more than {MAX_DEPTH} levels deep here."
            self.stop(
                event,
                "yaml-too-deep",
                "YAML is nested too deeply",
                detail,
                "Flatten it: no document needs ten.",
            )
        if self.nodes > MAX_NODES:
            detail = f"The file holds more than {MAX_NODES:,} values."
            self.stop(event, "yaml-too-large", "File or folder too large", detail, "Split it into several files.")

    def anchor(self, event: Any, value: Any, before: int) -> None:
        """Remember an anchored node with how many nodes it stands for."""
        self.anchors[event.anchor] = (value, self.nodes - before)

    def alias(self, event: Any) -> Any:
        """What an alias stands for. Counts what it expands to, so that a few lines cannot become millions."""
        known = self.anchors.get(event.anchor)
        if known is None:
            detail = f"`*{event.anchor}` has no anchor `&{event.anchor}` before it that is complete."
            self.stop(
                event,
                "yaml-syntax",
                "YAML cannot be read",
                detail,
                "Write the anchor first, or the value itself.",
            )
        assert known is not None
        value, size = known
        self.aliased += size
        self.nodes += size
        if self.aliased > MAX_ALIASED:
            detail = f"Aliases expand to more than {MAX_ALIASED:,} values."
            self.stop(event, "yaml-bomb", "YAML aliases expand without bound", detail, "Write the values out.")
        return value

    def key(self, event: Any, depth: int) -> str:
        """A key is its own text: `on:` and `80:` are the words that the user wrote."""
        if event.__class__ is not ScalarEvent:
            detail = "A key here is a list, a mapping or an alias."
            self.stop(event, "yaml-syntax", "YAML cannot be read", detail, "A key is a word: `key: value`.")
        before = self.nodes
        self.count(event, depth)
        text = str(event.value)
        if event.anchor:
            self.nodes += len(text) // 64
            self.anchor(event, self.keyed(event), before)
        return intern(text)  # the same few in every file

    def keyed(self, event: Any) -> Any:
        """What an alias to a key stands for."""
        return event.value

    def span(self, mark: Any) -> Span:
        """The place of a mark of the library, which counts from 0."""
        return Span(self.file, mark.line + 1 + self.offset, mark.column + 1)

    def report(self, mark: Any, code: str, summary: str, detail: str, hint: str) -> None:
        """Note a problem and read on."""
        self.problems.append(Diagnostic(code, summary, detail, hint, self.span(mark)))

    def stop(self, event: Any, code: str, summary: str, detail: str, hint: str) -> None:
        """Note a problem and stop reading the file."""
        self.report(event.start_mark, code, summary, detail, hint)
        raise _Stop

    def syntax(self, error: Exception, text: str) -> int:
        """Note what the library could not read; answers the line, from 0."""
        mark = None
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, MarkedYAMLError):
            mark = error.problem_mark or error.context_mark
            words = ", ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        tab = tab_in_indent(text, line)
        if tab is not None:
            line, column = tab
            code, summary = "yaml-tab", "Tab in indentation"
            words, hint = "A tab indents this line; YAML takes spaces only", "Replace the tab by spaces."
        else:
            code, summary, hint = "yaml-syntax", "YAML cannot be read", _syntax_hint(words)
        span = Span(self.file, line + 1 + self.offset, column + 1)
        self.problems.append(Diagnostic(code, summary, words[0].upper() + words[1:] + ".", hint, span))
        return line


def _syntax_hint(words: str) -> str:
    if "mapping values are not allowed" in words:
        return "Put text that holds `: ` in quotes, or indent the key as its neighbours are."
    if "unexpected ':'" in words:
        return 'Inside { } and [ ], put text that holds a colon in quotes, such as "fd00::1".'
    if "flow" in words:
        return "Close every [ and { on this line or the one before."
    if "quoted scalar" in words:
        return "Close the quotation mark."
    if "block" in words:
        return "Indent the keys of one mapping alike."
    return "Compare the indentation and quotes here with the lines above."


class _Values(_Builder):
    """Makes plain values: dict, list, str, int, float, bool, None."""

    def node(self, event: Any, depth: int) -> Any:
        kind = event.__class__
        if kind is AliasEvent:
            return self.alias(event)
        before = self.nodes
        self.count(event, depth)
        value: Any
        if kind is ScalarEvent:
            value = self.scalar(event)
            if event.anchor:
                self.nodes += len(event.value) // 64  # what a copy of it would weigh
        elif kind is MappingStartEvent:
            value = self.mapping(event, depth)
        else:
            value = self.sequence(event, depth)
        if event.anchor:
            self.anchor(event, value, before)
        return value

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.implicit[0]:
            return resolve(text)
        tag = event.tag
        if event.implicit[1] or tag is None or tag in ("!", _STANDARD + "str"):
            return text
        if tag in _SCALAR_TAGS:
            return resolve(text)
        self.unknown_tag(event)
        return text

    def mapping(self, start: Any, depth: int) -> dict[str, Any]:
        if start.tag and start.tag != _STANDARD + "map":
            self.unknown_tag(start)
        value: dict[str, Any] = {}
        lines: dict[str, int] = {}
        get, node = self.get, self.node
        while (event := get()).__class__ is not MappingEndEvent:
            key = self.key(event, depth)
            if key in value:
                detail = f"`{key}` stands twice in one mapping; the first is on line {lines[key]}."
                hint = "Keep one of them; lists and mappings are merged by hand."
                self.report(event.start_mark, "duplicate-key", "Key stands twice", detail, hint)
            else:
                lines[key] = event.start_mark.line + 1 + self.offset
            value[key] = node(get(), depth + 1)
        return value

    def sequence(self, start: Any, depth: int) -> list[Any]:
        if start.tag and start.tag != _STANDARD + "seq":
            self.unknown_tag(start)
        value: list[Any] = []
        get, node = self.get, self.node
        while (event := get()).__class__ is not SequenceEndEvent:
            value.append(node(event, depth + 1))
        return value

    def unknown_tag(self, event: Any) -> None:
        detail = f"The tag `{event.tag}` means nothing here; no tag runs or builds anything."
        self.report(event.start_mark, "unknown-tag", "Unknown YAML tag", detail, "Remove the tag.")


class _Places(_Builder):
    """Makes `Place`s of the same text; anything that `_Values` reported is reported there."""

    def node(self, event: Any, depth: int) -> Any:
        kind = event.__class__
        if kind is AliasEvent:
            known = self.alias(event)
            span = self.span(event.start_mark)
            return Place(span.line, span.column, known.keys, known.children)
        before = self.nodes
        self.count(event, depth)
        mark = event.start_mark
        place = Place(mark.line + 1 + self.offset, mark.column + 1)
        if kind is MappingStartEvent:
            self.mapping(place, depth)
        elif kind is SequenceStartEvent:
            while (item := self.get()).__class__ is not SequenceEndEvent:
                place.children[len(place.children)] = self.node(item, depth + 1)
        elif event.anchor:
            self.nodes += len(event.value) // 64
        if event.anchor:
            self.anchor(event, place, before)
        return place

    def keyed(self, event: Any) -> Place:
        return Place(event.start_mark.line + 1 + self.offset, event.start_mark.column + 1)

    def mapping(self, place: Place, depth: int) -> None:
        while (event := self.get()).__class__ is not MappingEndEvent:
            key = self.key(event, depth)
            mark = event.start_mark
            place.keys.setdefault(key, (mark.line + 1 + self.offset, mark.column + 1))
            place.children[key] = self.node(self.get(), depth + 1)
