"""Recording what somebody does in a jail by hand, and making a package of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer

from reconciler import __version__
from reconciler.build import recorded, union
from reconciler.build.reading import Difference, difference, line, windows
from reconciler.build.recorded import Base, Recording
from reconciler.cli import packaging, session, unions
from reconciler.cli.lock import locked
from reconciler.cli.paper import many, size
from reconciler.cli.show import visible
from reconciler.cli.unions import Union
from reconciler.kinds.config import generation
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.packages.compress import Compression
from reconciler.packages.manifest import MAX_LEVEL, Manifest
from reconciler.packages.record import IGNORED
from reconciler.packages.times import settled
from reconciler.packages.write import Written, build_package, prepare_folder
from reconciler.reconcile import Session
from reconciler.spec.lock import abi_of


@dataclass(frozen=True)
class Pool:
    """Which pool is meant: the specs that name it, the host, and this machine's labels."""

    specs: Path | None
    host: str
    labels: dict[str, str]

    def session(self) -> Session:
        """A new look at it; it may be changed."""
        return session.pool_session(session.changing(self.host), self.specs, self.labels)


@dataclass(frozen=True)
class Asked:
    """What the command line asks of a package. `up_to` is its last patch level, None for any later one.

    `ignore` are further patterns to leave out, `include` those that are wanted although they are usually left out.
    With `settle`, files that were written meanwhile get the one time that `packages.times` gives them.
    """

    jail: str
    name: str
    version: str
    out: Path
    compression: Compression = "xz"
    bare: bool = False
    ignore: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    up_to: int | None = -1
    keep: bool = False
    settle: bool = False


def start(pool: Pool, jail: str, over: Union | None = None) -> int:
    """Take the snapshot that a package will be the difference from; with `over`, lay a folder over the root.

    Raises Refused, SpecError, HostError.
    """
    run = pool.session()
    with locked(run.host, run.document.pool, f"package record start {jail}"):
        run = pool.session()
        dataset = _live(run, jail)
        if (there := recorded.recordings(run.seen.rows).get(jail)) is not None:
            raise _exists(there)
        _refuse_ephemeral(run, jail)
        if over is None:
            recorded.mark(session.site(run), f"{dataset}@{recorded.STARTED}", _now())
        else:
            unions.start(run, jail, f"{dataset}@{recorded.STARTED}", _now(), over)
    print(f"Recording {jail}. Change it as you like: reconcile exec -i {jail} -- sh")
    print(f"Then: reconcile package record stop {jail}{' --restart' if over is not None else ''}")
    return 0


def _refuse_ephemeral(run: Session, jail: str) -> None:
    """Its start takes the root back to what was built, which a snapshot since then keeps zfs from doing."""
    if b"/sbin/zfs rollback " in run.observed.files.get(f"jails/{jail}/prepare.sh", b""):
        detail = f"The root of {jail} is taken back to what was built at each start, and a recording would keep it "
        detail += "from starting. Nothing was done."
        hint = f"Make a package of what is there now: reconcile package import {jail}\n"
        hint += "or take out `ephemeral: true` and apply."
        raise SpecError(Diagnostic("recording-ephemeral", "An ephemeral jail cannot be recorded", detail, hint))


def stop(pool: Pool, jail: str, *, restart: bool = False) -> int:
    """Take the snapshot that a package ends with; a union goes from the root. Raises Refused, SpecError, HostError."""
    run = pool.session()
    with locked(run.host, run.document.pool, f"package record stop {jail}"):
        run = pool.session()
        found = _recording(run, jail)
        if not found.stopped and found.upper:
            unions.stop(run, found, _now(), restart=restart)
        elif not found.stopped:
            recorded.mark(session.site(run), found.last, _now())
    done = "was stopped already" if found.stopped else "is stopped"
    print(f"The recording of {jail} {done}. Make a package of it:")
    print(f"  reconcile package build {jail} --name NAME --version VERSION")
    return 0


def discard(pool: Pool, jail: str, *, restart: bool = False) -> int:
    """Forget a recording; what was done in the jail stays, unless it lies in a union's upper folder.

    Raises Refused, SpecError, HostError.
    """
    run = pool.session()
    with locked(run.host, run.document.pool, f"package record discard {jail}"):
        run = pool.session()
        if left := [row.name for path, row in run.seen.rows.items() if _of_import(path, jail)]:
            recorded.drop(session.site(run), left)  # of an import that was killed
            if jail not in recorded.recordings(run.seen.rows):
                print(f"What an import of {jail} left is gone.")
                return 0
        found = _recording(run, jail)
        if found.upper:
            unions.discard(run, found, restart=restart)
        recorded.drop(session.site(run), (found.last, found.first))
    went = "what was recorded is gone with it" if found.upper else "the jail is as it was"
    print(f"The recording of {jail} is discarded; {went}.")
    return 0


def _of_import(path: str, jail: str) -> bool:
    return path.startswith(f"jails/{jail}/") and path.endswith(f"@{recorded.HERE}")


