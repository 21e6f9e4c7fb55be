"""What a running jail cannot take on: when this digest changes, the jail is restarted.

It covers what the spec says, not the text of the files, so that a new version of the tool restarts
nothing. Left out is what is changed live (limits, parameters that the kernel shows, host name), what
is read when the jail stops (stop stages, `keep`), and what only rc.d reads (boot, depends_on). The
root is compared by itself.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from reconciler.runtime.runtime import Runtime
from reconciler.spec.document import Jail

RULE = 1
_HIDDEN = ("exec.", "mount.", "stop.timeout", "ip_hostname", "zfs.dataset", "meta", "env")
_START = frozenset(prefix + name for prefix in ("", "pre", "post") for name in ("create", "start"))


def _network(jail: Jail) -> dict[str, Any]:
    said = jail.network.model_dump(mode="json")
    for later in ("mac", "interface"):
        if said["vnet"] and said["vnet"][later] is None:
            del said["vnet"][later]
    return said


def config_id(runtime: Runtime) -> str:
    """A digest of all that takes effect only at start."""
    jail = runtime.jail
    hidden = {name: value for name, value in jail.parameters.items() if name.startswith(_HIDDEN)}
    value = {
        "rule": RULE,
        "place": [
            runtime.pool,
            runtime.mountpoint,
            runtime.external,
            runtime.devfs_ruleset,
            runtime.osrelease,
        ],
        "network": _network(jail),
        "volumes": [
            [v.name, v.mountpoint, v.pool, v.read_only, v.exec, v.setuid, v.owner, v.group, v.mode]
            for v in sorted(jail.volumes, key=lambda volume: volume.name)
        ],
        "mounts": sorted([m.device, m.mountpoint, m.type, m.options] for m in jail.mounts),
        "secrets": [secret.model_dump(mode="json", by_alias=True) for secret in jail.secrets],
        "devfs": jail.devfs,
        "hidden": hidden,
        "stages": {name: text for name, text in runtime.stages.items() if name in _START},
    }
    # What a spec does not say is left out: a field that is new must not restart jails.
    since = {"timezone": jail.timezone, "cpuset": jail.cpuset, "unmanaged": sorted(set(jail.unmanaged))}
    value |= {name: said for name, said in since.items() if said}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
