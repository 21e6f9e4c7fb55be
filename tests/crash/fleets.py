"""What the matrix converges: small parts of everything that a crash can leave half done, and the example fleet."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

HOST = """
kind: Host
name: example
match: {hostname: "*"}
external: vtnet0
defaults: {release: 15.1-RELEASE, patch_level: 0}
"""
LAYERED = """
kind: Jail
name: db
state: stopped
makejail:
  text: |
    CMD echo shared > /etc/shared
    CMD echo db > /etc/role
volumes: [{name: data, mountpoint: /var/db/data, mode: "0700", quota: 1G}]
"""
SHARING = """
kind: Jail
name: tools
state: stopped
boot: false
packages: [{name: motd}]
pkg: [curl]
"""
COUSIN = """
kind: Jail
name: cousin
state: stopped
makejail:
  text: |
    CMD echo shared > /etc/shared
    CMD echo cousin > /etc/role
"""
SEED = """
kind: Jail
name: seed
state: stopped
"""
OLD_SEED = """
kind: Jail
name: older
release: 14.4-RELEASE
state: stopped
"""
WEB = """
kind: Jail
name: web
network:
  vnet: {bridge: lan, address: 10.77.0.10/24, gateway: 10.77.0.1, nat: true}
devfs: ["path 'bpf*' unhide"]
limits: {maxproc: 50, openfiles: 512}
secrets: [{name: token, from: {command: [/bin/echo, sesame]}, path: /run/secrets/token, mode: "0400"}]
"""
DB = """
kind: Jail
name: db
makejail: {text: "CMD echo db > /etc/role"}
volumes: [{name: data, mountpoint: /var/db/data, mode: "0700", quota: 1G}]
limits: {maxproc: 100}
keep: [/etc/kept]
healthcheck: {command: [test, -f, /etc/role], interval: 0, retries: 2}
"""
DB_LATER = DB.replace("name: db\n", "name: db\nrelease: 14.4-RELEASE\n").replace("100}", "80}")
STEADY = """
kind: Jail
name: steady
volumes: [{name: data, mountpoint: /var/db/data}]
"""
LEAVING = """
kind: Jail
name: gone
volumes: [{name: mail, mountpoint: /var/mail, quota: 1G}]
limits: {maxproc: 30}
network: {vnet: {bridge: lan, address: 10.77.0.30/24, gateway: 10.77.0.1}}
"""
PACKED = """
kind: Jail
name: packed
pkg: [curl]
state: stopped
"""
PACKED_LATER = PACKED.replace("curl", "nginx")
EXPIRING = """
kind: Jail
name: brief
state: stopped
update: {keep: 1}
makejail: {text: "CMD echo one > /etc/one"}
"""
HEALTHY = """
kind: Jail
name: ill
volumes: [{name: data, mountpoint: /var/db/data}]
makejail: {text: "CMD echo one > /etc/one"}
healthcheck: {command: [test, -f, /etc/one], interval: 0, retries: 1}
"""
UNHEALTHY = HEALTHY.replace("CMD echo one > /etc/one", "CMD echo two > /etc/two")
THICK = """
kind: Jail
name: thick
update: {strategy: in_place}
volumes: [{name: data, mountpoint: /var/db/data}]
"""
THICK_LATER = f"{THICK}patch_level: 1\n"
FIRST = """
kind: Jail
name: first
state: stopped
"""
SECOND = """
kind: Jail
name: second
state: stopped
depends_on: [first]
"""


@dataclass(frozen=True)
class Scenario:
    """A converge to be killed. `before` is converged first, when there is something; `volumes` then hold a canary.

    `earlier` is converged before that. `bystanders` are jails that the change is not about: they must go on running,
    untouched. `held` is a jail whose new root fails its check: its last good one must run in the end. `patched`: the
    host reaches an update server that leads 15.1-RELEASE to -p1.
    """

    name: str
    after: dict[str, str]
    before: dict[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    bystanders: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    earlier: dict[str, str] = field(default_factory=dict)
    held: str = ""
    patched: bool = False


def small() -> tuple[Scenario, ...]:
    """Everything that a crash can leave half done, in parts small enough to be killed at every call."""
    packages = (ROOT / "specs/packages.yaml").read_text()
    shared = {"host.yaml": HOST, "packages.yaml": packages}
    folders = (ROOT / "specs/packages",)

    def part(
        name: str, before: str, after: str, *, volumes: str = "", near: str = "", earlier: str = "", held: str = ""
    ) -> Scenario:
        first, was, now = ({**shared, "fleet.yaml": text} if text else {} for text in (earlier, before, after))
        return Scenario(name, now, was, tuple(volumes.split()), tuple(near.split()), folders, first, held)

    running = f"{FIRST}---{SECOND}".replace("state: stopped\n", "")
    return (
        part("release, layers, volume", "", f"{LAYERED}---{SHARING}"),
        part("a shared layer", LAYERED, f"{LAYERED}---{COUSIN}", volumes="db/data"),
        part("network, limits, secret", SEED, f"{SEED}---{WEB}"),
        part("start in order", f"{FIRST}---{SECOND}", running),
        part(
            "another release and limit", f"{DB}---{STEADY}---{OLD_SEED}", f"{DB_LATER}---{STEADY}---{OLD_SEED}",
            volumes="db/data steady/data", near="steady",
        ),
        part("a removal, another package", f"{LEAVING}---{PACKED}", PACKED_LATER, volumes="gone/mail"),
        part(
            "an old root expires", EXPIRING.replace("one", "two"), EXPIRING.replace("one", "three"), earlier=EXPIRING
        ),
        part("a root that is not healthy", HEALTHY, UNHEALTHY, volumes="ill/data", held="ill"),
        replace(part("a release and a root patched", THICK, THICK_LATER, volumes="thick/data"), patched=True),
    )  # fmt: skip


def example() -> tuple[Scenario, ...]:
    """The example fleet of the specs folder, the same two ways."""
    specs = ROOT / "specs"
    whole = {path.name: path.read_text() for path in specs.glob("*.yaml")}
    folders = tuple(path for path in specs.iterdir() if path.is_dir())
    later = {
        **{name: text for name, text in whole.items() if name != "worker.yaml"},
        "old.yaml": whole["old.yaml"].replace("14.4-RELEASE", "15.1-RELEASE"),
        "tools.yaml": whole["tools.yaml"].replace("[curl]", "[nginx]"),
        "db.yaml": whole["db.yaml"].replace("memoryuse: 1G", "memoryuse: 2G"),
    }
    volumes = ("db/data", "site/uploads", "monitor/history", "worker/spool")
    return (
        Scenario("first converge", whole, folders=folders),
        Scenario("change", later, whole, volumes, ("site", "cache", "proxy", "monitor"), folders),
    )


FLEETS = {"small": small, "example": example}


def write(folder: Path, texts: dict[str, str], folders: tuple[Path, ...]) -> None:
    """Make `folder` hold these specs and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    for source in folders:
        shutil.copytree(source, folder / source.name)
