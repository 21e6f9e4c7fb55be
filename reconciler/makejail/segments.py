"""Cuts the build stage into segments and says what each one's digest must cover."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.makejail.arguments import defaults
from reconciler.makejail.blocks import Blocks
from reconciler.makejail.outside import Outside, named
from reconciler.makejail.problem import warning
from reconciler.makejail.script import Context, body, segment_script
from reconciler.makejail.sources import Sources, tree_digest
from reconciler.makejail.step import Argument, Step
from reconciler.model.diagnostic import Diagnostic, Span

RULE = "reconciler-layer-1"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a segment, after macros; `host_code` runs as root on the host, not in the jail."""

    name: str
    text: str
    span: Span
    host_code: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A COPY source to stage as `$RECONCILER_SOURCES/ORDINAL/NAME`; `path` is relative to the
    Makejail's folder, or absolute; a NAME of "" stages the content itself."""

    ordinal: int
    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Segment:
    """The shortest run of instructions between two points where no RAW block is open.

    Instructions that change no file in the jail belong to the segment after them. `reads` is
    what the digest covers: (kind, name, value) triples. `mentions` are the host variables it
    names other than arguments. `urls` are what its ADDs read, as far as that is known before the run.
    `others` are jails that EXEC builds and that the segment names. `outside` are the folders beside the Makejail's that
    its host code may read.
    """

    instructions: tuple[Instruction, ...]
    script: str
    reads: tuple[tuple[str, str, str], ...]
    sources: tuple[Source, ...] = ()
    mentions: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    host_code: bool = False
    needs_network: bool = False
    needs_context: bool = False
    urls: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    outside: tuple[Outside, ...] = ()

    @property
    def span(self) -> Span:
        """Where the segment begins; what the compiler puts before the first line of a file has no line."""
        return self.written[0].span

    @property
    def written(self) -> tuple[Instruction, ...]:
        """The instructions that stand in a file, or all where none does."""
        return tuple(one for one in self.instructions if one.span.line) or self.instructions


@dataclass(frozen=True, slots=True)
class Folder:
    """The Makejail's folder, and the files of the language in it, which digests cover as text.

    `own`: whether it is the Makejail's; that of an inline one is the specs', and host code does not cover it.
    `outside` are the folders beside it that INCLUDE enters.
    """

    root: str
    files: tuple[str, ...]
    sources: Sources | None
    environment: Mapping[str, str] = field(default_factory=dict)
    own: bool = True
    outside: tuple[Outside, ...] = ()


@dataclass(slots=True)
class _Cutter:
    folder: Folder
    others: tuple[str, ...] = ()
    steps: list[Step] = field(default_factory=list)
    staged: dict[int, Source] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)
    joins: list[tuple[int, int]] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


def cut(
    steps: Sequence[Step],
    arguments: Sequence[Argument],
    values: Mapping[str, str],
    folder: Folder,
    others: Sequence[str] = (),
) -> tuple[tuple[Segment, ...], list[Diagnostic]]:
    """Cut the build stage's steps. Returns the segments and the warnings."""
    cutter = _Cutter(folder, tuple(others))
    cutter.warnings += _unguarded(steps)
    # What is part of the jail's document, or of another jail, is no part of a layer: a change of it builds nothing.
    apart = ("GLOBAL", "LABEL")
    steps = [step for step in steps if not (step.effect or step.nested or step.ends or step.name in apart)]
    _place_copies(cutter, steps, {argument.name for argument in arguments})
    needs_context = any(step.needs_context for step in cutter.steps)
    if not needs_context:
        cutter.steps = [replace(step, script="") if step.enters else step for step in cutter.steps]
    groups = _groups(cutter)
    context = Context(arguments, values, needs_context)
    known = {**_shown_defaults(arguments, folder.environment), **values}
    segments: list[Segment] = []
    blocks, defined = Blocks(), 0
    for group in groups:
        functions = [blocks.text[start:end] for start, end in blocks.functions[:defined]]
        code = body([cutter.steps[at] for at in group], blocks, marked=True)
        defined = len(blocks.functions)
        script = segment_script(len(segments) + 1, code, functions, context)
        segments.append(_segment(cutter, group, script, known))
    return tuple(segments), cutter.warnings


