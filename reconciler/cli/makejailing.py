"""Runs the stages of the Makejail language for the command line, and shows what they give."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.cache import default_folder
from reconciler.cli.show import as_json, show
from reconciler.makejail.arguments import merged, read_parameters
from reconciler.makejail.compile import Compiled, Settings, broken, compile_lines, given_environment
from reconciler.makejail.facts import Facts, build_check, defined_twice, has_own_code, init_check, stage_facts
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.format import format_text
from reconciler.makejail.include import Flat, FlatLine, flatten, through
from reconciler.makejail.lines import blank, logical_lines
from reconciler.makejail.lint import lint
from reconciler.makejail.macros import Expanded, expand_macros
from reconciler.makejail.parse import parse_lines
from reconciler.makejail.problem import MISSING, SYNTAX, USAGE, MakejailError, Problems, problem
from reconciler.makejail.remote import Remote
from reconciler.makejail.stages import BUILD
from reconciler.makejail.tokens import TokenError, quoted_words, words
from reconciler.model.diagnostic import Diagnostic, Span

_LONGEST = 16 * 1024 * 1024
STAGES = ("lines", "include", "macros", "parse", "compile")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks of `makejail compile`."""

    file: str
    stop_after: str = "compile"
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    build_arguments: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    go_on: bool = False
    trace: bool = False
    apply: bool = False


@dataclass(slots=True)
class Run:
    """A run's result: `facts` for --json, `text` for people, and AppJail's exit status."""

    facts: Facts
    text: str = ""
    status: int = 0
    temporary: str = ""
    warnings: list[Diagnostic] = field(default_factory=list)


def run(asked: Asked) -> Run:
    """Run the stages up to the one asked for. What is wrong is shown on standard error."""
    if asked.stop_after == "lines":
        return _guarded(asked.file, lambda _remote: _lines(asked.file), {"logical": None})
    empty: Facts = {} if asked.stop_after in ("parse", "compile") else {"flattened": None}

    def stages(remote: Remote) -> Run:
        _check(asked)
        return _stages(asked, remote)

    return _guarded(asked.file, stages, empty)


def split(line: str) -> Run:
    """Split one line into words."""
    try:
        facts: Facts = {"plain": words(line), "quoted": quoted_words(line), "error": False}
    except TokenError as error:
        found = [replace(_placed(one, "line"), span=Span("line", 1, error.offset + 1)) for one in error.diagnostics]
        show(found, lines=lambda _file: line.split("\n"))
        return Run({"plain": None, "quoted": None, "error": True, "status": error.status}, "", error.status)
    return Run({**facts, "status": 0}, "".join(f"{word}\n" for word in words(line)))


def read_args(file: str, parameters: tuple[str, ...]) -> Run:
    """Read parameters as the build stage does."""

    def read(remote: Remote) -> Run:
        _flat, _expanded, compiled = _compiled(Asked(file), remote)
        arguments = compiled.stages[BUILD].arguments
        for argument in merged(arguments):
            if not argument.default.parses:
                raise MakejailError(broken(f"ARG {argument.name}", argument.span).diagnostics, SYNTAX)
        found = read_parameters(arguments, parameters, os.environ)
        text = "".join(f"{name}={value}\n" for name, value in found.values.items())
        return Run({"values": dict(found.values), "rest": list(found.rest)}, text)

    return _guarded(file, read, {"values": None, "rest": None})


def check(file: str) -> Run:
    """Everything that the linter finds."""

    def find(remote: Remote) -> Run:
        flat, expanded, compiled = _compiled(Asked(file), remote)
        warnings = lint(flat, expanded, compiled)
        shown = io.StringIO()
        show(warnings, shown)
        facts: Facts = {"diagnostics": [as_json(found) for found in warnings]}
        return Run(facts, shown.getvalue(), status=int(bool(warnings)))

    return _guarded(file, find, {"diagnostics": None})


