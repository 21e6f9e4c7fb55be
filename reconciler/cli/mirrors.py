"""Where releases and their patches come from when their documents name nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.download import OFFLINE, PATIENT, Patience
from reconciler.releases.tag import Updates
from reconciler.spec.document import Host


@dataclass(frozen=True, slots=True)
class Offer:
    """A mirror of releases ("" is FreeBSD's own), an update server, and how their downloads wait."""

    mirror: str = ""
    updates: Updates = field(default_factory=Updates)
    patience: Patience = PATIENT


def patience_of(document: Host, *, offline: bool) -> Patience:
    """How downloads wait on a host; they are off when the command line or the host's policy says so."""
    return OFFLINE if offline or document.policy.downloads == "deny" else PATIENT


@contextmanager
def offered(given: str, url: str, document: Host, patience: Patience = PATIENT) -> Iterator[Offer]:
    """What was given, else what the Host document says; for a sandbox its own, served on loopback for so long."""
    updates = asked_of(document)
    scheme, _, directory = url.partition(":")
    if scheme != "sandbox":
        yield Offer(given, updates, patience)
        return
    from reconciler.hosts.sandbox import base_mirror
    from reconciler.hosts.sandbox.mirror import ensure_mirror, key_print, serve

    folder = ensure_mirror(Path(directory).expanduser())
    address, stop = serve(folder)
    if "updates" not in document.model_fields_set:
        print_ = key_print(folder)
        updates = Updates(f"{address}/updates", (print_,), f"{address}/base/${{ABI}}/{base_mirror.FOLDER}", (print_,))
    try:
        yield Offer(given or f"{address}/releases", updates, patience)
    finally:
        stop()


def asked_of(document: Host) -> Updates:
    """The update server and the base repository of a Host document."""
    asked = document.updates
    prints, fingerprints = (
        tuple(digest.removeprefix("sha256:") for digest in digests)
        for digests in (asked.key_prints, asked.fingerprints)
    )
    return Updates(asked.server, prints, asked.repository, fingerprints)


def key_prints(url: str, document: Host) -> tuple[str, ...]:
    """Whose signature on patches counts, without serving anything; none for a sandbox that has no mirror yet."""
    scheme, _, directory = url.partition(":")
    if scheme != "sandbox" or "updates" in document.model_fields_set:
        return tuple(digest.removeprefix("sha256:") for digest in document.updates.key_prints)
    file = Path(directory).expanduser() / "mirror" / "updates" / "key-print"
    return (file.read_text(),) if file.is_file() else ()
