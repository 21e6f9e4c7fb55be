"""The effective documents as YAML: what the user wrote, every default marked as one, and what a Makejail says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from reconciler.model.diagnostic import Span
from reconciler.spec.fields import SECONDS, UNITS
from reconciler.spec.scalar import resolve
from reconciler.spec.select import Selected
from reconciler.spec.specset import Path_, Sourced, SpecSet

_PLAIN = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_/.@%+~-]*\Z")
# What YAML 1.1 would take for a boolean, an octal number or a date: quoted, for those who read it so.
_OLD = re.compile(r"(?:yes|no|on|off|y|n|[0-9_]+|\d{4}-\d\d?-\d\d?)\Z", re.IGNORECASE)
_SIZES = frozenset({"quota", "reservation", "recordsize", "min_free"})
_DURATIONS = frozenset({"interval", "timeout", "start_period"})
_MARK = "  # default"


def render(documents: Iterable[tuple[str, Sourced[Any]]]) -> str:
    """Documents as one YAML text. A comment says where each stands and which values are defaults."""
    return "---\n".join(_document(kind, item) for kind, item in documents)


def of_host(selected: Selected) -> list[tuple[str, Sourced[Any]]]:
    """The documents of one machine, its Host document's defaults applied."""
    hosts = [] if selected.host_source is None else [("Host", selected.host_source)]
    return [
        *hosts,
        *(("Release", item) for item in selected.releases.values()),
        *(("Package", item) for item in selected.packages.values()),
        *(("Jail", item) for item in selected.jails.values()),
    ]


def of_all(specs: SpecSet) -> list[tuple[str, Sourced[Any]]]:
    """Every document, as written, with the defaults of its kind only."""
    return list(specs.documents())


def _document(kind: str, item: Sourced[Any]) -> str:
    place = str(item.place())
    lines = [f"# {place if place.isprintable() else ascii(place)}", f"kind: {kind}"]
    lines += _Writer(item.origins).model(item.doc, item.raw, "", (), skip="kind")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes fields with a mark where the user did not write them; `origins` are places in a Makejail, by path."""

    origins: Mapping[Path_, Span]

    def model(self, model: BaseModel, raw: Any, indent: str, at: Path_, skip: str = "") -> list[str]:
        """The fields of a model; `raw` is what the user wrote for it. Absent optional values are left out."""
        written = raw if isinstance(raw, Mapping) else {}
        lines: list[str] = []
        for name, info in type(model).model_fields.items():
            key = info.alias or name
            value = getattr(model, name)
            if key == skip or value is None:
                continue
            lines += self._entry(key, value, written.get(key), (*at, key), indent, written=key in written)
        return lines

    def _mark(self, at: Path_, *, written: bool) -> str:
        """Where a value comes from, unless it stands in the document itself."""
        if at in self.origins:
            place = str(self.origins[at])
            return f"  # {place if place.isprintable() else ascii(place)}"
        return "" if written else _MARK

    def _entry(self, key: str, value: Any, raw: Any, at: Path_, indent: str, *, written: bool) -> list[str]:
        """One key and its value; a comment where the user did not write it."""
        name = _scalar(key, "")
        mark = self._mark(at, written=written)
        if isinstance(value, BaseModel):
            inside = self.model(value, raw, indent + "  ", at)
            return [f"{indent}{name}:{mark}", *inside] if inside else [f"{indent}{name}: {{}}{mark}"]
        if isinstance(value, Mapping) and value:
            lines = [f"{indent}{name}:{mark}"]
            for word, each in value.items():
                lines += self._entry(str(word), each, each, (*at, str(word)), indent + "  ", written=True)
            return lines
        if isinstance(value, tuple) and any(isinstance(each, BaseModel) for each in value):
            items = raw if isinstance(raw, list) else []
            lines = [f"{indent}{name}:{mark}"]
            for number, each in enumerate(value):
                own = items[number] if number < len(items) else None
                lines += self._item(each, own, indent, (*at, number))
            return lines
        if isinstance(value, tuple) and any((*at, number) in self.origins for number in range(len(value))):
            marks = [self._mark((*at, number), written=True) for number in range(len(value))]
            listed = [f"{indent}  - {_flow(each, key)}{own}" for each, own in zip(value, marks, strict=True)]
            return [f"{indent}{name}:{mark}", *listed]
        return [f"{indent}{name}: {_flow(value, key)}{mark or _added(value, raw)}"]

    def _item(self, model: BaseModel, raw: Any, indent: str, at: Path_) -> list[str]:
        """One model of a list: a dash before its first line; one that the user did not write is a default."""
        lines = self.model(model, raw, indent + "    ", at)
        if raw is None:
            lines = [line if line.endswith(_MARK) else line + _MARK for line in lines]
        return [f"{indent}  - {lines[0].lstrip()}", *lines[1:]] if lines else [f"{indent}  - {{}}"]


def _added(value: Any, raw: Any) -> str:
    """A list that is longer than the user's got the rest from the host."""
    if isinstance(value, tuple) and isinstance(raw, list) and len(value) > len(raw):
        return f"  # the last {len(value) - len(raw)} by default"
    return ""


def _flow(value: Any, key: str) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_flow(each, key) for each in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(k), '')}: {_flow(v, '')}" for k, v in value.items()) + "}"
    return _scalar(value, key)


def _scalar(value: Any, key: str) -> str:
    """A value as YAML 1.2 that reads back the same; sizes and durations with their units."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and key in _SIZES:
        return _with_unit(value, reversed(UNITS.items()), "")
    if isinstance(value, float) and key in _DURATIONS:
        return _with_unit(value, reversed(SECONDS.items()), "s")
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    if _PLAIN.match(text) and resolve(text) == text and not _OLD.match(text):
        return text
    return _quoted(text)


def _with_unit(number: float, units: Iterable[tuple[str, float]], smallest: str) -> str:
    for unit, size in units:
        times = round(number / size)
        if times and abs(times * size - number) < 1e-9:
            return f"{times}{unit}"
    return f"{number!r}{smallest}"


def _quoted(text: str) -> str:
    """A double-quoted scalar; whatever is not printable is escaped."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif char.isprintable():
            out.append(char)
        else:
            code = ord(char)
            out.append(f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")
    return '"' + "".join(out) + '"'
