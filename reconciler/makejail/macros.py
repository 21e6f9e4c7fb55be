"""Build arguments: `%{NAME:default}` and `%{NAME!description}` define, `%{NAME}` refers.

The original works with sed(1) over whole lines, and its habits are part of the language:
`&` in a value means the matched text, the character before a definition goes with it when
a value is given, the second of two adjacent references or definitions is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconciler.makejail.include import Flat, FlatLine
from reconciler.makejail.lines import head
from reconciler.makejail.problem import DATA, problem, warning
from reconciler.model.diagnostic import Diagnostic, Span

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_VALUE = r"(?:\\\}|[^}])*"
_DEFINITION = re.compile(rf"(^|[^%])%\{{{_NAME}[:!]{_VALUE}\}}")
_INNERMOST = re.compile(rf".*%\{{({_NAME})([:!])({_VALUE})\}}\Z")
_ESCAPED = re.compile(rf"%%\{{({_NAME})\}}")


@dataclass(frozen=True, slots=True)
class _Macro:
    name: str
    required: bool
    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Expanded:
    """The lines after macro replacement."""

    lines: tuple[FlatLine, ...]
    warnings: tuple[Diagnostic, ...] = ()


def build_arguments(given: Iterable[str]) -> dict[str, str]:
    """Read `NAME=VALUE` and `NAME` words. Raises MakejailError 65 for a name given twice."""
    values: dict[str, str] = {}
    for word in given:
        name, value = head(word, "=")
        if name in values:
            raise problem(DATA, "build-argument-twice", "A build argument is given twice", f"{name} is given twice.")
        values[name] = value
    return values


def expand_macros(flat: Flat, given: Sequence[str] = ()) -> Expanded:
    """Replace all build arguments; `given` are `NAME=VALUE` words.

    Raises MakejailError 65: a given name without a definition, a `!` definition without a value.
    """
    lines = list(flat.lines)
    for name, value in build_arguments(given).items():
        lines = _assign(lines, name, value)
    warnings: list[Diagnostic] = []
    defined: dict[str, _Macro] = {}
    for macro in _definitions(lines):
        if macro.required:
            raise problem(
                DATA,
                "build-argument-missing",
                "A build argument has no value",
                f"%{{{macro.name}!…}} must be given: {macro.value or 'no description'}.",
                f"Give {macro.name}=VALUE as a build argument.",
                macro.span,
            )
        if macro.name in defined:
            detail = f"%{{{macro.name}:…}} was defined before; the first definition counts."
            hint = "Remove one of the two definitions."
            warnings.append(warning("macro-twice", "A build argument is defined twice", detail, hint, macro.span))
            continue
        defined[macro.name] = macro
        reference = f"%{{{macro.name}}}"
        lines = [line.with_text(_refer(line.text, macro)) if reference in line.text else line for line in lines]
    erased = [line.with_text(_edited(_DEFINITION, r"\1", line.text)) for line in lines]
    kept = [line.with_text(_ESCAPED.sub(r"%{\1}", line.text)) for line in erased if line.text]
    return Expanded(tuple(kept), tuple(warnings))


def _definitions(lines: list[FlatLine]) -> list[_Macro]:
    found = []
    for line in lines:
        for piece in _DEFINITION.finditer(line.text, 0, _closed(line.text)):
            if inner := _INNERMOST.match(piece[0]):
                value = inner[3].replace("\\}", "}")
                found.append(_Macro(inner[1], inner[2] == "!", value, line.line.origin(piece.start())))
    return found


def _assign(lines: list[FlatLine], name: str, value: str) -> list[FlatLine]:
    pattern = re.compile(rf"(?:^|[^%])%\{{{re.escape(name)}[:!]{_VALUE}\}}")
    if not re.fullmatch(_NAME, name) or not any(pattern.search(one.text, 0, _closed(one.text)) for one in lines):
        raise problem(
            DATA,
            "build-argument-unknown",
            "A build argument is not defined",
            f"No line defines %{{{name}:default}} or %{{{name}!description}}.",
            f"Remove {name}, or define it in the Makejail.",
        )
    body = value.replace("}", "\\}")

    def given(match: re.Match[str]) -> str:
        return f"%{{{name}:{body.replace('&', match[0])}}}"

    return [line.with_text(_edited(pattern, given, line.text)) for line in lines]


def _closed(text: str) -> int:
    """How much of a text can hold definitions: what comes after the last brace is never looked through for its end."""
    return text.rfind("}") + 1


def _edited(pattern: re.Pattern[str], new: str | Callable[[re.Match[str]], str], text: str) -> str:
    end = _closed(text)
    return pattern.sub(new, text[:end]) + text[end:] if end else text


def _refer(text: str, macro: _Macro) -> str:
    def value(match: re.Match[str]) -> str:
        return match[1] + macro.value.replace("&", match[0])

    return re.sub(rf"(^|[^%])%\{{{macro.name}\}}", value, text)
