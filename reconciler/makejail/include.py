"""INCLUDE [method+]rest: one flat list of lines out of a Makejail and everything that it includes.

Happens before macros and before any shell, so neither `$x` nor `%{X}` means anything here.
The directory changes with the file: in the build stage that shows as `RAW cd -- "DIR"` lines,
in other stages not at all. A file may be included once per run, by its real path.

- `file` (the default): a path relative to the folder of the including file; the whole rest of the line.
- `fetch+URL`, `git+URL`, and the short forms `gh`, `github`, `gh-ssh`, `github-ssh`, `gl`, `gitlab`, `gl-ssh`,
  `gitlab-ssh`, with `--branch B` and `--file F`: in specs as far as `reconcile lock` has pinned them; a build never
  reads anything newer.
- `cmd+COMMAND`: the output of a command. In specs it is run by `reconcile lock --run-commands` alone, on the machine
  where that is typed; plans and builds read what it printed then.

    INCLUDE gh+owner/makejails --branch main --file options/network.makejail
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.makejail.lines import LogicalLine, blank, head, logical_lines
from reconciler.makejail.outside import Outside, Outsides
from reconciler.makejail.problem import DATA, MISSING, UNAVAILABLE, USAGE, MakejailError, problem, warning
from reconciler.makejail.quoting import literal_text
from reconciler.makejail.sources import Sources
from reconciler.makejail.stages import BUILD, check_stage
from reconciler.model.diagnostic import Diagnostic, Span

REMOTE = ("fetch", "cmd", "git", "gh", "github", "gh-ssh", "github-ssh", "gl", "gitlab", "gl-ssh", "gitlab-ssh")
_MACRO = re.compile(r"%\{[A-Za-z_][A-Za-z0-9_]*\}")
Method = Callable[[str, str, Span], str]
"""Fetches what `METHOD+REST` names: (rest, directory of the including file, span) to the absolute
path of the file to include. Raises MakejailError. One per method name, given to `flatten`."""


@dataclass(frozen=True, slots=True)
class OwnOnly:
    """A method that counts for INCLUDE lines of one's own files alone: not for what FROM and EXEC name, which may stand
    in a file of anybody's and is looked for from the first file's folder."""

    method: Method

    def __call__(self, rest: str, cwd: str, span: Span) -> str:
        """As the method."""
        return self.method(rest, cwd, span)


def anybodys(methods: Mapping[str, Method] | None) -> dict[str, Method]:
    """The methods that a line of any file may use, wherever it leads."""
    return {name: method for name, method in (methods or {}).items() if not isinstance(method, OwnOnly)}


@dataclass(frozen=True, slots=True)
class FlatLine:
    """A line after INCLUDE. `directory` is set on the `cd` lines that flattening adds, with the `outside` that it is
    of where it lies out of the first file's folder."""

    line: LogicalLine
    directory: str = ""
    outside: Outside | None = None

    @property
    def text(self) -> str:
        """The line's text."""
        return self.line.text

    def with_text(self, text: str) -> FlatLine:
        """Return the line with other text and the same origin."""
        return replace(self, line=replace(self.line, text=text))


@dataclass(frozen=True, slots=True)
class Flat:
    """All lines; `root` is the directory in which the build script runs. `included` says for each
    included file, as spans name it, where its INCLUDE stands. `outside` are the folders beside `root`."""

    lines: tuple[FlatLine, ...]
    root: str
    files: tuple[str, ...]
    warnings: tuple[Diagnostic, ...] = ()
    included: Mapping[str, Span] = field(default_factory=dict)
    outside: tuple[Outside, ...] = ()


def flatten(
    entry: str,
    sources: Sources,
    cwd: str,
    *,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    methods: Mapping[str, Method] | None = None,
) -> Flat:
    """Inline every INCLUDE of `entry`, an INCLUDE argument resolved in `cwd`, an absolute path.

    `before` and `after` are INCLUDE arguments put around the first file's text.
    Raises MakejailError: 64 no argument, 65 unknown method or included twice, 66 missing file
    or stage, 69 a method for which `methods` has nothing.
    """
    flattening = _Flattening(sources, dict(methods or {}), cwd, sources.realpath(cwd))
    try:
        flattening.include(entry, Span(entry), before, after)
    except MakejailError as error:
        raise through(error, flattening.included) from error
    root, seen = posixpath.dirname(flattening.seen[0]), tuple(flattening.seen)
    outside = tuple(flattening.outsides.found)
    return Flat(tuple(flattening.lines), root, seen, tuple(flattening.warnings), flattening.included, outside)


def through(error: MakejailError, included: Mapping[str, Span]) -> MakejailError:
    """Return the error with the INCLUDEs by which each of its places was reached."""
    return MakejailError(tuple(reached(found, included) for found in error.diagnostics), error.status)


def reached(found: Diagnostic, included: Mapping[str, Span]) -> Diagnostic:
    """Return the diagnostic with the INCLUDEs by which its place was reached."""
    chain, file = [], found.span.file if found.span else ""
    while file in included:
        chain.append(f"Included from {included[file]}.")
        file = included[file].file
    if not chain or chain[0] in found.detail:
        return found
    return replace(found, detail="\n".join([*filter(None, [found.detail]), *chain]))


