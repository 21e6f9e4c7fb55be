"""What happens to a root between its last layer and its snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from reconciler.build.segment import TAIL
from reconciler.build.workspace import Workspace
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.value import Ref

RULE = "reconciler-root-1"
# What identifies one machine must not be shared by clones: host keys, the host's id, saved entropy.
STRIPPED = ("etc/ssh/ssh_host_*", "etc/hostid", "etc/machine-id", "var/db/machine-id", "entropy", "boot/entropy",
            "var/db/entropy/*", "var/db/entropy-file")  # fmt: skip


def text(folders: Iterable[str], *, strip: bool = True) -> str:
    """The script, run by the root's own sh inside a jail without network. Absolute links resolve in there."""
    lines = ["set -eu", "cd /", *(["rm -f -- " + " ".join(STRIPPED)] if strip else [])]
    lines += [f"mkdir -p -- {quote(folder)}" for folder in sorted(folders)]
    return "\n".join(lines) + "\n"


def seal(site: Site, room: Workspace, ref: Ref, folders: Iterable[str], *, strip: bool = True) -> None:
    """Run it; raises HostError (code `seal-failed`). A root that follows its own former one keeps what it is."""
    script = text(folders, strip=strip).encode()
    done = room.exec(("/bin/sh", "-s"), stdin=script, output=site.output(ref), timeout=3600)
    if done.status:
        tail = (done.stdout + done.stderr)[-TAIL:].decode("utf-8", "replace").strip()
        raise HostError(
            Diagnostic(
                "seal-failed",
                "A root could not be finished",
                f"{ref}: preparing its mount points ended with status {done.status}.\n{tail}",
                "A mount point that is a file, or a dangling link in the release or a package, does this.",
            ),
            argv=done.argv,
            status=done.status,
            stderr=tail,
        )
