"""What pydantic found wrong with a document, in our words and at the user's line and column."""

from __future__ import annotations

import json
import re
import shlex
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from reconciler.model.diagnostic import Diagnostic, Span
from reconciler.spec.document import KINDS
from reconciler.spec.fields import PATTERNS
from reconciler.spec.specset import Path_, Source, locate
from reconciler.spec.suggest import nearest, shorten

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "float_type": "a number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_NUMBER = re.compile(r"[-+0-9.][-+0-9A-Za-z_.]*")
_PLAIN = re.compile(r"(?!(?i:true|false|null)$)(?:--?[A-Za-z]|[A-Za-z_/])[A-Za-z0-9_/.+=@%-]*")
"""Words that YAML takes for text without quotes, wherever they stand in a list."""
_YES = frozenset({"yes", "on", "y", "t", "1"})
_NO = frozenset({"no", "off", "n", "f", "0"})
_SAME_KIND = {"a mapping": dict, "a list": list, "true or false": bool}


class _Places(Protocol):
    """Where the value at a path begins, or with `key` the key that ends it."""

    def __call__(self, path: Path_, *, key: bool = False) -> Span: ...


@dataclass(frozen=True)
class About:
    """What is being read: the word for it, its model, and where its parts stand."""

    kind: str
    model: type[BaseModel]
    place: _Places
    lines: Sequence[bytes] = ()

    def written(self, value: Any, span: Span) -> str:
        """A value for a message. A number is as it stands in the file: 15.10 is 15.1 to YAML, not to its author."""
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < span.line <= len(self.lines):
            line = self.lines[span.line - 1].decode("utf-8", "replace")
            found = _NUMBER.match(line, span.column - 1)
            if found is not None:
                return found[0]
        return shorten(value)


def translate(
    error: ValidationError, kind: str, raw: Mapping[str, Any], source: Source, index: int
) -> list[Diagnostic]:
    """One diagnostic for each place that is wrong in a spec document; the arms of a union count as one."""
    return explain(error, raw, About(kind, KINDS[kind], partial(locate, source, index), source.data.splitlines()))


def explain(error: ValidationError, raw: Mapping[str, Any], about: About) -> list[Diagnostic]:
    """The same for anything that a model describes."""
    groups: dict[Path_, list[Any]] = {}
    for item in error.errors(include_url=False, include_context=True):
        path = _written(item["loc"], raw, keep_last=item["type"] in ("missing", "extra_forbidden"))
        groups.setdefault(path, []).append(item)
    return [_diagnose(path, items, about) for path, items in groups.items()]


def _written(loc: Path_, raw: Any, *, keep_last: bool) -> Path_:
    """The part of a location that the user wrote; pydantic adds the names of union arms to it."""
    path: list[str | int] = []
    for number, part in enumerate(loc):
        if (isinstance(raw, dict) and part in raw) or (isinstance(raw, list) and isinstance(part, int)):
            raw = raw[part]  # type: ignore[index]
        elif not (keep_last and number == len(loc) - 1):
            break
        path.append(part)
    return tuple(path)


def _diagnose(path: Path_, items: list[Any], about: About) -> Diagnostic:
    found = items[0]["type"]
    if found == "extra_forbidden":
        return _unknown_key(path, about)
    if found == "missing":
        where = f"`{_show(path[:-1])}`" if path[:-1] else f"This {about.kind} document"
        detail = f"{where} has no `{path[-1]}`."
        field = _field(about.model, path)
        hint = f"Add `{path[-1]}: ...`" + (f": {field}" if field else ".") + _keys_hint(about.model, path)
        return Diagnostic("missing-key", "Required key is missing", detail, hint, about.place(path[:-1]))
    value = items[0]["input"]
    wanted = " or ".join(dict.fromkeys(_wanted(item) for item in items))
    span = about.place(path)
    name = f"`{_show(path)}`"
    if all(item["type"] in _TYPES for item in items):
        shown = about.written(value, span)
        detail = f"{name} is {wanted}, not {shown}."
        hint = _type_hint(path, value, wanted, shown)
        if wanted == "a mapping":
            hint += _keys_hint(about.model, path)
        return Diagnostic("wrong-type", "Value has the wrong type", detail, hint, span)
    detail = f"{name} must be {wanted}, not {'empty' if value in ([], {}, '') else about.written(value, span)}."
    return Diagnostic("bad-value", "Value is not allowed", detail, _value_hint(items, value), span)


def _wanted(item: Any) -> str:
    """What was expected, in words."""
    found, ctx = item["type"], item.get("ctx", {})
    if found in _TYPES:
        return _TYPES[found]
    match found:
        case "literal_error":
            return str(ctx["expected"]).replace("'", "")
        case "string_pattern_mismatch":
            return PATTERNS.get(ctx["pattern"], f"text like {ctx['pattern']}")
        case "value_error":
            words = str(ctx["error"])
            return words.removeprefix("expected ").rsplit(", not ", 1)[0]
        case "greater_than_equal":
            return f"at least {ctx['ge']}"
        case "less_than_equal":
            return f"at most {ctx['le']}"
        case "too_short":
            return f"a list of at least {ctx['min_length']}"
        case "string_too_long":
            return f"at most {ctx['max_length']} characters long"
        case _:
            return str(item["msg"])