def tidy(file: Path, *, check: bool, write: bool) -> int:
    """Print the formatted text; or compare with it; or write it."""
    try:
        if write and not file.is_file() and file.exists():
            raise OSError(errno.EINVAL, "it is not a regular file")
        data = _bytes(file)
    except OSError as error:
        unreadable = _unreadable(str(file), error.strerror or "it cannot be read")
        show(unreadable.diagnostics)
        return unreadable.status
    formatted = format_text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    if check:
        return int(formatted != data)
    if write and formatted != data:
        place = file.resolve()  # a link stays one
        new = place.with_name(f".{place.name}.new")
        new.write_bytes(formatted)
        new.chmod(place.stat().st_mode & 0o7777)
        new.replace(place)
    elif not write:
        sys.stdout.flush()
        sys.stdout.buffer.write(formatted)
    return 0


def _bytes(file: Path) -> bytes:
    """What a file or pipe holds, of a device no more than a Makejail can be. Raises OSError."""
    with open(file, "rb") as stream:
        data = stream.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise OSError(errno.EFBIG, "it is longer than 16 MiB")
    return data


def printed(done: Run, as_json: bool) -> str:
    """A run's result as standard output shows it."""
    if not as_json:
        return _printable(done.text)
    text = json.dumps({"status": done.status, **done.facts}, ensure_ascii=False)
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        text = json.dumps({"status": done.status, **done.facts})
    return _without_temporary(text, done.temporary) + "\n"


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _without_temporary(text: str, folder: str) -> str:
    """Temporary files have another name each time: `${TMP}/FILE`."""
    if not folder:
        return text
    place = re.escape(json.dumps(folder)[1:-1])
    return re.sub(place, "${TMP}", re.sub(place + r"/makejail\.[A-Za-z0-9_]+", "${TMP}/FILE", text))


def _guarded(file: str, stage: Callable[[Remote], Run], empty: Facts) -> Run:
    """Run with a temporary folder that lasts until the diagnostics are shown."""
    with ExitStack() as stack:
        folder = os.path.realpath(stack.enter_context(tempfile.TemporaryDirectory(prefix="reconcile-makejail-")))
        cache = os.environ.get("GLOBAL_GIT_CACHEDIR") or default_folder(os.environ).parent / "git"
        remote = Remote(Path(folder), Path(cache), os.environ.get("AUTO_GIT_UPDATE", "1") != "0")
        try:
            done = stage(remote)
        except MakejailError as error:
            found = [_placed(diagnostic, file) for diagnostic in error.diagnostics]
            show(found)
            return Run({**empty, "diagnostics": list(map(as_json, found))}, "", error.status, folder)
        show(done.warnings)
        return replace(done, temporary=folder)


def _lines(file: str) -> Run:
    path = file.removeprefix("file+")
    try:
        text = _bytes(Path(path)).decode("utf-8", "surrogateescape")
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    found = [line.text for line in logical_lines(text, path).lines]
    return Run({"logical": found}, _joined(found))


def _flattened(asked: Asked, remote: Remote) -> Flat:
    methods = remote.methods()
    return flatten(asked.file, LocalFiles(), os.getcwd(), before=asked.before, after=asked.after, methods=methods)


def _compiled(asked: Asked, remote: Remote) -> tuple[Flat, Expanded, Compiled]:
    flat = _flattened(asked, remote)
    try:
        expanded = expand_macros(flat, asked.build_arguments)
        return flat, expanded, _compile(asked, flat, expanded)
    except MakejailError as error:
        raise through(error, flat.included) from error


def _compile(asked: Asked, flat: Flat, expanded: Expanded) -> Compiled:
    platform = os.environ.get("IMAGE_ARCH") or "amd64"
    return compile_lines(expanded, flat.root, Settings(asked.options, asked.environment, asked.apply, platform))


