"""Packages are installed as the lock says, or the layer is not made.

Before: the catalogue from which pkg will install must offer what is pinned, archives by checksum. After: whatever came
into the jail must be pinned, and of that version. pkg itself holds archives against the catalogue's checksums.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from reconciler.build.workspace import Workspace
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import Offer

_ITSELF = "pkg"
"""pkg puts itself into a jail where it is run in there; no lock names it."""


@contextmanager
def as_locked(site: Site, room: Workspace, pins: Sequence[str], *, kept: bool = False) -> Iterator[None]:
    """Hold what is installed meanwhile to the pins (`NAME VERSION [CHECKSUM]`); nothing where there are none.

    With `kept` it is installed from archives of these checksums, and no catalogue has a say.
    Raises HostError, codes `pkg-not-as-locked` and `pkg-catalogue-failed`.
    """
    if not pins:
        yield
        return
    wanted = {name: (version, checksum) for name, version, checksum in map(_words, pins)}
    if not kept:
        _raise(tuple(_other(wanted, site.host.packages.offered(sorted(wanted), jail=room.jail))))
    wrong = []
    before = site.host.packages.installed(room.jail)
    yield
    after = site.host.packages.installed(room.jail)
    for name, version in sorted(after.items()):
        if before.get(name) == version or name == _ITSELF:
            continue
        if name not in wanted:
            wrong.append(f"{name} {version} was pulled in, and is not pinned.")
        elif wanted[name][0] != version:
            wrong.append(f"{name} is pinned to {wanted[name][0]}, and {version} was installed.")
    _raise(wrong)


def otherwise(name: str, version: str, there: str, *, same: bool) -> str:
    """What a repository has otherwise than it is pinned; `same`: the archive is, as far as anybody knows."""
    if there != version:
        return f"{name} is pinned to {version}, and the repository has {there}."
    return "" if same else f"{name} {version} was built anew: its archive has another checksum."


def _other(wanted: Mapping[str, tuple[str, str]], offered: Mapping[str, Offer]) -> Iterator[str]:
    """What a catalogue has otherwise than it is pinned."""
    for name, (version, checksum) in sorted(wanted.items()):
        offer = offered.get(name)
        if offer is None:
            yield f"{name} {version} is not there any more."
        elif text := otherwise(name, version, offer.version, same=offer.checksum in ("", checksum) or not checksum):
            yield text


def _words(pin: str) -> tuple[str, str, str]:
    name, _, rest = pin.partition(" ")
    version, _, checksum = rest.partition(" ")
    return name, version, checksum


def _raise(wrong: Sequence[str]) -> None:
    if wrong:
        hint = "reconcile lock --update"
        raise HostError(Diagnostic("pkg-not-as-locked", "Packages are not as the lock says", "\n".join(wrong), hint))
