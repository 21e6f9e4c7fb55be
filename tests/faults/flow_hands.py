"""What hands did behind the tool's back is seen as drift, and put right."""

from __future__ import annotations

import pytest

from reconciler.model.command import Command, Completed
from reconciler.wraps import Wrapper
from tests.crash.invariants import orphans
from tests.faults.conftest import Hand
from tests.fleet import Fleet, problems

SPEC = """
kind: Jail
name: web
release: 15.1-RELEASE
makejail: {text: "CMD echo one > /etc/one"}
volumes: [{name: www, mountpoint: /usr/local/www}]
"""
STOPPED = SPEC + "state: stopped\n"


def jid(hand: Hand) -> str:
    """The number of the running jail."""
    return hand("jls", "-j", "web", "jid").strip()


def test_a_jail_that_was_killed_by_hand_is_started_again(fleet: Fleet, hand: Hand) -> None:
    fleet.write(SPEC)
    fleet.apply()
    hand("jail", "-r", "web")
    assert fleet.titles() == ["web: clear what is left of a stop that was cut off", "web: start jail"]
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    assert orphans(fleet) == []


NETWORKED = """
kind: Host
name: here
match: {hostname: "*"}
external: vtnet0
---
kind: Jail
name: web
release: 15.1-RELEASE
network: {vnet: {bridge: jails0, address: 10.77.0.2/24, gateway: 10.77.0.1, nat: true}}
limits: {maxproc: 30}
"""


@pytest.mark.parametrize("after", [NETWORKED + "state: stopped\n", NETWORKED.replace("name: web", "name: other")])
def test_what_a_jail_that_stays_down_left_on_the_host_is_cleared(fleet: Fleet, hand: Hand, after: str) -> None:
    fleet.write(NETWORKED + "---\nkind: Jail\nname: bystander\nrelease: 15.1-RELEASE\n")
    fleet.apply()
    hand("jail", "-c", "name=KEEP-web", "path=/reconciler/live/web", "persist")
    hand("jail", "-r", "web")
    left = fleet.session().observed
    assert [row.target for row in left.mounts if "/live/web" in row.target]
    assert [rule for rule in left.limits if rule.startswith("jail:web:")]
    fleet.write(after + "---\nkind: Jail\nname: bystander\nrelease: 15.1-RELEASE\n")
    assert "web: clear what is left of a stop that was cut off" in fleet.titles()
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    assert orphans(fleet) == []
    now = fleet.session().observed
    assert [row.name for row in now.jails] == ["bystander"] + (["other"] if "other" in after else [])
    assert not [row for row in now.interfaces if row.description == "reconciler: web"]


@pytest.mark.parametrize("file", ["fstab", "jail.conf"])
def test_a_file_that_was_edited_by_hand_is_written_again_without_a_restart(fleet: Fleet, hand: Hand, file: str) -> None:
    fleet.write(SPEC)
    fleet.apply()
    before = jid(hand)
    path = f"/reconciler/jails/web/{file}"
    text = fleet.runner.read(path)
    assert text is not None
    fleet.runner.write(path, text + b"# by hand\n")
    assert fleet.titles() == [f"web: write {file}"]
    assert problems(fleet.apply()) == []
    assert fleet.runner.read(path) == text
    assert fleet.titles() == []
    assert jid(hand) == before


def test_a_layer_that_was_destroyed_by_hand_is_built_again(fleet: Fleet, hand: Hand) -> None:
    fleet.write(STOPPED)
    fleet.apply()
    layer = hand("zfs", "list", "-H", "-r", "-t", "snapshot", "-o", "name", "zroot/reconciler/layers").strip()
    hand("zfs", "release", "reconciler", layer)
    hand("zfs", "destroy", "-R", layer.partition("@")[0])
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    assert orphans(fleet) == []


def test_a_mount_that_was_stacked_by_hand_does_not_outlive_a_replacement(fleet: Fleet, hand: Hand) -> None:
    fleet.write(SPEC)
    fleet.apply()
    hand("mount", "-t", "tmpfs", "tmpfs", "/reconciler/live/web/mnt")
    fleet.write(SPEC.replace("one", "two"))
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    assert orphans(fleet) == []
    assert fleet.runner.read("/reconciler/live/web/etc/two") == b"two\n"


class Swapping(Wrapper):
    """A runner on a host whose jail makes a link just before anything is mounted on /usr/local/www."""

    def run(self, command: Command) -> Completed:
        """Run it, the link first."""
        if command.argv[0] == "mount" and command.argv[-1].endswith("/usr/local/www"):
            self.inner.run(Command(LINK))
        return self.inner.run(command)


LINK = ("jexec", "web", "sh", "-c", "rmdir /usr/local/www && ln -s /etc /usr/local/www")


def outside(hand: Hand) -> list[str]:
    """Lines of the mount table that show our volume somewhere else than in its jail."""
    rows = hand("mount", "-p").splitlines()
    return [row for row in rows if "volumes/web" in row and "/reconciler/live/web/" not in row]


def test_a_link_of_the_jail_at_a_missing_mount_is_not_followed(fleet: Fleet, hand: Hand) -> None:
    fleet.write(SPEC)
    fleet.apply()
    hand("umount", "/reconciler/live/web/usr/local/www")
    hand(*LINK)
    (failed,) = [result for result in fleet.apply().failed if result.outcome == "failed"]
    assert failed.diagnostics[0].code in ("symlink-refused", "host-symlink")
    assert outside(hand) == []


def test_a_link_that_a_jail_makes_while_its_mount_is_put_back_is_undone(fleet: Fleet, hand: Hand) -> None:
    fleet.write(SPEC)
    fleet.apply()
    hand("umount", "/reconciler/live/web/usr/local/www")
    (failed,) = [result for result in fleet.apply(Swapping(fleet.runner)).failed if result.outcome == "failed"]
    assert failed.diagnostics[0].code == "symlink-refused"
    assert outside(hand) == []


def test_a_mount_that_is_missing_is_put_back_while_the_jail_runs(fleet: Fleet, hand: Hand) -> None:
    fleet.write(SPEC)
    fleet.apply()
    before = jid(hand)
    hand("umount", "/reconciler/live/web/usr/local/www")
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    assert jid(hand) == before
