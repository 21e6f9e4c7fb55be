"""A build jail that shares the host's network finds names as the host does, while something is built in it.

A release has no /etc/resolv.conf, and where there is none libc asks a server on 127.0.0.1 (resolver(5)), which few
hosts have. The file belongs to the start of a jail and never to a layer, so that it goes again before a snapshot. One
that a Makejail or a package made is theirs: it is neither replaced nor taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from reconciler.build.workspace import Workspace
from reconciler.model.action import Site
from reconciler.model.diagnostic import HostError

PLACE = "/etc/resolv.conf"
_PUT = f"PATH=/bin:/usr/bin; umask 022; [ ! -e {PLACE} ] && [ ! -L {PLACE} ] && cat >{PLACE}"
_TAKE = f"PATH=/bin:/usr/bin; [ -L {PLACE} ] || ! cmp -s - {PLACE} || rm -f {PLACE}"
_NOT_THERE = "No such file or directory"


@contextmanager
def resolving(
    site: Site, room: Workspace, *, network: bool, servers: Iterable[str] | None = None
) -> Iterator[None]:
    """Lend the running build jail the host's resolv.conf, or one with these name servers.

    After a failure it stays, for who looks into the jail. Raises HostError where the file of the host cannot be read.
    """
    own = None if servers is None else "".join(f"nameserver {address}\n" for address in servers).encode()
    text = b"" if not network else _of_host(site) if own is None else own
    lent = bool(text) and room.exec(("/bin/sh", "-c", _PUT), stdin=text).status == 0
    yield
    if lent:
        room.exec(("/bin/sh", "-c", _TAKE), stdin=text)


def _of_host(site: Site) -> bytes:
    """What the host asks; nothing where it has no such file. It may be a link there: it is the host's own."""
    found = bytearray()
    try:
        site.host.files.send(PLACE, found.extend)
    except HostError as error:
        if _NOT_THERE not in error.stderr:
            raise
    return bytes(found)
