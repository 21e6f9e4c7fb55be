"""What freebsd-update(8) is told and what it means by its answers. Pure: text in, values out.

Sources: freebsd-update(8), freebsd-update.conf(5), and the script of FreeBSD 15.1. It is run twice: `fetch` outside,
where the network is, and `install` inside a jail without network over the tree that is patched. Neither reads a
configuration or a work folder but our own: those of the host belong to the host, those in a root to its jail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from reconciler.model.command import Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.releases.tag import Updates
from reconciler.url import is_loopback, redact

CONFIG = "freebsd-update.conf"
"""Our configuration, inside our work folder, so that one mount shows both to the jail."""
INSIDE = "/var/db/freebsd-update"
"""Where the jail sees the work folder; every FreeBSD has this folder."""
READY, NOTHING = 0, 2
"""Exit statuses of `updatesready`; `install` ends with the second one as well."""
TAIL = 2000
SKIPPED_LIMIT = 200
"""Paths of skipped files that are kept; more say nothing more."""

_EOL = b"HAS PASSED ITS END-OF-LIFE DATE"
_PACKAGED = b"packaged base"
_SKIPPED = "The following files are affected by updates."
_PATH = re.compile(r"/[\x21-\x7e][\x20-\x7e]{0,1022}")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a `fetch` said. `skipped` are files that stay as they are, because they were changed locally.

    `end_of_life`: the release is past it; what was fetched can be installed all the same.
    """

    end_of_life: bool = False
    skipped: tuple[str, ...] = ()


def config(updates: Updates, sets: tuple[str, ...] = ("base",)) -> str:
    """A freebsd-update.conf(5) for a tree that has no kernel.

    Files below /etc, /var and /root that were changed locally are left alone, and said to be; no kernel is kept
    and no boot environment made, since the tree is no machine's. Raises HostError (`update-server-unusable`).
    """
    components = " ".join(["world/base", *(f"world/{name}" for name in sets if name.startswith("lib32"))])
    lines = [
        f"KeyPrint {_key_print(updates)}",
        f"ServerName {server_name(updates)}",
        f"Components {components}",
        "StrictComponents yes",
        "UpdateIfUnmodified /etc/ /var/ /root/ /.cshrc /.profile",
        "MergeChanges /etc/",
        "AllowAdd yes",
        "AllowDelete yes",
        "KeepModifiedMetadata yes",
        "BackupKernel no",
        "CreateBootEnv no",
    ]
    return "\n".join(lines) + "\n"


def server_name(updates: Updates) -> str:
    """What ServerName wants: a host name, for freebsd-update asks port 80, from the root of the server.

    A server on loopback may have more: it is there to try something out. Raises HostError
    (`update-server-unusable`) for any other URL that says more than a host.
    """
    parts = urlsplit(updates.server)
    host = parts.hostname or ""
    if parts.scheme == "http" and is_loopback(host):
        return f"{parts.netloc}{parts.path}".rstrip("/")
    plain = parts.scheme == "http" and parts.path in ("", "/") and not parts.query
    if not plain or not host or parts.netloc.lower() != host:
        raise HostError(
            Diagnostic(
                "update-server-unusable",
                "freebsd-update cannot use this server",
                f"{redact(updates.server)}: it asks a host by its name alone, over http on port 80; "
                "its answers are signed.",
                "Write it like http://update.FreeBSD.org",
            )
        )
    return parts.netloc


def fetched(done: Completed) -> Fetched:
    """Judge `fetch`. Raises HostError (`update-fetch-failed`, `pkgbase-unavailable`).

    Past the end of life it ends with 1 although all went well; whether there is something to install says only
    `updatesready`.
    """
    end_of_life = _EOL in done.stdout or _EOL in done.stderr
    if done.status and (_PACKAGED in done.stdout or _PACKAGED in done.stderr):
        hint = "Install pkg on the host, which upgrades such a base: pkg bootstrap"
        raise failed("pkgbase-unavailable", "A base system made of packages cannot be patched", done, hint)
    if done.status and not (done.status == 1 and end_of_life):
        raise failed(
            "update-fetch-failed",
            "Patches could not be fetched",
            done,
            "Check the host's network and name service; nothing was changed. Then run the command again.",
        )
    text = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
    return Fetched(end_of_life, tuple(_skipped(text)))


def ready(done: Completed) -> bool:
    """Judge `updatesready`. Raises HostError (`update-fetch-failed`)."""
    if done.status not in (READY, NOTHING):
        raise failed("update-fetch-failed", "Patches could not be fetched", done, "Run the command again.")
    return done.status == READY


def installed(done: Completed) -> None:
    """Judge `install`. Raises HostError (`update-install-failed`)."""
    if done.status:
        raise failed(
            "update-install-failed",
            "Patches could not be installed",
            done,
            "What was being patched is discarded by the next run, which begins anew. Run the command again.",
        )


def failed(code: str, summary: str, done: Completed, hint: str) -> HostError:
    """An error with the end of what was said."""
    tail = (done.stdout + done.stderr)[-TAIL:].decode("utf-8", "replace").strip()
    detail = f"freebsd-update ended with status {done.status}." + (f"\n{tail}" if tail else "")
    return HostError(Diagnostic(code, summary, detail, hint), argv=done.argv, status=done.status, stderr=tail)


def install_script() -> str:
    """What runs in the jail, as `sh -s -- BASEDIR RELEASE`: the same BASEDIR as outside, there a link to `/`.

    freebsd-update knows what was fetched by the very words of BASEDIR, and insists on a folder for the kernel
    that runs, which a tree without a kernel has not. Both go again.
    """
    return f"""\
set -eu
base=$1 release=$2
kernel=$(sysctl -n kern.bootfile)
kernel=${{kernel%/*}}
made=
[ -d "$kernel" ] || {{ mkdir -p "$kernel"; made=yes; }}
mkdir -p "${{base%/*}}"
[ ! -L "$base" ] || rm -f "$base"
ln -s / "$base"
status=0
env PAGER=cat freebsd-update -b "$base" -d {INSIDE} -f {INSIDE}/{CONFIG} \\
    --currently-running "$release" --not-running-from-cron install || status=$?
rm -f "$base"
rmdir -p "${{base%/*}}" 2>/dev/null || :
[ -z "$made" ] || rmdir -p "$kernel" 2>/dev/null || :
exit $status
"""


def _key_print(updates: Updates) -> str:
    """The one key that the configuration can name."""
    if len(updates.key_prints) != 1:
        raise HostError(
            Diagnostic(
                "update-server-unusable",
                "freebsd-update cannot use this server",
                f"{updates.server}: {len(updates.key_prints)} keys are given, and freebsd-update trusts exactly one.",
                "Give one digest in `updates.key_prints`.",
            )
        )
    return updates.key_prints[0]


def _skipped(text: str) -> Iterator[str]:
    """Paths below the heading of files that were changed locally, up to the next line that is none."""
    lines = iter(text.splitlines())
    count = 0
    for line in lines:
        if not line.startswith(_SKIPPED):
            continue
        for path in lines:
            if _PATH.fullmatch(path):
                count += 1
                if count <= SKIPPED_LIMIT:
                    yield path
            elif path.startswith("/") or count:
                break