def _check(asked: Asked) -> None:
    """What is wrong with the command line alone is said before any file is read."""
    words = (*asked.after, *asked.before, *asked.build_arguments, *asked.options, *asked.environment)
    if any(map(blank, words)):
        summary, hint = "The value of an option is blank", "Give it a value, or leave it out."
        raise problem(USAGE, "option-blank", summary, "-a, -B, -b, -o and -V need one.", hint)
    problems = Problems()
    given_environment(asked.environment, problems)
    problems.raise_any()


def _stages(asked: Asked, remote: Remote) -> Run:
    flat = _flattened(asked, remote)
    if asked.stop_after == "include":
        return _text(flat.lines, flat)
    try:
        expanded = expand_macros(flat, asked.build_arguments)
        if asked.stop_after == "macros":
            return _text(expanded.lines, flat, expanded.warnings)
        if asked.stop_after == "parse":
            return _parsed(flat, expanded)
        return _meaning(asked, flat, expanded)
    except MakejailError as error:
        raise through(error, flat.included) from error


def _text(lines: Iterable[FlatLine], flat: Flat, more: Iterable[Diagnostic] = ()) -> Run:
    found = [line.text for line in lines]
    return Run({"flattened": found, "rootdir": flat.root}, _joined(found), warnings=[*flat.warnings, *more])


def _parsed(flat: Flat, expanded: Expanded) -> Run:
    problems = Problems()
    found = list(parse_lines(expanded.lines, flat.root, problems))
    problems.raise_any()
    shown = [{"stage": one.stage, "instruction": one.name, "arguments": one.rest, "at": str(one.span)} for one in found]
    text = "".join(f"{one.span}: {one.stage}: {one.name} {one.rest}".rstrip() + "\n" for one in found)
    return Run({"parsed": shown}, text, warnings=[*flat.warnings, *expanded.warnings])


def _meaning(asked: Asked, flat: Flat, expanded: Expanded) -> Run:
    compiled = _compile(asked, flat, expanded)
    stages = {name: stage_facts(name, state) for name, state in compiled.stages.items()}
    build = compiled.stages.get(BUILD)
    others = [state for name, state in compiled.stages.items() if name != BUILD]
    facts: Facts = {
        "compiled": [list(line) for line in compiled.lines],
        "stages": stages,
        "flags": {"stop_at_first_error": not asked.go_on, "trace": asked.trace},
        "build_script_parses": build is None or not has_own_code(build) or _parses(build_check(build)),
        "init_script_parses": not any(map(has_own_code, others)) or _parses(init_check(compiled.stages)),
    }
    if compiled.globals:
        facts["globals"] = compiled.globals
    if twice := [] if asked.apply else defined_twice(expanded.lines, compiled):
        facts["stage_defined_twice"] = twice
    text = "".join(f"{name}:\n" + "".join(_line(one) for one in found) for name, found in stages.items())
    return Run(facts, text, warnings=[*flat.warnings, *expanded.warnings])


def _line(facts: Facts) -> str:
    name, *operands = facts.items()
    said = ((key, value) for key, value in operands if value not in (None, False, []))
    shown = (f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in said)
    return "  " + " ".join([str(name[1]), *shown]) + "\n"


def _parses(script: str) -> bool:
    """Whether sh(1) can read the script; nothing of it runs."""
    data = script.encode("utf-8", "surrogateescape")
    try:
        done = subprocess.run(("/bin/sh", "-n"), input=data, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _placed(found: Diagnostic, file: str) -> Diagnostic:
    """What has no line of its own, such as a word of the command line, is shown at the file's beginning."""
    hint = found.hint or f"reconcile explain {found.code}"
    if found.span and found.span.line:
        return replace(found, hint=hint)
    return replace(found, hint=hint, span=Span(file.removeprefix("file+"), 1, 1))


def _unreadable(path: str, why: str) -> MakejailError:
    detail = f"{path}: {why}."
    return problem(MISSING, "include-missing", "The file to include is not there", detail, f"ls -l {path}", Span(path))