def _unguarded(steps: Sequence[Step]) -> list[Diagnostic]:
    """What a RAW block around an instruction does not decide."""
    blocks, found = Blocks(), []
    for step in steps:
        if step.raw:
            blocks.feed(step.script)
        elif (step.effect or step.name == "LABEL") and not (blocks.closed or blocks.held):
            detail = f"{step.name} is part of the jail whichever way the RAW block around it goes."
            hint = f"Move {step.name} out of the block."
            summary = "A RAW block does not guard the instruction"
            found.append(warning("effect-unconditional", summary, detail, hint, step.span))
        elif step.script:
            blocks.feed_command(step.script)
    return found


def _shown_defaults(arguments: Sequence[Argument], environment: Mapping[str, str]) -> dict[str, str]:
    """Defaults as far as they are known; an unknown variable stands for itself."""
    names = {name for argument in arguments for name in argument.default.names}
    return defaults(arguments, {**{name: f"${{{name}}}" for name in names}, **environment})


def _place_copies(cutter: _Cutter, steps: Sequence[Step], arguments: set[str]) -> None:
    """Decide for each COPY whether its source is staged by itself or read from the folder."""
    first_host, moved, host_words, variables = -1, False, "", set(arguments)
    for at, step in enumerate(steps):
        if step.host_code and step.name not in ("MOUNT", "UMOUNT"):  # these make no file that a COPY might read
            first_host = at if first_host < 0 else first_host
            host_words += step.text + "\n"
            moved = moved or "cd" in step.names
        if step.enters:
            moved = False
        if step.name == "VAR":
            variables.update(step.names[:1])
        if step.name == "COPY" and "reconciler_copy_from_jail" not in step.script:
            unsure = _place(cutter, at, step, moved, host_words, variables)
            if unsure and first_host >= 0:
                cutter.joins.append((first_host, at))
        else:
            cutter.steps.append(step)


def _place(cutter: _Cutter, at: int, step: Step, moved: bool, host_words: str, variables: set[str]) -> bool:
    """Add the COPY step; say whether earlier host code may have made what it copies."""
    source, folder = step.copy, cutter.folder
    if source is None:
        cutter.steps.append(step)
        return not set(step.names) <= variables
    digest = tree_digest(folder.sources, source.path) if folder.sources else ""
    if digest is None and not host_words:
        detail = f"{source.path} is not there, and no host code before this line makes it."
        cutter.warnings.append(warning("copy-missing", "The source of a COPY is missing", detail, span=step.span))
    if digest is None or moved or (source.name and source.name in host_words):
        cutter.steps.append(step)
        return True
    ordinal = len(cutter.staged)
    inside = source.path == folder.root or source.path.startswith(folder.root.rstrip("/") + "/")
    path = posixpath.relpath(source.path, folder.root) if inside else source.path
    cutter.staged[at] = Source(ordinal, path, source.name)
    cutter.digests[at] = digest
    cutter.steps.append(replace(step, script=str(ordinal).join(source.code), needs_context=False))
    return False


def _groups(cutter: _Cutter) -> list[range]:
    """Ranges of steps, each ending where nothing is open and something lasting was done."""
    groups: list[range] = []
    blocks, start, lasting = Blocks(), 0, False
    for at, step in enumerate(cutter.steps):
        if step.raw:
            blocks.feed(step.script)
        elif step.script:
            blocks.feed_command(step.script)
        lasting = lasting or step.lasting
        joined = any(first <= at < last for first, last in cutter.joins)
        if step.name == "STOP" and groups and blocks.closed and not (lasting or joined):
            # It changes no file; whether the layer before it is live, it decides.
            groups[-1], start = range(groups[-1].start, at + 1), at + 1
        if blocks.closed and lasting and not joined:
            groups.append(range(start, at + 1))
            start, lasting = at + 1, False
    if lasting:
        groups.append(range(start, len(cutter.steps)))
        if not (blocks.closed or blocks.held):
            span = cutter.steps[start].span
            detail = "An if, for, while, case, {, (, quote or here-document of a RAW line is never closed."
            cutter.warnings.append(warning("raw-open", "A RAW block stays open", detail, span=span))
    return groups


