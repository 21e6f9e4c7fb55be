"""The whole flow, and its result: a Program that says everything and does nothing."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.makejail.arguments import apply_arguments, defaults
from reconciler.makejail.compile import Compiled, Settings, compile_stages
from reconciler.makejail.copied import copied
from reconciler.makejail.effects import Device, Effect, Mount, Parameter, Unmount, Volume
from reconciler.makejail.expand import evaluate
from reconciler.makejail.image import Image, described
from reconciler.makejail.include import Flat, Method, OwnOnly, anybodys, flatten, through
from reconciler.makejail.installed import resolved
from reconciler.makejail.later import Later, kept, moment
from reconciler.makejail.macros import expand_macros
from reconciler.makejail.nested import DEEPEST, WithGlobals, asked, with_globals
from reconciler.makejail.outside import Outside, named
from reconciler.makejail.problem import DATA, MakejailError, Problems, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.script import Context, stage_script
from reconciler.makejail.segments import Folder, Segment, cut, digest_inputs, segment_digest
from reconciler.makejail.sources import OneText, Sources
from reconciler.makejail.stages import BUILD
from reconciler.makejail.step import Argument, State
from reconciler.model.diagnostic import Diagnostic, Span

__all__ = [
    "Given",
    "Label",
    "Option",
    "Program",
    "Segment",
    "compile_makejail",
    "compile_text",
    "digest_inputs",
    "segment_digest",
]


@dataclass(frozen=True, slots=True)
class Option:
    """An OPTION: a property of the jail, its variables already replaced."""

    name: str
    value: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Label:
    """A LABEL; `value` still holds the host variables that only the build knows."""

    key: str
    value: DoubleQuoted
    span: Span


@dataclass(frozen=True, slots=True)
class Given:
    """What a run gives to a Makejail.

    `arguments` are ARG values; None leaves the check to the script. `environment` holds the
    values of host variables that are known before the run, such as APPJAIL_JAILNAME.
    """

    arguments: Mapping[str, str] | None = None
    build_arguments: Sequence[str] = ()
    options: Sequence[str] = ()
    run_environment: Sequence[str] = ()
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    apply: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled Makejail. `stages` maps every stage but build to its script.

    `effects` are what the build stage wants of the jail beside its files, in order; `values` what is
    known of host variables before the run; `files_read` what its options name, None where it is not there.
    `others` are the jails that its EXECs build, by name; `image` is what FROM asks for. `hooks` says
    where stages that run later, such as start, run code on the host; `outside` are folders beside its own.
    """

    segments: tuple[Segment, ...]
    options: tuple[Option, ...]
    stages: Mapping[str, str]
    arguments: tuple[Argument, ...]
    labels: tuple[Label, ...] = ()
    effects: tuple[Effect, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()
    root: str = ""
    files: tuple[str, ...] = ()
    files_read: Mapping[str, bytes | None] = field(default_factory=dict)
    others: Mapping[str, Program] = field(default_factory=dict)
    image: Image | None = None
    hooks: tuple[Span, ...] = ()
    outside: tuple[Outside, ...] = ()

    @property
    def every(self) -> tuple[Program, ...]:
        """Itself, and the programs of all jails that its EXECs build."""
        return (self, *(one for other in self.others.values() for one in other.every))

    @property
    def packages(self) -> tuple[str, ...]:
        """Every package that the build installs, in order."""
        return tuple(dict.fromkeys(package for segment in self.segments for package in segment.packages))

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Mounts that are part of the jail: persistent, and not undone by a later UMOUNT."""
        kept: list[Mount] = []
        for effect in self.effects:
            match effect:
                case Mount() if effect.persist:
                    kept.append(effect)
                case Unmount():
                    gone = effect.mountpoint.source.strip("/")
                    kept = [mount for mount in kept if mount.mountpoint.source.strip("/") != gone]
        return tuple(kept)

    @property
    def devices(self) -> tuple[Device, ...]:
        """Rules of devfs(8), in order."""
        return tuple(effect for effect in self.effects if isinstance(effect, Device))

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Declared volumes, in order."""
        return tuple(effect for effect in self.effects if isinstance(effect, Volume))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """jail(8) parameters, in order; a later one of the same name and row counts."""
        return tuple(effect for effect in self.effects if isinstance(effect, Parameter))

    def value(self, word: DoubleQuoted) -> str | None:
        """The word's value; None where a variable in it is known only to the run."""
        if not set(word.names) <= self.values.keys():
            return None
        try:
            return evaluate(word, self.values)
        except MakejailError:
            return None

    @property
    def needs_context(self) -> bool:
        """Whether the Makejail's folder must be staged on the host."""
        return any(segment.needs_context for segment in self.segments)


def compile_makejail(
    entry: str,
    sources: Sources,
    cwd: str,
    given: Given | None = None,
    methods: Mapping[str, Method] | None = None,
) -> Program:
    """Compile the Makejail that `entry` names (an INCLUDE argument, resolved in `cwd`).

    Raises MakejailError with every problem of the stage that failed.
    """
    return _compile(entry, sources, cwd, given or Given(), methods, 0)


def _compile(
    entry: str, sources: Sources, cwd: str, given: Given, methods: Mapping[str, Method] | None, depth: int
) -> Program:
    flat = flatten(entry, sources, cwd, before=given.before, after=given.after, methods=methods)
    settings = Settings(given.options, given.run_environment, given.apply, runnable=True)
    try:
        expanded = expand_macros(flat, given.build_arguments)
        compiled = compile_stages(expanded, flat.root, settings)
        later = _later(compiled, given)
        if later.environment:
            # Options count wherever they stand, and RUN needs them where it stands.
            compiled = compile_stages(expanded, flat.root, replace(settings, later=later.environment))
        compiled.warnings[:0] = [*flat.warnings, *expanded.warnings]
        others = _others(compiled, flat, sources, given, methods, depth)
        image = _image(compiled, flat, sources, given, methods)
        compiled.warnings += image.warnings if image else ()
        hooks = tuple(_hooks(compiled))
        program = _program(compiled, flat, sources, given, others, later)
        return replace(program, image=image, hooks=hooks, outside=flat.outside)
    except MakejailError as error:
        raise through(error, flat.included) from error


def _image(
    compiled: Compiled, flat: Flat, sources: Sources, given: Given, methods: Mapping[str, Method] | None
) -> Image | None:
    build = compiled.stages.get(BUILD, State())
    values = _values(build, given) if build.image else {}
    return described(build, values, sources, anybodys(methods), flat.root)


def _others(
    compiled: Compiled,
    flat: Flat,
    sources: Sources,
    given: Given,
    methods: Mapping[str, Method] | None,
    depth: int,
) -> dict[str, Program]:
    """The jails that EXECs of the build stage build, by name; of two of one name the later counts."""
    build = compiled.stages.get(BUILD, State())
    wanted = [step.nested for step in build.steps if step.nested]
    values = _values(build, given) if wanted else {}
    found: dict[str, Program] = {}
    for nested in wanted:
        if depth == DEEPEST:
            detail = f"More than {DEEPEST} jails are built for each other."
            raise problem(DATA, "exec-too-deep", "EXECs lead into each other", detail, span=nested.span)
        other = asked(nested, values, flat.root)
        environment = {**given.environment, "APPJAIL_JAILNAME": other.name}
        own = Given(other.arguments, other.build_arguments, other.options, (), other.before, other.after, environment)
        readable = with_globals(sources, compiled.globals, flat.root)
        found[other.name] = _compile(other.entry, readable, nested.cwd or flat.root, own, anybodys(methods), depth + 1)
    return found


def compile_text(
    text: str,
    given: Given | None = None,
    name: str = "/Makejail",
    copied: Sources | None = None,
    methods: Mapping[str, Method] | None = None,
) -> Program:
    """Compile a Makejail held in memory. What COPY names is read from `copied`, if at all.

    It includes nothing but by `methods`, which give files that `copied` has.
    """
    given_files: set[str] = set()
    known = {name_: _noted(method, given_files) for name_, method in (methods or {}).items()}
    return compile_makejail(name, OneText(name, text, copied, given_files), posixpath.dirname(name), given, known)


def _noted(method: Method, files: set[str]) -> Method:
    """The same method, noting what it gave."""

    def noted(rest: str, cwd: str, span: Span) -> str:
        file = method(rest, cwd, span)
        files.add(file)
        return file

    return OwnOnly(noted) if isinstance(method, OwnOnly) else noted


def _later(compiled: Compiled, given: Given) -> Later:
    """What options keep for later stages. Raises MakejailError; options themselves are judged elsewhere."""
    problems = Problems()
    later = kept(_options(compiled.stages.get(BUILD, State()), given, Problems()), problems)
    problems.raise_any()
    return later


def _program(
    compiled: Compiled, flat: Flat, sources: Sources, given: Given, others: Mapping[str, Program], later: Later
) -> Program:
    build = compiled.stages.get(BUILD, State())
    problems = Problems()
    values = dict(given.arguments or {})
    if given.arguments is not None:
        _check_arguments(build, given, problems)
    options = _options(build, given, problems)
    problems.raise_any()
    held = sources
    while isinstance(held, WithGlobals):
        held = held.sources
    inline = isinstance(held, OneText)
    reader = held.copied if isinstance(held, OneText) else sources
    folder = Folder(flat.root, flat.files, reader, given.environment, own=not inline, outside=flat.outside)
    used = {name: values[name] for name in values if any(a.name == name for a in build.arguments)}
    read = _files_read(options, flat.root, reader)
    given_env = dict(word.split("=", 1) for word in given.run_environment if "=" in word)
    steps = [*resolved([*copied(options, read, flat.root), *build.steps], {**given_env, **_first(build, given)})]
    segments, warnings = cut(steps, build.arguments, used, folder, tuple(others))
    beside = {step.span for step in build.steps if step.operands.get("jail") in others}
    told = [one for one in compiled.warnings if one.code != "copy-from-jail" or one.span not in beside]
    labels = tuple(Label(*label) for label in build.labels)
    return Program(
        segments,
        options,
        _stages(compiled, later, flat),
        tuple(build.arguments),
        labels,
        tuple(step.effect for step in build.steps if step.effect),
        _values(build, given),
        tuple(sorted((*told, *warnings), key=Diagnostic.sort_key)),
        flat.root,
        flat.files,
        read,
        others,
    )


def _stages(compiled: Compiled, later: Later, flat: Flat) -> dict[str, str]:
    """The scripts of all stages but build. They name places as any machine has them: the host keeps these scripts."""
    found = {}
    for name, state in compiled.stages.items():
        if name != BUILD:
            given = later.parameters.get(moment(name), ())
            steps = [replace(s, span=replace(s.span, file=named(s.span.file, flat.outside))) for s in state.steps]
            found[name] = stage_script(name, steps, Context(state.arguments, {}, _reads_folder(state), given))
    return found


def _hooks(compiled: Compiled) -> Iterator[Span]:
    for name, state in compiled.stages.items():
        if name != BUILD:
            yield from (step.span for step in state.steps if step.host_code)


def _files_read(options: Sequence[Option], root: str, reader: Sources | None) -> dict[str, bytes | None]:
    """What options name beside the first file, by the name they give it."""
    named = [one.value for one in options if one.name in ("files", "resolv_conf", "template") and one.value]
    return {name: reader.read(posixpath.join(root, name)) for name in named} if reader is not None else {}


def _values(build: State, given: Given) -> dict[str, str]:
    """What is known of the host's variables at every moment of the run."""
    # A VAR may change a value on the way; its name is then known only to the run.
    changed = {step.names[0] for step in build.steps if step.name == "VAR" and step.names}
    return {name: value for name, value in _first(build, given).items() if name not in changed}


def _first(build: State, given: Given) -> dict[str, str]:
    """What is known of them where the run begins: the environment, and ARGs whose defaults are known."""
    values = dict(given.environment)
    for argument in build.arguments:
        chosen = (given.arguments or {}).get(argument.name)
        if chosen is not None:
            values[argument.name] = chosen
        elif set(argument.default.names) <= values.keys():
            values[argument.name] = evaluate(argument.default, values, argument.span)
    return values


def _reads_folder(state: State) -> bool:
    return any(step.needs_context for step in state.steps)


def _known(build: State, given: Given) -> dict[str, str]:
    """The environment, with a variable that nobody knows yet standing for itself."""
    names = {name for argument in build.arguments for name in argument.default.names}
    return {**{name: f"${{{name}}}" for name in names}, **given.environment}


def _check_arguments(build: State, given: Given, problems: Problems) -> None:
    try:
        apply_arguments(build.arguments, given.arguments or {}, _known(build, given))
    except MakejailError as error:
        problems.add(error)


def _options(build: State, given: Given, problems: Problems) -> tuple[Option, ...]:
    found = []
    try:
        values = {**given.environment, **defaults(build.arguments, _known(build, given))}
    except MakejailError as error:
        problems.add(error)
        return ()
    values.update({name: value for name, value in (given.arguments or {}).items() if name in values})
    for word, span in build.options:
        try:
            name, equals, value = evaluate(word, values, span).partition("=")
        except MakejailError as error:
            problems.add(error)
        else:
            found.append(Option(name, value if equals else None, span))
    return tuple(found)
