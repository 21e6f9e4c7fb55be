"""What a jail wrote into its root: held against what the spec says may be lost."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from reconciler.model.ports import Change
from reconciler.runtime import DEFAULT_KEEP
from reconciler.spec.document import Jail

# Made anew at every start or by every running system (rc(8), periodic(8), cron(8), pkg(8), a login);
# nothing that anybody misses. Relative to the root.
IGNORED = (
    "tmp/*",
    "dev/*",
    "proc/*",
    "entropy",
    "firstboot",
    "firstboot-reboot",
    ".sujournal",
    "boot/entropy",
    "etc/aliases.db",
    "etc/dumpdates",
    "etc/host.conf",
    "etc/hostid",
    "etc/localtime",
    "etc/login.conf.db",
    "etc/machine-id",
    "etc/mail/aliases.db",
    "etc/mail/certs/*",
    "etc/motd",
    "etc/resolv.conf",
    "etc/resolv.conf.*",
    "etc/zfs/exports*",
    "etc/zfs/zpool.cache",
    "root/.bash_history",
    "root/.cache/*",
    "root/.history",
    "root/.lesshst",
    "root/.python_history",
    "root/.sh_history",
    "root/.viminfo",
    "usr/*/mandoc.db",
    "var/backups/*",
    "var/cache/*",
    "var/crash/*",
    "var/db/dhclient*",
    "var/db/entropy-file",
    "var/db/entropy/*",
    "var/db/etcupdate/*",
    "var/db/freebsd-update/*",
    "var/db/locate.database",
    "var/db/machine-id",
    "var/db/mountdtab",
    "var/db/mounttab",
    "var/db/mtree/BSD.var-run.mtree",
    "var/db/nfs-stablerestart*",
    "var/db/ntpd.*",
    "var/db/pkg/*.meta",
    "var/db/pkg/local.sqlite-*",
    "var/db/pkg/repo-*",
    "var/db/pkg/repos/*",
    "var/db/pkg/vuln.xml",
    "var/db/services.db",
    "var/lib/dbus/machine-id",
    "var/lib/dhcp/*",
    "var/log/*",
    "var/msgs/bounds",
    "var/run/*",
    "var/spool/clientmqueue/*",
    "var/spool/dma/flush",
    "var/spool/lock/*",
    "var/tmp/*",
    "var/unbound/root.key",
)
# Carried from root to root in the jail's state, as the start and stop hooks do it.
KEPT = tuple(pattern for path in DEFAULT_KEEP for pattern in (path.lstrip("/"), f"{path.lstrip('/')}/*"))


def undeclared(jail: Jail, changes: Iterable[Change], root: str) -> tuple[str, ...]:
    """Paths (absolute in the jail) that changed since the root was sealed and that nothing covers.

    `root` is the absolute path of the root on the host. A folder counts through what is in it. Of a jail whose
    root is ephemeral nothing counts: it has said that all of it may go.
    """
    if jail.ephemeral:
        return ()
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
