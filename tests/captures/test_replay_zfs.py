"""Real command lines of FreeBSD 15.1 and their answers, played against a fresh machine."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command

DATA = Path(__file__).parent / "data"

# Shell lines of the captures, as the command lines they are made of; `|` passes output on, `>` writes a file.
LINES = {
    "echo data > /jails/c2/f; zfs snapshot zroot/jails/c2@t; rm /jails/c2/f; zfs rollback zroot/jails/c2@t;"
    " cat /jails/c2/f": [
        "touch /jails/c2/f", "zfs snapshot zroot/jails/c2@t", "rm /jails/c2/f", "zfs rollback zroot/jails/c2@t",
        "test -f /jails/c2/f",
    ],
    "zfs send zroot/jails/base@s1 | zfs receive zroot/jails/recv": [
        "zfs send zroot/jails/base@s1", "| zfs receive zroot/jails/recv",
    ],
}  # fmt: skip

# Commands that answer otherwise, each with the reason.
OTHERWISE = {
    "zpool create -O mountpoint=none -O compression=lz4 zroot /dev/vtbd1": "the machine is made with its pool",
    "mount -t unionfs -o below /tmp/m/upper /tmp/m/u": "a union below its mount point is not simulated",
    "umount /tmp/m/u": "a union below its mount point is not simulated",
    "ls /tmp/m/t": "the sandbox has devices that ruleset 4 shows and that machine lacked: crypto, fuse, ptmx, pts",
}
# Lines that only show what the steps above left, or ask something that is not a command of the host.
SHOWN_BY_SHELL = re.compile(r"[;|>()]|^df ")


@dataclass(frozen=True)
class Entry:
    """One captured command and what it answered."""

    line: str
    out: str
    err: str
    status: int


def entries(file: str) -> Iterator[Entry]:
    """The entries of a capture, in order."""
    for block in re.split(r"\n\n(?=\$ )", (DATA / file).read_text()):
        parts = dict(re.findall(r"^--- (stdout|stderr)\n(.*?)(?=^--- )", block, re.DOTALL | re.MULTILINE))
        status = re.search(r"^--- rc=(\d+)", block, re.MULTILINE)
        assert status is not None
        line = block.split("\n--- ", 1)[0][2:]
        yield Entry(line, parts.get("stdout", ""), parts.get("stderr", ""), int(status[1]))


def normal(text: str) -> str:
    """A text without what differs from machine to machine: sizes, numbers, times, padding."""
    text = re.sub(r"\b\d{5,}\b", "N", text)
    text = re.sub(r"\b\d+(\.\d+)?[BKMGT]\b", "SIZE", text)
    text = re.sub(r'("(?:createtxg|txg)":"?|createtxg\t|objsetid\t)\d+', r"\1N", text)
    text = re.sub(r"(written|logicalused|logicalreferenced|used\w*|referenced)\t\d+", r"\1\tN", text)
    text = re.sub(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [ \d]\d:\d\d \d{4}", "DATE", text)
    text = re.sub(r'"(used|available|referenced)":\{"value":\d+', r'"\1":{"value":N', text)
    # The other machine's shared folder, which this one has not.
    text = re.sub(r"^share\b.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r'      \{\n        "special": "share",.*?\n      \},\n', "", text, flags=re.DOTALL)
    return re.sub(r" +", " ", text)


def play(machine: Machine, line: str, before: bytes = b"") -> tuple[str, str, int]:
    """Run one line, or the lines it stands for."""
    if line in LINES:
        answers: tuple[str, str, int] = ("", "", 0)
        for each in LINES[line]:
            given = answers[0].encode("latin-1") if each.startswith("| ") else b""
            answers = play(machine, each.removeprefix("| "), given)
        return answers
    done = machine.run(Command(tuple(shlex.split(line)), before))
    return done.stdout.decode("latin-1"), done.stderr.decode("latin-1"), done.status


def replay(machine: Machine, file: str) -> list[str]:
    """The lines whose answers differ from the capture, with both answers."""
    wrong = []
    for entry in entries(file):
        if SHOWN_BY_SHELL.search(entry.line) and entry.line not in LINES:
            continue
        out, err, status = play(machine, entry.line)
        if entry.line in OTHERWISE:
            continue
        expected = "" if entry.line.startswith("echo data") else entry.out
        got, real = (normal(out), normal(err), status), (normal(expected), normal(entry.err), entry.status)
        if got != real:
            wrong.append(f"$ {entry.line}\n   real {real}\nsandbox {got}")
    return wrong


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A fresh machine."""
    return Machine(tmp_path / "machine")


def test_zfs_and_zpool_answer_as_captured(machine: Machine) -> None:
    assert replay(machine, "02-zfs.txt") == []


def test_mounts_answer_as_captured(machine: Machine) -> None:
    for line in (
        "zfs create -o mountpoint=/jails zroot/jails", "zfs create zroot/jails/base", "zfs create zroot/jails/c2",
        "zfs create zroot/jails/j1", "mkdir -p /tmp/m/lower /tmp/m/n /tmp/m/upper /tmp/m/u /tmp/m/t",
        "mkdir '/tmp/m/sp ace'", "touch /tmp/m/lower/f", "touch /tmp/fstab.x",
    ):  # fmt: skip
        assert play(machine, line) == ("", "", 0)
    assert replay(machine, "08-mounts.txt") == []
