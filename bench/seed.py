"""A sandbox with N converged jails, without N applies.

One jail is converged for real. Its rows in the state of the sandbox are copied under the names and
addresses of the others; their configuration is what the engine itself allocates for them. Whether that is
honest is not believed but asked: `noop.py` starts with a cold plan, which must find nothing to do.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler import __version__
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.runner import SandboxRunner
from reconciler.reconcile import Options, Session

TEMPLATE = "j00000"
_TABLES = ("datasets", "snapshots", "mounts", "jails", "rules")

HOST = """\
kind: Host
name: bench
match: {hostname: "*"}
external: vtnet0
defaults:
  release: 15.1-RELEASE
  patch_level: 0
"""

JAIL = """\
kind: Jail
name: %s
network:
  addresses: [{interface: lo0, address: %s/32}]
volumes:
  - {name: data, mountpoint: /var/db/app, quota: 1G}
parameters: {allow.raw_sockets: true, sysvshm: new}
limits: {memoryuse: 512M, maxproc: 200}
"""


def name_of(number: int) -> str:
    """The name of the jail with this number."""
    return f"j{number:05d}"


def address_of(number: int) -> str:
    """Its address."""
    return f"10.{1 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def seeded(cache: Path, count: int) -> Path:
    """A folder with `specs` and `box`, the sandbox that has converged on them; made when it is not there yet."""
    kept = cache / f"{_version()}-{count}"
    if (kept / "whole").exists():
        return kept
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    _seed(kept, count)
    (kept / "whole").touch()
    return kept


def _version() -> str:
    """What a seeded folder depends on: the version, and the code that decides what a jail's files say."""
    summed = hashlib.sha256(__version__.encode())
    top = Path(__file__).parent.parent / "reconciler"
    for path in (*sorted(top.glob("*.py")), *sorted(top.glob("runtime/*.py")), *sorted(top.glob("kinds/*.py")),
                 *sorted(top.glob("hosts/sandbox/*.py")), Path(__file__)):  # fmt: skip
        summed.update(path.read_bytes())
    return summed.hexdigest()[:12]


def _seed(folder: Path, count: int) -> None:
    specs, box = folder / "specs", folder / "box"
    specs.mkdir()
    (specs / "host.yaml").write_text(HOST)
    (specs / f"{TEMPLATE}.yaml").write_text(JAIL % (TEMPLATE, address_of(0)))
    environment = os.environ | {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
    argv = [sys.executable, "-m", "reconciler.cli.main", "apply", str(specs), "--host", f"sandbox:{box}"]
    subprocess.run(argv, env=environment, check=True, stdout=subprocess.DEVNULL)
    for number in range(1, count):
        (specs / f"{name_of(number)}.yaml").write_text(JAIL % (name_of(number), address_of(number)))
    machine = Machine(box)
    _at_rest(machine)
    with machine.state.transaction():
        _multiply(machine, count)
    _configure(machine, specs)
    machine.state.close()


def _at_rest(machine: Machine) -> None:
    """End the template's processes, and keep what the kernel knew of it: rows without a process."""
    state = machine.state
    with state.reading():
        kept = json.dumps({table: state.table(table) for table in (*_TABLES, "interfaces", "anchors")})
    machine.reboot()
    with state.transaction():
        for table, rows in json.loads(kept).items():
            for key, row in rows.items():
                if table == "jails":
                    row["init"] = None
                state.table(table)[key] = row
                state.touch(table, key)


def _multiply(machine: Machine, count: int) -> None:
    """Every row that speaks of the template, again for every other jail."""
    state = machine.state
    rows = [
        (table, key, json.dumps(value))
        for table in _TABLES
        for key, value in state.table(table).items()
        if TEMPLATE in key or TEMPLATE in json.dumps(value)
    ]
    last = {"mounts": max(int(key) for key in state.table("mounts")), "jails": max(map(int, state.table("jails")))}
    sealed = state.table("snapshots")[f"zroot/reconciler/jails/{TEMPLATE}/1@sealed"]["content"]
    lo0 = state.table("interfaces")["0/lo0"]
    drawn = random.Random(count)
    for number in range(1, count):
        lo0["inet"].append([address_of(number), 32])
        for table, key, text in rows:
            new_key, value = _copy(table, key, text, number, drawn, sealed)
            if (content := value.get("content", "") if table == "datasets" else "").startswith("bench"):
                machine.contents.path(content).mkdir(exist_ok=True)
            if table in last:
                last[table] += 1
                new_key = str(last[table]) if table == "jails" else f"{last[table]:08d}"
            if table == "jails":
                value["jid"] = last[table]
                value["values"]["jid"] = new_key
            state.table(table)[new_key] = value
            state.touch(table, new_key)
    state.touch("interfaces", "0/lo0")


def _copy(table: str, key: str, text: str, number: int, drawn: random.Random, sealed: str) -> tuple[str, Any]:
    name = name_of(number)
    text = text.replace(TEMPLATE, name).replace(f'"{address_of(0)}"', f'"{address_of(number)}"')
    value = json.loads(text)
    if table in {"datasets", "snapshots"}:
        was = str(value["guid"])
        value = json.loads(text.replace(was, str(drawn.getrandbits(63) | 1 << 62)))
    if table == "datasets" and value["content"]:
        # Nobody has written: it shows the tree of its snapshot, which the simulation measures but once.
        value.update(shared=True, mark=[], content=sealed if value["snaps"] else value["content"])
    if key == f"zroot/reconciler/jails/{TEMPLATE}":
        value.update(content=f"bench{number:011d}", shared=False)
    return key.replace(TEMPLATE, name), value


def _configure(machine: Machine, specs: Path) -> None:
    """Write what allocation wants of each jail's files, and record its inputs as good."""
    session = Session(FreeBSDHost(SandboxRunner(machine), "sandbox:bench"), Options(specs))
    with machine.state.transaction():
        datasets = machine.state.table("datasets")
        running = {row["name"]: (key, row["values"]) for key, row in machine.state.table("jails").items()}
        for name, allocation in session.allocated.items():
            key = f"zroot/reconciler/jails/{name}"
            datasets[key]["props"]["reconciler:inputs"] = allocation.inputs
            machine.state.touch("datasets", key)
            if allocation.jail is not None:
                row, values = running[name]
                values.update((k, v) for k, v in allocation.jail.parameters if str(values[k]).lower() != v)
                machine.state.touch("jails", row)
            folder = machine.contents.path(datasets[key]["content"])
            for path, text, mode in _files(allocation.config.content):
                descriptor = os.open(folder / path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
                os.write(descriptor, text.encode())
                os.close(descriptor)


def _files(content: Any) -> Iterator[tuple[str, str, int]]:
    for path, (mode, text) in content.items():
        yield path, text, mode
    yield "started", content["config-id"][1], 0o644


if __name__ == "__main__":
    print(seeded(Path(sys.argv[1]), int(sys.argv[2])))
