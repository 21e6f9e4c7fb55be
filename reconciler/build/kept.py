"""FreeBSD packages that the lock pins: their archives are kept in the pool's store, and installed from there.

What the store has not is fetched by the host's pkg(8) from the repository that the lock names, for the jail's ABI,
and is taken by its SHA256 alone. So a build that is pinned works as long as the store lives, whatever the repository
offers by then, and with no network at all. pkg-add(8) reads each archive from its standard input, each after what it
needs: nothing of the store lies in the jail, whose repositories are not asked and not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.build.kept_script import PKG, TAKE, WHOLE
from reconciler.build.locked import otherwise
from reconciler.build.pins import Pins, turns
from reconciler.build.workspace import Workspace
from reconciler.model.action import Site
from reconciler.model.command import Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.value import Ref
from reconciler.packages.store import ARCHIVES, FETCHING, Note, Store
from reconciler.spec.lock import Pin

TIMEOUT = 6 * 3600.0
"""Seconds that installing packages may take."""
_HASHING = 3600.0  # seconds that hashing all archives of a build may take
_SHOWN = 20


def keep(site: Site, room: Workspace, pins: Pins, ref: Ref) -> None:
    """Have the archive of every pin in the store, whole.

    Raises HostError: `pkg-not-as-locked` where the repository has other ones by now, `pkg-not-kept` where it cannot
    be asked, `store-failed`.
    """
    store = Store(site.host, site.pool, site.mountpoint)
    wanted = {pin.checksum: (name, pin) for name, pin in pins.packages.items()}
    folder = f"{site.mountpoint}/{FETCHING}/{room.mark}"
    site.host.files.clear(folder)  # of a run that was killed when it had kept what it fetched
    lacking = set(wanted) - _whole(site, room, wanted.keys() & store.all().keys())
    if not lacking:
        return
    named = dict(sorted(wanted[sha256] for sha256 in lacking))
    if not site.online:
        raise not_kept(named, "Downloads are off (policy.downloads or --offline).")
    try:
        there = _fetched(site, pins.abi, named, folder, ref)
        taken = _taken(site, folder, lacking)
        for sha256, size in taken.items():
            name, pin = wanted[sha256]
            store.note(sha256, Note(f"{name}-{pin.version}.pkg", size))
    finally:
        site.host.files.clear(folder)
    if wrong := [_moved(name, pin, there) for name, pin in named.items() if pin.checksum not in taken]:
        hint = "reconcile lock --update"
        raise HostError(Diagnostic("pkg-not-as-locked", "Packages are not as the lock says", "\n".join(wrong), hint))


def lay_out(site: Site, room: Workspace, pins: Pins, words: Iterable[str]) -> dict[str, str]:
    """Put a pkg that installs what is kept first on the PATH of scripts in WORK; the variables that it reads."""
    lines = (
        f"{turn.word} {turn.name} {turn.pin.version} {turn.pin.checksum} "
        f"-q{'' if turn.asked else 'A'}{'M' if turn.early else ''} {'yes' if turn.asked else 'no'}\n"
        for turn in turns(pins, words)
    )
    site.host.files.write(f"{room.work}/kept", "".join(lines).encode())
    for name in ("pkg", "jexec"):
        site.host.files.write(f"{room.work}/bin/{name}", PKG.encode(), 0o700)
    return {"RECONCILER_KEPT": f"{room.work}/kept", "RECONCILER_ARCHIVES": f"{site.mountpoint}/{ARCHIVES}"}


def install(site: Site, room: Workspace, pins: Pins, names: Sequence[str], ref: Ref) -> Completed:
    """Install packages and all that they need from the store, and return how it ended, whatever its status."""
    files = site.host.files
    files.clear(room.work)
    for folder in ("", "/bin"):
        files.mkdir(room.work + folder, 0o700)
    variables = lay_out(site, room, pins, names)
    words = " ".join(f"'{name}'" for name in names)
    script = f'exec "${{0%/*}}/bin/pkg" -j "$RECONCILER_JAIL" install -y -- {words}\n'
    files.write(f"{room.work}/install.sh", script.encode())
    given = {**variables, "RECONCILER_JAIL": room.jail, "ASSUME_ALWAYS_YES": "yes"}
    done = room.script(f"{room.work}/install.sh", given, site.output(ref), TIMEOUT)
    files.clear(room.work)
    return done


def not_kept(packages: Mapping[str, Pin], why: str) -> HostError:
    """The HostError (code `pkg-not-kept`) for pins that neither the store nor anybody else has now."""
    shown = [f"{name} {pin.version}" for name, pin in sorted(packages.items())]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    detail = f"The pool's store does not have {', '.join(shown[:_SHOWN])}{more}, and it cannot be fetched. {why}"
    hint = "Run it again with the network; what was fetched once is kept. Or move the lock: reconcile lock --update"
    return HostError(Diagnostic("pkg-not-kept", "Pinned packages are not to be had", detail, hint))


def _fetched(site: Site, abi: str, named: Mapping[str, Pin], folder: str, ref: Ref) -> dict[str, str]:
    """Have the repositories' archives below the folder; the versions that they offer, by name."""
    groups: dict[str, dict[str, str]] = {}
    for name, pin in named.items():
        groups.setdefault(pin.repository, {})[name] = pin.version
    site.host.files.mkdir(folder, 0o700)
    there: dict[str, str] = {}
    for repository, versions in groups.items():
        try:
            there |= site.host.packages.fetch(versions, folder, abi, repository, output=site.output(ref))
        except HostError as error:
            raise not_kept(named, error.diagnostics[0].detail) from error
    return there


def _moved(name: str, pin: Pin, there: Mapping[str, str]) -> str:
    if name not in there:
        return f"{name} {pin.version} is not there any more, and the store does not have it."
    return otherwise(name, pin.version, there[name], same=False)


def _whole(site: Site, room: Workspace, sums: Iterable[str]) -> set[str]:
    """Those of the archives that lie in the store with the digest that they are named by."""
    if not (wanted := sorted(sums)):
        return set()
    site.host.files.mkdir(room.work, 0o700)
    return {line for line in _run(site, room.work, WHOLE, wanted) if line in wanted}


def _taken(site: Site, folder: str, sums: set[str]) -> dict[str, int]:
    """Move what was fetched into the store, where it is wanted: sizes (bytes) by digest."""
    site.host.files.mkdir(f"{site.mountpoint}/{ARCHIVES}", 0o700)
    rows = [line.partition(" ") for line in _run(site, folder, TAKE, sorted(sums))]
    return {sha256: int(size) for sha256, _space, size in rows if sha256 in sums and size.isdigit()}


def _run(site: Site, folder: str, script: str, wanted: Sequence[str]) -> list[str]:
    """The lines that a script prints, which finds ./wanted beside it."""
    files = site.host.files
    files.write(f"{folder}/wanted", "".join(f"{sha256}\n" for sha256 in wanted).encode())
    files.write(f"{folder}/store.sh", script.encode())
    given = {"RECONCILER_ARCHIVES": f"{site.mountpoint}/{ARCHIVES}"}
    done = files.script(f"{folder}/store.sh", given, timeout=_HASHING)
    if done.status:
        said = done.stderr[-4000:].decode("utf-8", "replace").strip()
        detail = f"Archives of packages could not be read or moved (status {done.status}). {said}".rstrip()
        hint = "Look at the pool: zpool status. Then try again."
        raise HostError(Diagnostic("store-failed", "A package could not be kept in the pool's store", detail, hint))
    return done.stdout.decode("ascii", "replace").splitlines()
