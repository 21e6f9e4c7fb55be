"""Which mirror releases come from when their document names none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mirror_for(given: str, url: str) -> Iterator[str]:
    """The mirror given; for a sandbox its own small one, served on loopback while the context lasts.

    "" means FreeBSD's own.
    """
    scheme, _, directory = url.partition(":")
    if given or scheme != "sandbox":
        yield given
        return
    from reconciler.hosts.sandbox.machine import Machine
    from reconciler.hosts.sandbox.mirror import ensure_mirror, serve

    address, stop = serve(ensure_mirror(Machine(Path(directory).expanduser())))
    try:
        yield f"{address}/releases"
    finally:
        stop()
