"""What a jail wrote into its root: held against what the spec says may be lost."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from reconciler.model.ports import Change
from reconciler.spec.document import Jail

# Made anew at every start or by every running system; nothing that anybody misses. Relative to the root.
IGNORED = (
    "tmp/*",
    "dev/*",
    "proc/*",
    "var/run/*",
    "var/tmp/*",
    "var/cache/*",
    "var/log/*",
    "var/db/entropy/*",
    "var/db/services.db",
    "var/db/locate.database",
    "var/db/etcupdate/*",
    "var/db/pkg/repo-*",
    "var/db/pkg/repos/*",
    "var/db/pkg/vuln.xml",
    "var/db/dhclient*",
    "var/lib/dhcp/*",
    "var/spool/clientmqueue/*",
    "var/backups/*",
    "etc/resolv.conf",
    "etc/localtime",
    "etc/hostid",
    "etc/machine-id",
    "etc/motd",
    "etc/aliases.db",
    "etc/mail/aliases.db",
    "etc/dumpdates",
    "entropy",
    "boot/entropy",
    ".sujournal",
    "root/.history",
    "root/.sh_history",
    "root/.lesshst",
    "usr/share/man/mandoc.db",
    "usr/local/share/man/mandoc.db",
)
# Carried from root to root in the jail's state, as the start and stop hooks do it.
KEPT = ("etc/ssh/ssh_host_*", "etc/machine-id", "var/cron/tabs/*", "var/mail/*")


def undeclared(jail: Jail, changes: Iterable[Change], root: str) -> tuple[str, ...]:
    """Paths (absolute in the jail) that changed since the root was sealed and that nothing covers.

    `root` is the absolute path of the root on the host. A folder counts through what is in it.
    """
    patterns = [*IGNORED, *KEPT]
    for path in (*jail.keep, *jail.ignore, *(v.mountpoint for v in jail.volumes), *(m.mountpoint for m in jail.mounts)):
        patterns += [path.lstrip("/"), path.lstrip("/") + "/*"]
    patterns += [s.path.lstrip("/") for s in jail.secrets]
    found: set[str] = set()
    for change in changes:
        if change.type == "/":
            continue
        for path in filter(None, (change.path, change.renamed)):
            relative = path[len(root) :].lstrip("/") if path.startswith(root) else path.lstrip("/")
            if relative and not any(fnmatchcase(relative, pattern) for pattern in patterns):
                found.add("/" + relative)
    return tuple(sorted(found))
