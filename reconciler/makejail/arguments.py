"""ARG values: the declarations of a stage held against what the user gives.

All defaults are computed first, in order, so a default sees earlier defaults but never a given
value. Then the words are read, and every ARG without `?` must not be blank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from reconciler.makejail.expand import Variables, evaluate
from reconciler.makejail.lines import SPACES
from reconciler.makejail.problem import DATA, USAGE, MakejailError, Problems, problem
from reconciler.makejail.step import Argument
from reconciler.model.diagnostic import Span


@dataclass(frozen=True, slots=True)
class Values:
    """The value of every ARG in order of first declaration, and the words left over (`$@`)."""

    values: Mapping[str, str]
    rest: tuple[str, ...] = ()


def merged(arguments: Sequence[Argument]) -> tuple[Argument, ...]:
    """One entry per name: the last default counts, and one declaration without `?` requires it."""
    found: dict[str, Argument] = {}
    for argument in arguments:
        before = found.get(argument.name)
        optional = argument.optional and (before is None or before.optional)
        found[argument.name] = Argument(argument.name, argument.default, optional, argument.span)
    return tuple(found.values())


def defaults(arguments: Sequence[Argument], environment: Mapping[str, str]) -> dict[str, str]:
    """Compute all defaults in order. Raises MakejailError 65 for what only a shell can expand."""
    known = Variables(environment)
    for argument in arguments:
        known[argument.name] = evaluate(argument.default, known, argument.span)
    return {argument.name: known[argument.name] for argument in arguments}


def apply_arguments(
    arguments: Sequence[Argument], given: Mapping[str, str], environment: Mapping[str, str] | None = None
) -> Values:
    """Hold `given` against the declarations.

    Raises MakejailError with every problem: 64 for a name that is not declared, 65 for a
    required ARG that is blank. Without any ARG, `given` is not looked at.
    """
    if not arguments:
        return Values({})
    values = defaults(arguments, environment or {})
    problems = Problems()
    for name, value in given.items():
        if name in values:
            values[name] = value
        else:
            problems.add(_unknown(name, values))
    for argument in merged(arguments):
        if not argument.optional and is_blank(values[argument.name]):
            problems.add(_missing(argument.name, argument.span))
    problems.raise_any()
    return Values(values)


def read_parameters(
    arguments: Sequence[Argument], words: Sequence[str], environment: Mapping[str, str] | None = None
) -> Values:
    """Read `--name value` words as a build does; a default may hold `$1`, `$#` and the like of them.

    Raises MakejailError: 64 unknown name, 65 a required ARG is blank, 1 a last name without value.
    """
    left = list(words)
    if not arguments:
        return Values({}, tuple(left))
    known = {argument.name for argument in arguments}
    positional = {str(at): word for at, word in enumerate(words, 1)}
    joined = " ".join(words)
    around = {**(environment or {}), "#": str(len(words)), "@": joined, "*": joined, **positional}
    defaults(arguments, around)  # before any word is looked at: what cannot be computed ends the script there
    given: dict[str, str] = {}
    while left and left[0].startswith("--"):
        name = left.pop(0)[2:]
        if not name:
            break
        if name not in known:
            raise _unknown(name, known)
        if not left:
            raise problem(1, "argument-value", "An argument lacks its value", f"Nothing follows --{name}.")
        given[name] = left.pop(0)
    return Values(apply_arguments(arguments, given, around).values, tuple(left))


def is_blank(value: str) -> bool:
    """Say whether a value counts as missing: it is empty, or a line of it has white space alone.

    Empty lines do not count; that is the original's own test, line by line.
    """
    return not value or any(line and not line.strip(SPACES) for line in value.split("\n"))


def _unknown(name: str, known: Mapping[str, str] | set[str]) -> MakejailError:
    near = get_close_matches(name, sorted(known), n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Declared are {', '.join(sorted(known)) or 'none'}."
    return problem(USAGE, "argument-unknown", "There is no such argument", f"No ARG declares {name!r}.", hint)


def _missing(name: str, span: Span) -> MakejailError:
    hint = f"Give it a value (in a spec: args: {{{name}: ...}}), or a default, or let it be empty: ARG {name}?"
    return problem(DATA, "argument-missing", "A required argument is blank", f"{name} has no value.", hint, span)
