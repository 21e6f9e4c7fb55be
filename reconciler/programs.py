"""Every jail's Makejail, compiled: from the documents of one machine to programs."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import replace

from reconciler.makejail.files import LocalFiles
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.program import Given, Program, compile_makejail, compile_text
from reconciler.makejail.sources import Sources
from reconciler.model.diagnostic import Diagnostic, Span, SpecError
from reconciler.spec.document import Jail
from reconciler.spec.specset import Sourced


def compile_all(
    jails: Mapping[str, Sourced[Jail]], sources: Sources | None = None
) -> tuple[Mapping[str, Program], Mapping[str, str]]:
    """(programs, folders of the Makejails) by jail, read from `sources` or else from this machine's files.

    Raises SpecError with the problems of all of them.
    """
    sources = sources or LocalFiles()
    programs: dict[str, Program] = {}
    contexts: dict[str, str] = {}
    problems: list[Diagnostic] = []
    for name, sourced in jails.items():
        if sourced.doc.makejail is None:
            continue
        try:
            programs[name] = _compile(name, sourced, sources)
            contexts[name] = programs[name].root or posixpath.dirname(str(sourced.source.path))
        except SpecError as error:
            problems += error.diagnostics
    if problems:
        raise SpecError(problems)
    return programs, contexts


def makejail_problems(jails: Mapping[str, Sourced[Jail]]) -> tuple[Diagnostic, ...]:
    """What is wrong with the Makejails, without stopping at it: errors, else the language's warnings."""
    try:
        programs, _folders = compile_all(jails)
    except SpecError as error:
        return error.diagnostics
    return tuple(dict.fromkeys(w for program in programs.values() for w in program.warnings))


def _compile(name: str, sourced: Sourced[Jail], sources: Sources) -> Program:
    spec = sourced.doc.makejail
    if spec is None:
        raise ValueError(f"{name} has no Makejail")
    given = Given(
        arguments=dict(spec.args),
        build_arguments=tuple(f"{k}={v}" for k, v in spec.build_args.items()),
        run_environment=tuple(f"{k}={v}" for k, v in spec.env.items()),
        environment={"APPJAIL_JAILNAME": name},
    )
    if spec.text is not None:
        folder = posixpath.dirname(str(sourced.source.path))
        text = spec.text if spec.text.endswith("\n") else spec.text + "\n"
        return compile_text(text, given, f"{folder}/{name}.makejail")
    path = sourced.resolve(spec.file or "Makejail")
    shown = posixpath.dirname(posixpath.join(posixpath.dirname(sourced.file), spec.file or "Makejail"))
    try:
        return _placed(compile_makejail(f"file+{path}", sources, str(path.parent), given), shown)
    except MakejailError as error:
        raise SpecError(replace(d, span=_place(d.span, shown)) for d in error.diagnostics) from error


def _placed(program: Program, folder: str) -> Program:
    """The language names files from the Makejail's own folder; a user names them from where the specs are."""
    segments = tuple(
        replace(s, instructions=tuple(replace(i, span=_place(i.span, folder) or i.span) for i in s.instructions))
        for s in program.segments
    )
    warnings = tuple(replace(w, span=_place(w.span, folder)) for w in program.warnings)
    return replace(program, segments=segments, warnings=warnings)


def _place(span: Span | None, folder: str) -> Span | None:
    if span is None or span.file.startswith("/"):
        return span
    return replace(span, file=posixpath.normpath(posixpath.join(folder, span.file)))
