"""`drift:` per field: corrected, only told, or left; and only where the spec itself did not change."""

from __future__ import annotations

import pytest

from reconciler.model.command import Command
from tests.fleet import Fleet, problems

SPEC = """
kind: Host
name: example
match: {hostname: "*"}
external: vtnet0
---
kind: Jail
name: web
release: 15.1-RELEASE
network: {vnet: {bridge: jails0, address: 10.77.0.2/24, gateway: 10.77.0.1, nat: true}}
volumes: [{name: www, mountpoint: /usr/local/www, quota: 1G}]
mounts: [{device: tmpfs, mountpoint: /var/cache/web, type: tmpfs, options: rw}]
limits: {maxproc: 100}
devfs: ["path bpf* unhide"]
parameters: {allow.raw_sockets: true}
"""
CHANGES = {
    "state": "jail -f /reconciler/jails/web/jail.conf -r web",
    "parameters": "jail -m name=web allow.raw_sockets=0",
    "mounts": "umount /reconciler/live/web/var/cache/web",
    "limits": "rctl -r jail:web:maxproc",
    "network": "pfctl -a reconciler/web -F all",
    "devfs": "devfs rule -s RULESET delset",
    "volumes": "zfs set quota=5G zroot/reconciler/volumes/web/www",
}


def change(fleet: Fleet, field: str) -> None:
    """Move one field behind the tool's back."""
    web = next(row for row in fleet.session().observed.jails if row.name == "web")
    line = CHANGES[field].replace("RULESET", str(web.parameters["devfs_ruleset"]))
    assert fleet.runner.run(Command(tuple(line.split()))).status == 0


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_drift_is_left_or_told_or_corrected_as_its_field_says(fleet: Fleet, field: str) -> None:
    fleet.write(SPEC + f"drift: {{default: correct, {field}: warn}}\n")
    assert problems(fleet.apply()) == []
    change(fleet, field)
    decided = fleet.decide()
    assert decided.plan.empty, fleet.titles()
    assert {note.code for note in decided.plan.notes} == {"drift-left"}
    fleet.write(SPEC + f"drift: {{default: correct, {field}: ignore}}\n")
    assert problems(fleet.apply()) == []
    change(fleet, field)
    decided = fleet.decide()
    assert (decided.plan.empty, decided.plan.notes) == (True, ())
    fleet.write(SPEC + f"drift: {{default: ignore, {field}: correct}}\n")
    assert problems(fleet.apply()) == []
    change(fleet, field)
    assert fleet.titles() != []
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []


def test_what_the_spec_changed_is_no_drift_whatever_the_policy_says(fleet: Fleet) -> None:
    fleet.write(SPEC + "drift: {default: ignore}\n")
    assert problems(fleet.apply()) == []
    fleet.write(SPEC.replace("1G", "2G").replace("maxproc: 100", "maxproc: 50") + "drift: {default: ignore}\n")
    assert "web: correct volume www" in fleet.titles()
    assert problems(fleet.apply()) == []
    assert "jail:web:maxproc:deny=50" in fleet.session().observed.limits
    assert fleet.titles() == []