def _segment(cutter: _Cutter, group: range, script: str, values: Mapping[str, str]) -> Segment:
    steps = [cutter.steps[at] for at in group]
    sources = tuple(cutter.staged[at] for at in group if at in cutter.staged)
    names = dict.fromkeys(name for step in steps for name in step.names)
    needs_context = any(step.needs_context for step in steps)
    reads = [("argument", name, values[name]) for name in names if name in values]
    reads += [("extra", kind, value) for step in steps for kind, value in step.reads]
    outside = _entered(cutter, group)
    copies = [(cutter.staged[at].path, cutter.digests[at]) for at in group if at in cutter.staged]
    reads += [("copy", named(path, cutter.folder.outside), digest) for path, digest in copies]
    mentions = [name for name in names if name not in values and _is_mention(name, steps, cutter.folder)]
    reads += [("mention", name, cutter.folder.environment.get(name, "")) for name in mentions]
    if needs_context:
        reads.append(("folder", ".", _folder_digest(cutter.folder)))
        reads += [("folder", one.name, _outside_digest(cutter.folder, one)) for one in outside if one.whole]
    return Segment(
        tuple(Instruction(step.name, step.text, step.span, step.host_code) for step in steps),
        script,
        tuple(sorted(set(reads))),
        sources,
        tuple(sorted(mentions)),
        tuple(dict.fromkeys(package for step in steps for package in step.packages)),
        any(step.host_code for step in steps),
        any(step.network for step in steps),
        needs_context,
        tuple(dict.fromkeys(url for step in steps for url in step.urls)),
        tuple(name for name in cutter.others if any(_names(step, name) for step in steps)),
        outside if needs_context else (),
    )


def _entered(cutter: _Cutter, group: range) -> tuple[Outside, ...]:
    """The folders beside the Makejail's that were entered up to the end of these steps."""
    texts = [step.text.removeprefix("cd ") for step in cutter.steps[: group.stop] if step.enters]
    return tuple(one for one in cutter.folder.outside if any(f"{text}/".startswith(f"{one.name}/") for text in texts))


def _names(step: Step, jail: str) -> bool:
    """Whether the step may look into another jail."""
    copied = step.operands.get("jail")
    return jail == copied or (step.host_code and jail in step.text) or (isinstance(copied, str) and "$" in copied)


def _is_mention(name: str, steps: Sequence[Step], folder: Folder) -> bool:
    """A word of a RAW line counts when it is a variable that is known to mean something."""
    if name.startswith(("APPJAIL_", "RECONCILER_")) or name in folder.environment:
        return True
    # The first name of a VAR is the one it sets.
    return any(name in step.names[step.name == "VAR" :] for step in steps if not step.raw)


def _folder_digest(folder: Folder) -> str:
    if folder.sources is None or not folder.own:
        return ""
    without = {posixpath.relpath(file, folder.root) for file in folder.files}
    return tree_digest(folder.sources, folder.root, without) or ""


def _outside_digest(folder: Folder, one: Outside) -> str:
    without = {one.below(file) for file in folder.files if one.holds(file)}
    return (tree_digest(folder.sources, one.path, without) or "") if folder.sources is not None else ""


def digest_inputs(segment: Segment, parent: str, platform: str) -> bytes:
    """Return exactly what the segment's digest is made of: the rule's version, the parent's
    digest, the platform, the instructions' text and `reads`. Neither the script nor a line
    number is in it, so a new version of the tool and a moved line plan nothing."""
    content = {
        "instructions": [[one.name, one.text] for one in segment.instructions],
        "parent": parent,
        "platform": platform,
        "reads": [list(read) for read in segment.reads],
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return f"{RULE}\n{text}".encode()


def segment_digest(segment: Segment, parent: str, platform: str) -> str:
    """Return the SHA256 (hex) of `digest_inputs`."""
    return hashlib.sha256(digest_inputs(segment, parent, platform)).hexdigest()
