"""Every jail's Makejail, compiled: from the documents of one machine to programs."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.effective import effective
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.outside import named
from reconciler.makejail.pinned import Pinned
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.program import Given, Program, compile_makejail, compile_text
from reconciler.makejail.sources import Sources
from reconciler.model.diagnostic import Diagnostic, Span, SpecError
from reconciler.spec.document import Jail, Package
from reconciler.spec.files import beside, find_area
from reconciler.spec.lock import Lock
from reconciler.spec.select import PackageRef, Selected, for_host, package_refs
from reconciler.spec.specset import Sourced, SpecSet


def compile_all(
    jails: Mapping[str, Sourced[Jail]] | Mapping[str, Sourced[Package]],
    sources: Sources | None = None,
    pinned: Pinned | None = None,
) -> tuple[Mapping[str, Program], Mapping[str, str]]:
    """(programs, folders of the Makejails) by jail, read from `sources` or else from this machine's files.

    What they include from the network is `pinned`; without it nothing can be.

    Raises SpecError with the problems of all of them.
    """
    sources = sources or LocalFiles()
    programs: dict[str, Program] = {}
    contexts: dict[str, str] = {}
    problems: list[Diagnostic] = []
    for name, sourced in jails.items():
        if not sourced.says("makejail"):
            continue
        try:
            programs[name] = without_held(_compile(name, sourced, sources, pinned), pinned.files if pinned else {})
            contexts[name] = programs[name].root or posixpath.dirname(str(sourced.source.path))
        except SpecError as error:
            problems += error.diagnostics
    if problems:
        raise SpecError(problems)
    return programs, contexts


def warnings_of(program: Program) -> tuple[Diagnostic, ...]:
    """What the language warns of, in all that the Makejail builds."""
    return tuple(warning for one in program.every for warning in one.warnings)


def packages_of(
    selected: Selected, sources: Sources | None = None, pinned: Pinned | None = None
) -> Mapping[str, tuple[PackageRef, ...]]:
    """The jail packages of each jail, those with a Makejail with what that was compiled to.

    Raises SpecError with the problems of all of them (`package-host-code` and `package-not-files` are two).
    """
    refs = {name: package_refs(selected, sourced) for name, sourced in selected.jails.items()}
    built = {ref.name: ref.document for found in refs.values() for ref in found if ref.document is not None}
    if not built:
        return refs
    programs, contexts = compile_all(built, sources, pinned)
    if problems := [*_unfit(programs)]:
        raise SpecError(problems)
    return {
        name: tuple(
            replace(ref, program=programs[ref.name], context=contexts[ref.name]) if ref.document is not None else ref
            for ref in found
        )
        for name, found in refs.items()
    }


def _unfit(programs: Mapping[str, Program]) -> Iterator[Diagnostic]:
    """What packages cannot hold of their Makejails."""
    for name, program in programs.items():
        for step in (step for segment in program.segments for step in segment.instructions if step.host_code):
            summary = "A package's Makejail runs code on the host"
            detail = f"{name} is built from what happens inside a jail, and {step.name} runs on the host."
            hint = "Do it with CMD or RUN, or in the jail's own Makejail."
            yield Diagnostic("package-host-code", summary, detail, hint, step.span)
        for wish in (*program.options, *program.effects):
            summary = "A package's Makejail asks for more than files"
            detail = f"{name} holds files; what this line asks of a jail would be lost."
            hint = "Ask for it in the spec, or in the Makejail, of each jail that lists the package."
            yield Diagnostic("package-not-files", summary, detail, hint, wish.span)


def makejail_problems(specs: SpecSet, pinned: Pinned | None = None) -> tuple[Diagnostic, ...]:
    """What is wrong with the Makejails, and with what they say of their jails: errors, else warnings. Never raises."""
    found: dict[Diagnostic, None] = {}
    try:
        for host in specs.hosts.values() or (None,):
            selected = for_host(specs, host)
            programs, _folders = compile_all(selected.jails, pinned=pinned)
            found |= dict.fromkeys(w for program in programs.values() for w in warnings_of(program))
            said = effective(selected, programs, specs).warnings.values()
            found |= dict.fromkeys(warning for warnings in said for warning in warnings)
    except SpecError as error:
        return error.diagnostics
    return tuple(found)


def pinned_by(lock: Lock, folder: Path, specs: Path) -> Pinned:
    """What the lock of these specs pins of the network, kept below the tool's cache folder."""
    pinned = Pinned(dict(lock.git), dict(lock.files), folder / "included", commands=dict(lock.commands))
    pinned.beside = beside(specs)
    pinned.area = find_area(pinned.beside.parent.absolute())
    return pinned


