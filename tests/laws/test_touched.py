"""What is planned of the jails that were touched is what a plan of everything says."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import touched
from reconciler.guard import Consent
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.kinds.config import Config
from reconciler.model.command import Command
from reconciler.model.diagnostic import SpecError
from reconciler.model.ports import Observation
from reconciler.reconcile import Decided, Options, Session
from reconciler.spec.edited import edited
from reconciler.spec.load import load
from tests.fleet import Fleet, problems

ASKED = int(os.environ.get("LAWS_EXAMPLES", "0"))
ROUNDS = 20 if ASKED else 6
JAIL = {
    "kind": "Jail",
    "release": "15.1-RELEASE",
    "state": "stopped",
    "limits": "{maxproc: 200}",
    "volumes": "[{name: data, mountpoint: /var/db/app, quota: 1G}]",
}
CONSENT = Consent(prune=True, data_loss=frozenset({"ant", "bee", "cat", "dog", "eel"}))
NAMES = ("ant", "bee", "cat", "dog", "eel")
OWN = (
    ("limits", "{maxproc: 201}"),
    ("parameters", "{allow.raw_sockets: true}"),
    ("parameters", "{sysvshm: new}"),
    ("boot", "false"),
    ("priority", "7"),
    ("hostname", "www.example.org"),
    ("timezone", "Europe/Berlin"),
    ("keep", "[/var/lib/kept]"),
    ("drift", "{default: warn}"),
    ("protect", "true"),
    ("volumes", "[{name: data, mountpoint: /var/db/app, quota: 2G}]"),
    ("volumes", "[{name: data, mountpoint: /var/db/app}, {name: more, mountpoint: /srv}]"),
    ("volumes", "[]"),
    ("mounts", "[{device: tmpfs, mountpoint: /tmp, type: tmpfs}]"),
)
FURTHER = (
    ("state", "running"),
    ("devfs", "[path bpf* unhide]"),
    ("depends_on", "[ant]"),
    ("network", "{addresses: [{interface: lo0, address: 10.0.0.9/32}]}"),
    ("makejail", '{text: "STAGE start\\nCMD echo 1"}'),
    ("patch_level", "latest"),
    ("renamed_from", "bee"),
)
HOST = (
    ("zfs", "set", "quota=5G", "zroot/reconciler/volumes/dog/data"),
    ("zfs", "set", "quota=5G", "zroot/reconciler/volumes/ant/data"),
    ("zfs", "set", "reconciler:suspended=by hand", "zroot/reconciler/jails/cat"),
    ("zfs", "set", "reconciler:inputs=others", "zroot/reconciler/jails/eel"),
    ("zfs", "inherit", "reconciler:source", "zroot/reconciler"),
    ("zfs", "release", "reconciler", "zroot/reconciler/releases/15.1-RELEASE-p0@sealed"),
    ("zfs", "set", "reconciler:kept=/etc", "zroot/reconciler/jails/bee/1"),
    ("zfs", "umount", "zroot/reconciler/state/dog"),
    ("rctl", "-r", "jail:ant:maxproc:deny"),
    ("jail", "-r", "ant"),
    ("rm", "-f", "/reconciler/jails/bee/fstab"),
    ("rm", "-f", "/reconciler/jails/eel/boot"),
    ("jexec", "ant", "/bin/sh", "-c", "echo mine > /etc/mine"),
)


class World:
    """A fleet, its documents, and what an agent remembers of it."""

    def __init__(self, fleet: Fleet) -> None:
        """Five jails at rest, one of which runs and has another that depends on it."""
        self.fleet, self.memory = fleet, touched.Memory()
        self.plain()
        self.settle()

    def plain(self) -> None:
        """Specs that nothing was done to yet."""
        self.jails = {name: JAIL | {"name": name} for name in NAMES}
        self.jails["ant"]["state"] = "running"
        self.jails["eel"]["depends_on"] = "[ant]"
        self.write()

    def write(self) -> None:
        for path in self.fleet.specs.iterdir():
            path.unlink()
        for name, jail in self.jails.items():
            self.fleet.write("".join(f"{key}: {value}\n" for key, value in jail.items()), f"{name}.yaml")

    def run(self, *argv: str) -> None:
        self.fleet.runner.run(Command(argv))

    def settle(self) -> None:
        """Make the host as the specs say, with a plan of everything, and remember that."""
        self.run("zfs", "inherit", "reconciler:suspended", "zroot/reconciler/jails/cat")
        for number in range(1, 9):
            self.run("zfs", "inherit", "reconciler:kept", f"zroot/reconciler/jails/bee/{number}")
        for _ in range(3):
            session, decided, raw = decide(self.fleet)
            if decided.plan.empty:
                break
            self.fleet.apply(consent=CONSENT)
        self.memory.learn(session, decided, raw)

    def look(self) -> touched.Touched | None:
        """What is planned of what was touched."""
        host, options = FreeBSDHost(self.fleet.runner, f"sandbox:{self.fleet.folder}"), Options(self.fleet.specs)
        edited = touched.edits(self.memory, options)
        if edited is None:
            return None
        assert self.memory.resting is not None
        return touched.look(
            self.memory, touched.Asked(host, options, edited, host.observe(self.memory.resting.request))
        )

    def whole(self) -> tuple[Session, Decided, Observation] | None:
        """A plan of everything, and what it stood on; None where the specs are not valid."""
        try:
            return decide(self.fleet)
        except SpecError:
            return None

    def agree(self) -> bool:
        """Look both ways; whether the short one did."""
        resting, few, whole = self.memory.resting, self.look(), self.whole()
        if few is None:
            return False
        assert whole is not None
        session, decided, raw = whole
        mine, theirs = few.decided.plan, decided.plan
        assert mine.steps == theirs.steps
        assert sorted(map(str, mine.notes)) == sorted(map(str, theirs.notes))
        assert mine.basis == theirs.basis
        assert few.decided.refusals == decided.refusals
        assert contents(few.decided) == {name: contents(decided)[name] for name in contents(few.decided)}
        if mine.empty and not mine.notes:
            assert self.memory.resting is not None and resting is not None
            learnt = anew(session, decided, raw)
            assert replace(self.memory.resting, specs=learnt.specs) == learnt
            assert self.memory.resting.specs.digest == learnt.specs.digest
            assert self.memory.resting.raw.digest == learnt.raw.digest
        else:
            assert self.memory.resting is resting
        return True


def decide(fleet: Fleet) -> tuple[Session, Decided, Observation]:
    """A plan of everything, and the answer that it stood on."""
    session = fleet.session()
    raw = session.observation
    return session, session.decide(), raw


def anew(session: Session, decided: Decided, raw: Observation) -> touched.Resting:
    memory = touched.Memory()
    memory.learn(session, decided, raw)
    assert memory.resting is not None
    return memory.resting


def contents(decided: Decided) -> dict[str, object]:
    return {c.name: dict(c.content) for c in decided.plan.wanted.values() if isinstance(c, Config)}


@pytest.mark.parametrize("seed", range(ASKED or 1))
def test_any_changes_of_specs_and_host_are_planned_as_a_whole_plan_does(fleet: Fleet, seed: int) -> None:
    world, chance = World(fleet), random.Random(seed)
    short = 0
    for _ in range(ROUNDS):
        for _ in range(chance.randint(0, 2)):
            key, value = chance.choice(OWN if chance.random() < 0.9 else FURTHER)
            name = chance.choice(NAMES)
            if not (key == "depends_on" and name == "ant") and name in world.jails:
                world.jails[name] = world.jails[name] | {key: value}
        if chance.random() < 0.1:
            world.jails.pop(chance.choice(NAMES), None)
        for _ in range(chance.choice((0, 0, 1, 2))):
            world.run(*chance.choice(HOST))
        world.write()
        short += world.agree()
        if world.whole() is None or problems(world.fleet.apply(consent=CONSENT)) or chance.random() < 0.5:
            world.jails = {name: JAIL | {"name": name} for name in NAMES}
            world.write()
        short += world.agree()
        world.settle()
    assert short > 3


def test_what_a_jail_wrote_is_known_although_no_digest_has_sizes(fleet: Fleet) -> None:
    world = World(fleet)
    world.run("jexec", "ant", "/bin/sh", "-c", "echo mine > /etc/mine")
    world.jails["ant"]["volumes"] = "[{name: data, mountpoint: /srv/app, quota: 1G}]"
    world.write()
    found = world.look()
    assert found is not None and [one.code for one in found.decided.refusals] == ["undeclared-changes"]
    assert world.agree()


def test_one_edited_jail_is_planned_with_those_it_depends_on(fleet: Fleet) -> None:
    world = World(fleet)
    world.jails["eel"]["limits"] = "{maxproc: 7}"
    world.write()
    found = world.look()
    assert found is not None and found.jails == {"ant", "eel"}
    assert {step.scope for step in found.decided.plan.steps} == {"eel"}


def write(folder: Path, **changed: str) -> None:
    for name in NAMES:
        jail = JAIL | {"name": name} | (changed if name == "cat" else {})
        (folder / f"{name}.yaml").write_text("".join(f"{key}: {value}\n" for key, value in jail.items()))


@pytest.mark.parametrize(("key", "value"), [*OWN, *FURTHER])
def test_only_what_jails_say_of_themselves_is_read_alone(tmp_path: Path, key: str, value: str) -> None:
    write(tmp_path)
    before = load(tmp_path)
    write(tmp_path, **{key: value})
    found = edited(before, tmp_path)
    assert (found is not None) == ((key, value) in OWN)
    if found is not None:
        whole = load(tmp_path)
        assert found.jails == {"cat"} and found.specs.digest == whole.digest
        documents = {name: jail.doc for name, jail in whole.jails.items()}
        assert {name: jail.doc for name, jail in found.specs.jails.items()} == documents


def test_edits_that_a_rule_speaks_against_are_read_whole(tmp_path: Path) -> None:
    write(tmp_path)
    before = load(tmp_path)
    for key, value in (("limits", "{nonsense: 1}"), ("healthcheck", "{command: [true]}"), ("mounts", "[1]")):
        write(tmp_path, **{key: value})
        assert edited(before, tmp_path) is None
    write(tmp_path)
    (tmp_path / "fox.yaml").write_text("kind: Jail\nname: fox\nrelease: 15.1-RELEASE\n")
    assert edited(before, tmp_path) is None
