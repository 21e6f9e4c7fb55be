"""COPY [--glob…] [--verbose] [--jail J] src [dst]: files into the jail, with cp -a's rules.

A tar stream crosses into the jail and the jail's own cp(1) puts it in place, so that every
link of the destination resolves inside. `src` is relative to the folder of the file that the line stands in, `dst` is
below WORKDIR (or `/`). A folder becomes a folder of its name; with a slash at the end, what is in it is copied.
The layer is built anew when the content changes. `--glob`, `--glob-left` and `--glob-right` put a `*` on both sides
of `src`, or on one. `--jail J` copies from another jail that runs; what is in there is not part of the digest.

    COPY --verbose usr
"""

from __future__ import annotations

import posixpath
from dataclasses import replace

from reconciler.makejail.lines import blank
from reconciler.makejail.options import Options, lacking, read_options
from reconciler.makejail.problem import warning
from reconciler.makejail.quoting import DoubleQuoted, literal_text, single
from reconciler.makejail.step import CopySource, Instruction, Line, State, Step, required
from reconciler.model.diagnostic import Diagnostic

_FLAGS = frozenset({"--glob", "--glob-left", "--glob-right", "--verbose"})
_USAGE = "Write COPY SOURCE or COPY SOURCE DESTINATION."


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, _FLAGS, {"--jail"}, _USAGE)
    words = options.words
    if not words or any(map(blank, words[:3])):
        raise lacking(line, _USAGE)
    source = DoubleQuoted.host(words[0])
    target = words[1] if len(words) > 1 else ""
    # No slash is put before a relative WORKDIR: a habit of the original, shown in the operand.
    inside = DoubleQuoted(literal_text(state.workdir) + "/") + DoubleQuoted.host(target)
    glob, other, verbose = _glob(options), options.value("--jail"), options.has("--verbose")
    shown = source
    if other is not None:
        shown = DoubleQuoted("${JAILDIR}/") + DoubleQuoted.host(other) + DoubleQuoted("/jail/") + source
    operands = {
        "src": shown,
        "dst": DoubleQuoted("${APPJAIL_JAILDIR}") + inside,
        "verbose": verbose,
        "glob": glob,
        "jail": other,
    }
    step = Step(
        "COPY",
        line.rest,
        line.span,
        operands,
        names=(*source.names, *inside.names),
        inside=True,
        lasting=True,
        warnings=_relative(line, state),
    )
    if other is not None:
        script = f"reconciler_copy_from_jail {DoubleQuoted.host(other).sh} {inside.sh} {source.sh}"
        return replace(step, script=script, warnings=(_unpinned(line, other), *step.warnings))
    command = f"reconciler_copy{' -v' if verbose else ''} {inside.sh}"
    left = "*" if glob in ("left", "both") else ""
    right = "*" if glob in ("right", "both") else ""
    known = None if glob else _known(line, source, command)
    return replace(step, script=f"{command} {left}{source.sh}{right}", copy=known, needs_context=True)


def _glob(options: Options) -> str | None:
    left = options.has("--glob") or options.has("--glob-left")
    right = options.has("--glob") or options.has("--glob-right")
    if left and right:
        return "both"
    return "left" if left else "right" if right else None


def _known(line: Line, source: DoubleQuoted, command: str) -> CopySource | None:
    """The source, when its path holds nothing that only the shell can tell."""
    path = source.static
    if path is None:
        return None
    slash = "/" if path.endswith("/") else ""
    full = posixpath.normpath(posixpath.join(line.cwd, path))
    name = posixpath.basename(full)
    if posixpath.basename(path.rstrip("/")) in ("", ".", ".."):
        # cp -a of "." copies what is in it.
        slash = "/."
    return CopySource(full, name, (f'{command} "$RECONCILER_SOURCES"/', single("/" + name + slash)))


def _relative(line: Line, state: State) -> tuple[Diagnostic, ...]:
    if not state.workdir or state.workdir.startswith("/"):
        return ()
    detail = f"WORKDIR {state.workdir} is relative; inside the jail it is taken from /."
    return (warning("workdir-relative", "A relative WORKDIR is used", detail, "Begin it with a slash.", line.span),)


def _unpinned(line: Line, other: str) -> Diagnostic:
    detail = f"What is in jail {other} is not part of the layer's digest, and {other} must be running."
    return warning("copy-from-jail", "COPY reads another jail", detail, "Copy from a file instead.", line.span)


INSTRUCTION = Instruction("COPY", _compile)
