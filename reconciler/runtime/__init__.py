"""A jail's runtime as files, so that it starts and stops whole without the tool.

`files` gives jail.conf, fstab, the hook scripts and what they read; `check` finds beforehand what
cannot be expressed; `names` and `allocate_rulesets` derive what the jail is called on its host. Pure.

Order of jail(8): prepare.sh, mounts of fstab, prestart.sh, the jail is made, created.sh, the vnet
interface goes in, exec.start, poststart.sh; then prestop.sh, exec.stop, the jail is removed,
poststop.sh, unmounts, release.sh. A start that fails runs neither poststop.sh nor release.sh:
prepare.sh of the next start clears what it left, and `sh release.sh` may be run for any jail that
does not run.

The files of a running jail are used again to stop it: replace them between stop and start (fstab
last, by rename).
"""

from __future__ import annotations

from reconciler.runtime.check import check
from reconciler.runtime.devfs import ruleset as devfs_ruleset
from reconciler.runtime.files import LOGS, MARKERS, OPERATOR, Rendered, Summary, files
from reconciler.runtime.fstab import mountpoints, pointer
from reconciler.runtime.keep import HELPER, SCRATCH
from reconciler.runtime.names import RULESETS, Names, allocate_rulesets, collisions, names, ruleset_number
from reconciler.runtime.runtime import DEFAULT_KEEP, SECRETS, Runtime

__all__ = [
    "DEFAULT_KEEP",
    "HELPER",
    "LOGS",
    "MARKERS",
    "OPERATOR",
    "RULESETS",
    "SCRATCH",
    "SECRETS",
    "Names",
    "Rendered",
    "Runtime",
    "Summary",
    "allocate_rulesets",
    "check",
    "collisions",
    "devfs_ruleset",
    "files",
    "mountpoints",
    "names",
    "pointer",
    "ruleset_number",
]