def without_held(program: Program, files: Mapping[str, str]) -> Program:
    """The program without warnings of what ADD reads, where it is pinned."""
    held = set()
    for segment in (segment for one in program.every for segment in one.segments):
        adds = [step for step in segment.instructions if step.name == "ADD"]
        if adds and len({step.text for step in adds}) <= sum(url in files for url in segment.urls):
            held |= {step.span for step in adds}
    kept = (w for w in program.warnings if w.code != "add-unpinned" or w.span not in held)
    return replace(program, warnings=tuple(kept)) if held else program


def _compile(name: str, sourced: Sourced[Any], sources: Sources, pinned: Pinned | None) -> Program:
    spec = sourced.doc.makejail
    if spec is None:
        raise ValueError(f"{name} has no Makejail")
    given = Given(
        arguments=dict(spec.args),
        build_arguments=tuple(f"{k}={v}" for k, v in spec.build_args.items()),
        run_environment=tuple(f"{k}={v}" for k, v in spec.env.items()),
        environment={"APPJAIL_JAILNAME": name},
    )
    whole = sourced.place(("makejail", "args") if spec.args else ("makejail",))
    methods = pinned.methods() if pinned is not None else None
    if spec.text is not None:
        folder = posixpath.dirname(str(sourced.source.path))
        text = spec.text if spec.text.endswith("\n") else spec.text + "\n"
        place = _Inline(sourced)
        try:
            program = compile_text(text, given, f"{folder}/{name}.makejail", sources, methods)
            return place.of(program)
        except MakejailError as error:
            raise SpecError(replace(d, span=place.span(d.span) or whole) for d in error.diagnostics) from error
    path = sourced.resolve(spec.file or "Makejail")
    shown = posixpath.dirname(posixpath.join(posixpath.dirname(sourced.file), spec.file or "Makejail"))
    try:
        program = compile_makejail(f"file+{path}", sources, str(path.parent), given, methods)
        return _placed(program, shown)
    except MakejailError as error:
        raise SpecError(replace(d, span=_place(d.span, shown) or whole) for d in error.diagnostics) from error


def _placed(program: Program, folder: str) -> Program:
    """The language names files from the Makejail's own folder; a user names them from where the specs are."""
    return _moved(program, lambda span: _place(span, folder))


def _moved(program: Program, move: Callable[[Span | None], Span | None]) -> Program:
    remote = [one for one in program.outside if one.remote]

    def shown(span: Span) -> Span:
        # What was included from elsewhere is named as it was asked for, not as it lies in the tool's cache.
        moved = move(span) or span
        return replace(moved, file=named(moved.file, remote))

    segments = tuple(
        replace(s, instructions=tuple(replace(i, span=shown(i.span)) for i in s.instructions)) for s in program.segments
    )
    return replace(
        program,
        segments=segments,
        warnings=tuple(replace(w, span=move(w.span)) for w in program.warnings),
        options=tuple(replace(o, span=shown(o.span)) for o in program.options),
        labels=tuple(replace(label, span=shown(label.span)) for label in program.labels),
        image=replace(program.image, span=shown(program.image.span)) if program.image else None,
        others={name: _moved(other, move) for name, other in program.others.items()},
        effects=tuple(replace(e, span=shown(e.span)) for e in program.effects),
        hooks=tuple(map(shown, program.hooks)),
    )


class _Inline:
    """Where the lines of a Makejail that stands in a spec are in the spec's file."""

    def __init__(self, sourced: Sourced[Jail]) -> None:
        start = sourced.place(("makejail", "text"))
        lines = sourced.source.data.decode("utf-8", "replace").splitlines()
        head = lines[start.line - 1][start.column - 1 :] if 0 < start.line <= len(lines) else ""
        self.start, self.first, self.indent = start, 0, 0
        if head[:1] in ("|", ">") and start.line < len(lines):
            # A block: its text begins on the next line, at that line's indentation.
            following = lines[start.line]
            self.first, self.indent = start.line + 1, len(following) - len(following.lstrip(" "))

    def span(self, span: Span | None) -> Span | None:
        """A place in the text as a place in the file."""
        if span is None or not span.line or span.file.startswith("/"):  # nothing, or of a file that is included
            return span
        if not self.first:  # a quoted text: its lines are not lines of the file
            return self.start
        return Span(self.start.file, self.first + span.line - 1, self.indent + span.column)

    def of(self, program: Program) -> Program:
        """The program with its places in the spec."""
        return _moved(program, self.span)


def _place(span: Span | None, folder: str) -> Span | None:
    if span is None or span.file.startswith("/"):
        return span
    return replace(span, file=posixpath.normpath(posixpath.join(folder, span.file)))
