"""What a Makejail says of its jail is planned, corrected when it drifts, and undone when the Makejail drops it."""

from __future__ import annotations

from reconciler.guard import Consent
from tests.fleet import Fleet, problems

SPEC = """
kind: Host
name: h
match: {hostname: "*"}
external: vtnet0
---
kind: Jail
name: web
release: 15.1-RELEASE
makejail: {file: web.makejail}
"""
SAYS = """
OPTION volume=data mountpoint:/srv owner:80
OPTION limits=maxproc:deny=50
SET children.max=3
MOUNT tmpfs /var/cache tmpfs rw
DEVICE path 'bpf*' unhide
OPTION virtualnet=:web default
"""
CONSENT = Consent(prune=True, data_loss=frozenset({"web/data"}))


def test_it_is_planned_held_at_rest_changed_in_place_and_undone_when_it_goes(fleet: Fleet) -> None:
    fleet.write(SPEC)
    fleet.write(f"CMD true{SAYS}", "web.makejail")
    assert problems(fleet.apply()) == [] and fleet.titles() == []
    seen = fleet.session().observed
    assert (seen.jails[0].parameters["children.max"], seen.jails[0].parameters["vnet"]) == ("3", "new")
    assert any(rule.startswith("jail:web:maxproc:deny=50") for rule in seen.limits)
    targets = {mount.target.removeprefix("/reconciler/live/web") for mount in seen.mounts}
    assert {"/srv", "/var/cache"} <= targets and "ajnet" in {row.name for row in seen.interfaces}

    fleet.write(f"CMD true{SAYS.replace('=50', '=60')}", "web.makejail")
    assert fleet.titles() == ["web: write created.sh", "web: set limit maxproc:deny=60", "web: record root 1 as good"]

    fleet.write("CMD true\n", "web.makejail")
    titles = fleet.titles()
    assert "web: mark volume web/data as pruned (its data stays)" in titles
    assert not any("layer" in title for title in titles)
    assert problems(fleet.apply(consent=CONSENT)) == [] and fleet.titles() == []
    seen = fleet.session().observed
    assert not seen.limits and not [mount for mount in seen.mounts if mount.target.endswith("/var/cache")]


def test_steps_name_the_line_of_the_makejail(fleet: Fleet) -> None:
    fleet.write(SPEC)
    fleet.write(f"CMD true{SAYS}", "web.makejail")
    steps = {step.action.title(): str(step.span) for step in fleet.decide().plan.steps}
    assert steps["create volume data"].endswith("web.makejail:2:1")


def test_a_makejail_that_reaches_for_the_host_needs_the_hosts_word(fleet: Fleet) -> None:
    fleet.write(SPEC.replace("external: vtnet0", "external: vtnet0\npolicy: {host_code: deny}"))
    fleet.write("MOUNT /etc /mnt nullfs rw\n", "web.makejail")
    notes = {(note.scope, note.code) for note in fleet.decide().plan.notes}
    assert ("web", "host-code-denied") in notes
