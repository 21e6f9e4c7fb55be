"""Jails, processes, interfaces, limits, devices: real command lines of FreeBSD 15.1 played against a fresh machine."""

from __future__ import annotations

import io
import lzma
import re
import shlex
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.hosts.sandbox import mirror, processes
from reconciler.hosts.sandbox.facts import set_fact
from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command
from tests.captures.captured import answers

# What the machine of the captures was.
FACTS = {
    "kern.osrelease": "15.1-RELEASE-p1", "kern.ident": "JAILVM", "kern.hostname": "fbsd15",
    "kern.racct.enable": 0, "net.inet.ip.forwarding": 0, "modules": ["kernel", "zfs.ko"],
}  # fmt: skip
# Files that the captures' commands read.
FILES = {
    "/etc/passwd": "root\n",
    "/tmp/v.conf": 'v { path="/jails/j1"; vnet; vnet.interface=epair7b; persist; }\n',
    "/tmp/bad.conf": "j1 { path=/jails/j1",
    "/tmp/bad2.conf": "j1 { path=/jails/j1; bogus.thing=1; }\n",
}
# Command lines that answer otherwise, each with the reason.
OTHERWISE = {
    "jls --libxo xml": "the capture notes that there is no newline at the end",
    "jexec -l j1 env": "the environment is the same but for PWD and SHLVL, in another order",
    'jexec j1 sh -c "nohup sleep 600 >/dev/null 2>&1 &"': "the shell is bash, which words it otherwise",
    "jexec j1 ls /dev": "the sandbox has devices that ruleset 4 shows and that machine lacked: crypto, fuse, ptmx, pts",
    "mount -p": "that machine had other datasets",
    "ifconfig bridge0 addm e0a_web": "the kernel's place in its source is left out",
    "ifconfig bridge0 addm nosuch": "the kernel's place in its source is left out",
    "jexec vn netstat -rn -f inet": "link numbers go on from the host's there",
    "netstat --libxo json -rn -f inet": "next-hop numbers are handed out in another order",
    "netstat --libxo json -ibn": "interface counters are not kept",
    "kldstat -v -n zfs.ko | head -5": "modules have no inner modules here",
    "kldstat": "the sandbox's modules are its own",
    "sysctl security.jail": "the sandbox has fewer of the deprecated values, in the order of names",
    "sysctl -d security.jail": "the sandbox keeps values, not their descriptions",
    "sysctl kern.features": "the sandbox knows the features that jails need",
    "sysctl vfs.zfs.version": "the sandbox knows the pool version only",
    "pfctl -s info": "that kernel had no pf",
    "jexec j1 ps ax": "ps needs no /dev/null here",
}
# The simulator's part of these files; the rest belongs to other tests, or to the shell of the captures.
PLAYED = frozenset({"jail", "jls", "jexec", "ifconfig", "rctl", "devfs", "sysctl", "kldload", "kldstat", "netstat",
                    "route", "uname", "freebsd-version", "hostname", "mount"})  # fmt: skip
SHELL = re.compile(r"\$\(|\\\$|&&|\|\||; | \| |</dev|^service|sockstat|cpuset")


def lines(*files: str) -> Iterator[tuple[str, str, str, str, int]]:
    """File, command line, output, errors and status of what is played, in order."""
    for file in files:
        for line, want in answers(file):
            quoted = re.sub(r"'[^']*'", "''", line)
            if line.split()[0] in PLAYED and not SHELL.search(quoted) and line != "jexec j1":
                yield file, line, want.stdout.decode(), want.stderr.decode(), want.status


def normal(text: str) -> str:
    """A text without addresses of network cards, which the sandbox draws for itself."""
    return re.sub(r"ether [0-9a-f:]{17}", "ether MAC", text)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """The machine of the captures, with its base system in /jails/j1."""
    made = Machine(tmp_path / "sandbox")
    root = made.host / "jails" / "j1"
    root.mkdir(parents=True)
    data, _ = mirror.base("15.1-RELEASE")
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(data))) as archive:
        archive.extractall(root, filter="tar")
    (made.host / "tmp").mkdir(exist_ok=True)
    config = next(want.stdout for line, want in answers("07-jail-conf.txt") if line == "cat /tmp/jc.conf")
    (made.host / "tmp/jc.conf").write_bytes(config)
    for path, text in FILES.items():
        made.resolve(path).write_text(text)
    with made.state.transaction():
        for name, value in FACTS.items():
            set_fact(made, name, value)
    yield made
    processes.kill_everything(made)


def differences(machine: Machine, *files: str) -> list[str]:
    """The command lines that answer otherwise without a reason, with both answers."""
    found = []
    for file, line, out, err, status in lines(*files):
        done = machine.run(Command(tuple(shlex.split(line))))
        got = (normal(done.stdout.decode()), normal(done.stderr.decode()), done.status)
        want = (normal(out), normal(err), status)
        if got != want and line not in OTHERWISE:
            found.append(f"{file}: {line}\n  want {want}\n  got  {got}")
    return found


def test_jails_answer_as_they_did_on_freebsd(machine: Machine) -> None:
    files = ("04-jail.txt", "05-jexec.txt", "06-jail-modify-remove.txt", "07-jail-conf.txt")
    assert differences(machine, *files) == []


def test_devices_and_kernel_values_answer_as_they_did_on_freebsd(machine: Machine) -> None:
    assert differences(machine, "09-devfs.txt", "11-sysctl.txt") == []


def test_networks_and_limits_answer_as_they_did_on_freebsd(machine: Machine) -> None:
    # That session had limits enabled, and a configuration file, so that removals are told of.
    machine.resolve("/etc/jail.conf").write_text("")
    with machine.state.transaction():
        set_fact(machine, "kern.racct.enable", 1)
    assert differences(machine, "14-network-limits.txt") == []