@dataclass(slots=True)
class _Flattening:
    sources: Sources
    methods: dict[str, Method]
    cwd: str
    start: str
    stage: str = BUILD
    lines: list[FlatLine] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    included: dict[str, Span] = field(default_factory=dict)
    outsides: Outsides = field(default_factory=Outsides)

    def include(self, argument: str, span: Span, before: Sequence[str] = (), after: Sequence[str] = ()) -> None:
        path = self._resolve(argument, span)
        data = self.sources.read(path)
        if data is None or self.sources.isdir(path):
            raise problem(
                MISSING,
                "include-missing",
                "The file to include is not there",
                f"{path} is missing or is no file. The path is the whole rest of the line, quotes included.",
                f"Make the file, or name one that is there: ls {posixpath.dirname(path) or '.'}",
                span,
            )
        real = self.sources.realpath(path)
        if real in self.seen:
            raise problem(
                DATA,
                "include-twice",
                "A file is included twice",
                f"{real} was already included; a file may be included once in a run.",
                "Remove one of the INCLUDE lines.",
                span,
            )
        self.seen.append(real)
        self.outsides.enter(argument, path, posixpath.dirname(self.seen[0]), self.sources)
        if span.line:
            self.included[self._name(real)] = span
        text = "".join(f"INCLUDE {ref}\n" for ref in before)
        text += data.decode("utf-8", "surrogateescape").removesuffix("\r")
        text += "".join(f"INCLUDE {ref}\n" for ref in after)
        self._read(text, real, self._enter(real, span), len(before))

    def _read(self, text: str, file: str, shown: str, added: int) -> None:
        found = logical_lines(text, self._name(file))
        for line in found.lines:
            line = _shifted(line, added)
            name, rest = head(line.text, " ")
            if name == "INCLUDE":
                self._include_line(rest, line.span, file, shown)
            elif name == "STAGE":
                self.stage = check_stage(rest, line.span)
                self.lines.append(FlatLine(line))
                self._cd(file, shown, line.span)
            else:
                self.lines.append(FlatLine(line))
        if found.lost:
            self.warnings.append(
                warning(
                    "line-lost",
                    "The end of the file is lost",
                    f"{file} ends without a newline or inside a continuation; that instruction never runs.",
                    "End the file with a newline.",
                    found.lost,
                )
            )

    def _name(self, file: str) -> str:
        """Places are shown as the user named them: relative to where the run was started."""
        return file.removeprefix(self.start.rstrip("/") + "/")

    def _include_line(self, rest: str, span: Span, file: str, shown: str) -> None:
        if blank(rest):
            raise problem(USAGE, "include-empty", "INCLUDE needs a file", hint="Write INCLUDE PATH.", span=span)
        cwd, stage = self.cwd, self.stage
        self.include(rest, span)
        if self.stage != stage:
            self.stage = stage
            self.lines.append(FlatLine(LogicalLine(f"STAGE {stage}", span)))
        if self.cwd != cwd:
            self.cwd = cwd
            self._cd(file, shown, span)

    def _enter(self, file: str, span: Span) -> str:
        """Go to the file's folder. Return how `cd` lines of the file show it: the original escapes
        it only where it enters another folder in the build stage."""
        shown = posixpath.dirname(file)
        if self.cwd != shown:
            self.cwd = shown
            if self.stage == BUILD:
                shown = literal_text(_MACRO.sub(r"%\g<0>", shown))
            self._cd(file, shown, span)
        return shown

    def _cd(self, file: str, shown: str, span: Span) -> None:
        if self.stage == BUILD:
            line = LogicalLine(f'RAW cd -- "{shown}" # Makejail: {file}', span)
            self.lines.append(FlatLine(line, self.cwd, self.outsides.of(self.cwd)))

    def _resolve(self, argument: str, span: Span) -> str:
        if blank(argument):
            raise problem(USAGE, "include-empty", "INCLUDE needs a file", hint="Write INCLUDE PATH.", span=span)
        method, rest = head(argument, "+")
        if blank(rest):
            method, rest = "file", method
        if method in self.methods:
            return self.methods[method](rest, self.cwd, span)
        if method == "file":
            return posixpath.join(self.cwd, rest)
        if method in REMOTE:
            raise problem(
                UNAVAILABLE,
                "include-method-unavailable",
                "This way of including is not available",
                f"INCLUDE {method}+ would read {rest} from outside the folder.",
                "Put the file beside the Makejail, pinned in version control, and include it by its path.",
                span,
            )
        raise problem(
            DATA,
            "include-method",
            "There is no such way of including",
            f"{method!r} is none of file, {', '.join(REMOTE)}.",
            "A path that holds a + needs file+ before it.",
            span,
        )


def _shifted(line: LogicalLine, added: int) -> LogicalLine:
    """Count lines as the user's file does, without the lines put before its text."""
    if not added:
        return line
    parts = tuple((at, _up(span, added)) for at, span in line.parts)
    return LogicalLine(line.text, _up(line.span, added), parts)


def _up(span: Span, added: int) -> Span:
    return Span(span.file, max(span.line - added, 0), span.column)
