"""What an instruction is given and what it compiles to.

One file in instructions/ offers one `Instruction`: a name and a function from a `Line` and the
stage's `State` to a `Step`, or to None when it only changes the state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.makejail.effects import Effect
from reconciler.makejail.lines import blank
from reconciler.makejail.outside import Outside
from reconciler.makejail.problem import USAGE, problem
from reconciler.makejail.quoting import DoubleQuoted, Expansion, single
from reconciler.model.diagnostic import Diagnostic, Span


@dataclass(frozen=True, slots=True)
class Line:
    """An instruction line. `rest` is everything after the first space, untouched.

    `cwd` is the folder of the file that the line stands in; `directory` is set on the `cd`
    lines that INCLUDE makes and is the folder that they enter; `root` is the first file's folder, and `outside` what
    `directory` is of where it is not in there.
    `origin` knows where the line's characters stand in the user's file.
    """

    stage: str
    name: str
    rest: str
    span: Span
    cwd: str = ""
    directory: str = ""
    root: str = ""
    origin: Callable[[int], Span] | None = None
    outside: Outside | None = None

    def at(self, offset: int) -> Span:
        """The place of the character `offset` of `rest`."""
        return self.origin(len(self.name) + 1 + offset) if self.origin else self.span


@dataclass(frozen=True, slots=True)
class Argument:
    """An ARG of a stage; `default` is expanded by the host's shell before any value is read."""

    name: str
    default: DoubleQuoted
    optional: bool
    span: Span


@dataclass(frozen=True, slots=True)
class CopySource:
    """A COPY source that is known before the build: the absolute local `path` and the `name`
    that it has in its staged folder. `code` is what stands before and after that folder's number."""

    path: str
    name: str
    code: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Nested:
    """Another jail that EXEC builds: an INCLUDE argument, or the name of a GLOBAL, seen from the folder `cwd`."""

    name: DoubleQuoted
    file: DoubleQuoted
    cwd: str
    parameters: tuple[DoubleQuoted, ...]
    build_arguments: tuple[DoubleQuoted, ...]
    options: tuple[DoubleQuoted, ...]
    before: tuple[DoubleQuoted, ...]
    after: tuple[DoubleQuoted, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Step:
    """One compiled instruction.

    `operands` are the facts about it. `script` is one sh command, or "" when nothing runs.
    `names` are the host variables it reads. `inside` means it enters the jail, `host_code` that
    it runs the user's code on the host, `needs_context` that it reads the Makejail's folder.
    `lasting` means that it may change files in the jail. `enters` marks the `cd` of an INCLUDE,
    `silent` an instruction that only changed the state. `effect` is what the instruction wants of
    the jail's runtime; `unavailable` says what to do instead where a build cannot carry it out. `nested` is the
    jail that EXEC builds, `ends` the one that DESTROY removes.
    """

    name: str
    text: str
    span: Span
    operands: Mapping[str, object] = field(default_factory=dict)
    script: str = ""
    names: tuple[str, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()
    packages: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    copy: CopySource | None = None
    raw: bool = False
    inside: bool = False
    host_code: bool = False
    needs_context: bool = False
    network: bool = False
    lasting: bool = False
    enters: bool = False
    silent: bool = False
    effect: Effect | None = None
    nested: Nested | None = None
    ends: DoubleQuoted | None = None
    unavailable: str = ""
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def words(self) -> Iterator[DoubleQuoted]:
        """Every operand that the host's shell expands."""
        return _quoted(self.operands)


@dataclass(frozen=True, slots=True)
class EnvWord:
    """A NAME=VALUE word of RUN's environment.

    `shown` is its value in the facts' notation, `sh` the text that stands in the host's script
    and becomes the quoted word of the jail's shell; `names` the host variables in it.
    """

    shown: str
    sh: str
    names: tuple[str, ...] = ()

    @classmethod
    def expanding(cls, name: str, value: str) -> EnvWord:
        r"""The word of a value in which `$x` expands in the jail's shell; or, where it holds a `\$` or `$(`, on the
        host. Raises ValueError when the value breaks its own quoting."""
        # A backslash makes the $ after it literal, unless the value ends there or a ( follows; else it is as in COPY.
        word = DoubleQuoted(f"{name}=" + re.sub(r'\\(?!\$[^(])|["`]|\$(?=\()', r"\\\g<0>", value))
        parts = word.parts()
        if re.search(r"\\\$|\$\(", value):
            return cls(word.notation, f'"$(reconciler_quote {word.sh})"', word.names)
        shown = "".join(f"‹{part.body}›" if isinstance(part, Expansion) else part for part in parts)
        return cls(shown, single(word.sh))


@dataclass(frozen=True, slots=True)
class Image:
    """What FROM names: the jail is then made of an image instead of a release."""

    platform: DoubleQuoted
    name: DoubleQuoted
    tag: DoubleQuoted
    span: Span


@dataclass(slots=True)
class State:
    """What the state instructions of one stage have set so far. `given` and `late` are RUN's environment
    from elsewhere: for the build, and for stages after it. `globals` are shared by all stages;
    `imports` are FROM's steps, which run before the jail is made; `platform` is what FROM defaults to.
    """

    user: str = "root"
    workdir: str = ""
    entrypoint: str = ""
    environment: list[EnvWord] = field(default_factory=list)
    given: tuple[EnvWord, ...] = ()
    late: tuple[EnvWord, ...] = ()
    passed: list[str] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)
    options: list[tuple[DoubleQuoted, Span]] = field(default_factory=list)
    labels: list[tuple[str, DoubleQuoted, Span]] = field(default_factory=list)
    imports: list[Step] = field(default_factory=list)
    image: Image | None = None
    globals: dict[str, list[str]] = field(default_factory=dict)
    platform: str = "amd64"
    steps: list[Step] = field(default_factory=list)

    def pass_on(self, name: str) -> None:
        """Put the host variable `name` into the environment of every later CMD."""
        if name not in self.passed:
            self.passed.append(name)

    @property
    def run_environment(self) -> tuple[EnvWord, ...]:
        """RUN's environment in order: the values given by the user stand after the first ENV, or last."""
        return (*self.environment[:1], *self.given, *self.environment[1:], *self.late)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of the language. `compile` raises MakejailError for what it refuses."""

    name: str
    compile: Callable[[Line, State], Step | None]
    build_only: bool = False


def _quoted(value: object) -> Iterator[DoubleQuoted]:
    if isinstance(value, DoubleQuoted):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _quoted(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _quoted(item)


def required(line: Line, usage: str) -> str:
    """Return the line's arguments. Raises MakejailError 64 when there are none."""
    if blank(line.rest):
        raise problem(
            USAGE,
            "usage",
            "The instruction lacks its arguments",
            f"{line.name} stands alone.",
            usage,
            line.span,
        )
    return line.rest