def build(pool: Pool, asked: Asked) -> int:
    """Make a package of a recording that was stopped. Raises Refused, SpecError, HostError, FetchError."""
    run = pool.session()
    with locked(run.host, run.document.pool, f"package build {asked.jail}"):
        run = pool.session()
        found = _recording(run, asked.jail)
        if not found.stopped:
            detail = f"{asked.jail} is recorded since {found.started}."
            hint = f"reconcile package record stop {asked.jail}"
            raise SpecError(Diagnostic("recording-running", "The recording was not stopped", detail, hint))
        site = session.site(run)
        if found.upper:
            unions.check(site, found)
        base, steps = recorded.base(run.seen, found.dataset), ((found.first, found.last),)
        _make(site, run, asked, base, recorded.tip(run.seen, found.dataset), steps, upper=found.upper)
        if not asked.keep:
            if found.upper:
                union.discard(site, found.jail, found.upper)
            recorded.drop(site, (found.last, found.first))
    return 0


def whole(pool: Pool, asked: Asked) -> int:
    """Make a package of all that distinguishes a jail from its release. Raises as `build`."""
    with ExitStack() as stack:
        run = pool.session()
        stack.enter_context(locked(run.host, run.document.pool, f"package import {asked.jail}"))
        run = pool.session()
        dataset = _live(run, asked.jail)
        base = recorded.base(run.seen, dataset)
        now = f"{dataset}@{recorded.HERE}"
        site = session.site(run)
        recorded.drop(site, (now,))  # of a run that was killed
        recorded.mark(site, now, _now())
        stack.callback(recorded.drop, site, (now,))
        rows = site.observe("datasets").datasets
        named = f"release/{base.release}-p{base.level}"
        if base.copied:
            recorded.check_release(rows, base, dataset)
            _make(site, run, asked, base, named, ((base.snapshot, now),), everything=True)
        else:
            _make(site, run, asked, base, named, line(rows, base.snapshot, now))
    return 0


def _make(
    site: Site, run: Session, asked: Asked, base: Base, on: str, steps: Sequence[tuple[str, str]],
    *, everything: bool = False, upper: str = "",
) -> Written:  # fmt: skip
    levels = _levels(base, asked.up_to)
    prepare_folder(asked.out)
    ignore = (*IGNORED, *asked.ignore)
    found = difference(site, steps, ignore=ignore, wanted=asked.include, everything=everything, upper=upper)
    if not found.change:
        detail = f"Nothing that a package holds changed in {asked.jail}."
        raise SpecError(Diagnostic("recording-empty", "There is nothing to make a package of", detail, _left(found)))
    change = settled(found.change, windows(site, steps), (), found.since) if asked.settle else found.change
    arch = run.facts.arch
    manifest = Manifest(
        asked.name, asked.version, base.release, levels, arch, abi_of(base.release, arch), on,
        f"reconciler {__version__}", change,
    )  # fmt: skip
    made = build_package(asked.out, manifest, found.captured.content, asked.compression, bare=asked.bare)
    for text in (*packaging.summary(manifest), _left(found), *unions.said(found)):
        print(text)
    print(f"\n{made.path}  {size(made.size)}\nsha256:{made.sha256}")
    print("\nTo have it in a jail, with the path as seen from its spec:")
    named = f'name: {asked.name}, version: "{asked.version}", digest: "sha256:{made.sha256}"'
    print(f"  packages: [{{{named}, source: {made.path}}}]")
    return made


def _levels(base: Base, up_to: int | None) -> tuple[int, int | None]:
    """The first and last patch level; -1 stands for that of the base. Raises typer.BadParameter."""
    if up_to is not None and (0 <= up_to < base.level or up_to > MAX_LEVEL):
        raise typer.BadParameter(f"--up-to {up_to}: it was recorded on p{base.level}, and the last is p{MAX_LEVEL}.")
    return base.level, base.level if up_to == -1 else up_to


def _left(found: Difference) -> str:
    """What was left out, by pattern."""
    if not found.left_out:
        return "left out: nothing"
    each = [f"{pattern} ({many(len(paths), 'name')})" for pattern, paths in found.left_out.items()]
    return visible(f"left out: {', '.join(each)}; --include PATTERN brings it in")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _live(run: Session, jail: str) -> str:
    """The dataset of a jail's live root. Raises SpecError (code `unknown-jail`)."""
    number = generation(run.observed.files.get(f"jails/{jail}/fstab"), run.place, jail)
    row = run.seen.rows.get(f"jails/{jail}/{number}")
    if row is None:
        detail = f"{run.document.pool} has no jail {jail} with a root."
        raise SpecError(Diagnostic("unknown-jail", "There is no such jail", detail, "reconcile status"))
    return row.name


def _recording(run: Session, jail: str) -> Recording:
    found = recorded.recordings(run.seen.rows).get(jail)
    if found is None:
        detail = f"Nothing is recorded of {jail}."
        hint = f"reconcile package record start {jail}"
        raise SpecError(Diagnostic("recording-none", "There is no recording", detail, hint))
    return found


def _exists(found: Recording) -> SpecError:
    stopped = f", and stopped at {found.stopped}" if found.stopped else ""
    what = f"A recording of {found.jail} was started at {found.started}{stopped}."
    restart = " --restart" if found.upper and not stopped else ""
    verb = f"build {found.jail} --name NAME --version VERSION" if stopped else f"record stop {found.jail}{restart}"
    hint = f"reconcile package {verb}\nor, to forget it: reconcile package record discard {found.jail}{restart}"
    return SpecError(Diagnostic("recording-exists", "The jail is recorded already", what, hint))