def _type_hint(path: Path_, value: Any, wanted: str, shown: str) -> str:
    key = path[-1] if path and isinstance(path[-1], str) else "value"
    word = str(value).lower()
    if "true or false" in wanted and word in _YES | _NO:
        return f"YAML 1.2 takes only true and false: {key}: {'true' if word in _YES else 'false'}"
    if value is None:
        return f"Give it a value, or remove `{key}:`."
    if key == "release" and isinstance(value, int | float):
        return f"Its whole name: release: {shown}-RELEASE"
    if "text" in wanted and isinstance(value, bool | int | float):
        return f'Put it in quotes: {key}: "{shown}"'
    if "a whole number" in wanted and isinstance(value, str) and value.isdigit():
        return f"Without quotes: {key}: {value}"
    if wanted == "a list" and isinstance(value, str | int | float):
        return f"Write a list: {key}: [{', '.join(_as_words(value)) if key == 'command' else value}]"
    if wanted == "a mapping":
        return f"Write `{key}:` and its keys below it, indented."
    return ""


def _value_hint(items: list[Any], value: Any) -> str:
    allowed = [
        word.strip(" '")
        for item in items
        if item["type"] == "literal_error"
        for word in str(item["ctx"]["expected"]).replace(" or ", ",").split(",")
    ]
    found = nearest(str(value), allowed) if allowed else None
    if found:
        return f"Did you mean `{found}`?"
    pattern = next((item["ctx"]["pattern"] for item in items if item["type"] == "string_pattern_mismatch"), "")
    if pattern.startswith("^sha256:") and isinstance(value, str) and len(value) == 64:
        return f"Write sha256:{value.lower()}"
    if "RELEASE" in pattern and "-p" in str(value):
        return "Write the level as its own key: patch_level: " + str(value).rsplit("-p", 1)[1]
    if pattern.startswith("^[a-z][a-z0-9_-]") and isinstance(value, str) and value.lower() != value:
        return f"Small letters only: {value.lower()}"
    return ""


def _unknown_key(path: Path_, about: About) -> Diagnostic:
    key = str(path[-1])
    article = "An" if about.kind[:1] in "AEIOU" else "A"
    where = f"`{_show(path[:-1])}`" if path[:-1] else f"{article} {about.kind} document"
    known = _keys(about.model, path[:-1])
    found = nearest(key, known)
    if found and found != key:
        hint = f"Did you mean `{found}`?"
    elif key == "<<":
        hint = "Merge keys are not part of YAML 1.2; use an alias for a whole value."
    elif elsewhere := [spot for spot in _places_of(about.model, key) if spot]:
        hint = f"`{key}` belongs in {' or '.join(elsewhere[:3])}."
    else:
        hint = "Its keys are: " + ", ".join(known) + "."
    detail = f"{where} has no key `{key}`."
    return Diagnostic("unknown-key", "Unknown key", detail, hint, about.place(path, key=True))


def _show(path: Path_) -> str:
    """A path as a user would say it: network.vnet.expose[0].host."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "document"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation may hold, through optionals, tuples and Annotated."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for part in typing.get_args(annotation):
        if not isinstance(part, str):
            yield from _models(part)


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _model_at(model: type[BaseModel], path: Path_) -> type[BaseModel] | None:
    for part in path:
        if isinstance(part, int):
            continue
        info = _fields(model).get(part)
        inner = next(_models(info.annotation), None) if info is not None else None
        if inner is None:
            return None
        model = inner
    return model


def _keys_hint(model: type[BaseModel], path: Path_) -> str:
    """A sentence about the keys that belong below a path, where it is a mapping of known ones."""
    keys = _keys(model, path)
    return f" Its keys are: {', '.join(keys)}." if keys else ""


def _as_words(value: str | float) -> list[str]:
    """A command line as the words of a YAML list; a command is run without a shell."""
    try:
        words = shlex.split(str(value))
    except ValueError:
        return [str(value)]
    return [word if _PLAIN.fullmatch(word) else json.dumps(word, ensure_ascii=False) for word in words]


def _keys(model: type[BaseModel], path: Path_) -> list[str]:
    inner = _model_at(model, path)
    return list(_fields(inner)) if inner is not None else []


def _field(model: type[BaseModel], path: Path_) -> str:
    inner = _model_at(model, path[:-1])
    info = _fields(inner).get(str(path[-1])) if inner is not None else None
    return info.description or "" if info is not None else ""


def _places_of(model: type[BaseModel], key: str) -> tuple[str, ...]:
    """Where else in a document a key is known, for those who wrote it one level off."""
    return _index(model).get(key, ())


@cache
def _index(model: type[BaseModel]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    waiting: list[tuple[str, type[BaseModel]]] = [("", model)]
    while waiting:
        where, at = waiting.pop(0)
        for name, info in _fields(at).items():
            found.setdefault(name, []).append(f"`{where}`" if where else "")
            waiting += [(f"{where}.{name}".lstrip("."), inner) for inner in _models(info.annotation)]
    return {name: tuple(places) for name, places in found.items()}
