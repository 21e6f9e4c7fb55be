"""Random sets of specs, small enough to be converged many times."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from reconciler.guard import Consent

NAMES = ("api", "db", "web")
STEADY = {"kind": "Jail", "name": "steady", "release": "15.1-RELEASE", "state": "stopped", "volumes": [
    {"name": "data", "mountpoint": "/var/db/data"},
]}  # fmt: skip
# Whatever the pair, the operator has agreed to it; what may happen without is a law of its own.
CONSENT = Consent(prune=True, data_loss=frozenset({*NAMES, *(f"{n}/{v}" for n in NAMES for v in ("one", "two"))}))

STARTS = {"cpuset": ["0", "0-1"], "ephemeral": [True], "unmanaged": [["localtime"]], "devfs_ruleset": [3, 5]}

volumes = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["one", "two"])},
        optional={"quota": st.sampled_from(["1G", "2G"]), "exec": st.booleans()},
    ),
    max_size=2,
    unique_by=lambda volume: volume["name"],
)


@st.composite
def jails(draw: st.DrawFn, name: str, others: tuple[str, ...]) -> dict[str, Any]:
    """One jail; it depends only on jails that come before it, and mostly does not run."""
    running = draw(st.integers(0, 5)) == 0
    jail: dict[str, Any] = {
        "kind": "Jail",
        "name": name,
        "release": draw(st.sampled_from(["15.1-RELEASE", "15.1-RELEASE", "14.4-RELEASE"])),
        "state": "running" if running else "stopped",
    }
    if found := draw(volumes):
        jail["volumes"] = [{**volume, "mountpoint": f"/var/db/{volume['name']}"} for volume in found]
    if draw(st.booleans()):
        jail["limits"] = {"maxproc": draw(st.sampled_from([50, 60]))}
    if draw(st.booleans()):
        jail["parameters"] = {"allow.raw_sockets": draw(st.booleans())}
    for field, values in STARTS.items():
        if draw(st.integers(0, 3)) == 0:
            jail[field] = draw(st.sampled_from(values))
    if draw(st.integers(0, 2)) == 0:
        lines = ["CMD echo 1 > /etc/1", "CMD echo 2 > /etc/2"]
        jail["makejail"] = {"text": "\n".join(lines[: draw(st.integers(1, 2))])}
    if others and not running and draw(st.booleans()):
        jail["depends_on"] = [draw(st.sampled_from(others))]
    return jail


@st.composite
def fleets(draw: st.DrawFn) -> str:
    """The text of a spec file: `steady`, and up to three others."""
    chosen = [name for name in NAMES if draw(st.booleans())]
    found = [draw(jails(name, tuple(chosen[:index]))) for index, name in enumerate(chosen)]
    return "\n---\n".join(json.dumps(jail) for jail in [STEADY, *found])
