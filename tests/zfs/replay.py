"""The life of a fleet on the embedded host, repeated on real OpenZFS command by command.

    python tests/zfs/replay.py record FILE    # anywhere: the example fleet from nothing to nothing, on a sandbox
    python tests/zfs/replay.py play FILE      # on a machine with OpenZFS that may be thrown away: see tests/zfs/run

Recorded are all zfs(8) and zpool(8) commands with their answers, and the mounts that jail(8) and the hooks make of
datasets. Played, each must end with the same status and the same words; numbers (sizes, dates, guids) may differ.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIZE = 1500 << 20  # bytes of the pool


@dataclass
class Event:
    """A command with its answer, or a mount (`mount DATASET TARGET OPTIONS`), or its end (`umount TARGET`)."""

    argv: list[str]
    status: int = 0
    out: str = ""
    err: str = ""


# --- recording


class Recorder:
    """Hears what the sandbox is asked, also by the scripts of its jails. Mounts that zfs itself makes are its own."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._inside = threading.local()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        from reconciler.hosts.sandbox.machine import Machine
        from reconciler.hosts.sandbox.mounts import Mounts

        run, add, remove = Machine.run, Mounts.add, Mounts.remove

        def heard(machine: Machine, command: Any) -> Any:
            if command.argv[0].rpartition("/")[2] not in ("zfs", "zpool"):
                return run(machine, command)
            self._inside.zfs = True
            try:
                done = run(machine, command)
            finally:
                self._inside.zfs = False
            words = [word.decode(errors="replace") for word in (done.stdout, done.stderr)]
            self.events.append(Event(list(command.argv), done.status, *words))
            return done

        def added(mounts: Mounts, fstype: str, source: str, target: str, *rest: Any, **more: Any) -> str:
            if fstype == "zfs" and not getattr(self._inside, "zfs", False):
                options = list(rest[0] if rest else more["options"])
                self.events.append(Event(["mount", source, target, "ro" if "read-only" in options else "rw"]))
            return add(mounts, fstype, source, target, *rest, **more)

        def removed(mounts: Mounts, key: str) -> None:
            if mounts.table[key]["fstype"] == "zfs" and not getattr(self._inside, "zfs", False):
                self.events.append(Event(["umount", mounts.table[key]["target"]]))
            remove(mounts, key)

        Machine.run, Mounts.add, Mounts.remove = heard, added, removed  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            Machine.run, Mounts.add, Mounts.remove = run, add, remove  # type: ignore[method-assign]


def edited(specs: Path, name: str, old: str, new: str) -> None:
    text = (specs / name).read_text()
    assert old in text, f"{name} has no {old!r}"
    (specs / name).write_text(text.replace(old, new))


def life(specs: Path) -> Iterator[tuple[int, list[str]]]:
    """The command lines with the status they end with, each before its turn; the folder is edited between them."""
    apply, here = ["apply", str(specs), "--jobs", "1"], ["--specs", str(specs)]
    yield 0, apply
    edited(specs, "cache.yaml", "name: cache\n", "name: cache\nrelease: 14.4-RELEASE\n")
    broken = "pkg: []\nhealthcheck: {command: [test, -f, /nowhere], retries: 1}\n"
    edited(specs, "monitor.yaml", "pkg: [curl]\n", broken)
    yield 4, apply  # one root is replaced; one is put back, and its jail held from now on
    edited(specs, "old.yaml", "name: old\n", "name: older\nrenamed_from: old\n")
    yield 4, apply
    yield 4, apply
    (specs / "tools.yaml").unlink()
    yield 4, apply
    yield 0, ["undelete", "tools", *here]
    yield 4, apply
    yield 0, ["destroy", "tools", "--yes", *here]
    yield 0, ["gc", *here]


def record(file: Path) -> None:
    """Live a fleet's life on a new sandbox, and write what was heard."""
    from reconciler.cli.main import main

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        os.environ |= {
            "RECONCILER_HOST": f"sandbox:{base / 'host'}",
            "RECONCILER_JOURNAL": str(base / "journal.db"),
            "XDG_CACHE_HOME": str(base / "cache"),
        }
        shutil.copytree(ROOT / "specs", base / "specs")
        recorder = Recorder()
        with recorder.listening():
            for expected, argv in life(base / "specs"):
                with contextlib.redirect_stdout(io.StringIO()):
                    status = main(argv)
                print(f"{argv[0]}: status {status}, {len(recorder.events)} events so far", flush=True)
                assert status == expected, f"{argv} ended with {status}, not {expected}"
        assert main(["sandbox", "shutdown"]) == 0
    file.write_text("".join(json.dumps(asdict(event)) + "\n" for event in recorder.events))


# --- playing


class Player:
    """Carries the events out on this machine's own OpenZFS, and counts what differs, each thing once."""

    def __init__(self) -> None:
        self.differences: Counter[str] = Counter()
        self.commands = 0

    def prepare(self) -> None:
        """One pool, of the sandbox's name, with what an installed FreeBSD sets on it."""
        if pool := os.environ.get("POOL"):
            run(["zpool", "destroy", pool])
        disk = Path("/run/vdev/zroot")
        disk.touch()
        os.truncate(disk, SIZE)
        options = ["-O", "mountpoint=/zroot", "-O", "compression=lz4", "-O", "atime=off"]
        run(["zpool", "create", *options, "zroot", str(disk)])

    def play(self, event: Event) -> None:
        """One event, and whether it went as it did when it was recorded."""
        argv = translated(event.argv)
        done = run(argv, check=False)
        self.commands += 1
        name = " ".join(argv[:2])
        if done.returncode != event.status or words(done.stderr) != words(event.err):
            real, simulated = (done.returncode, done.stderr.strip()), (event.status, event.err.strip())
            self.differences[f"{' '.join(argv)[:400]}: {real}, not {simulated}"] += 1
        elif name != "zfs diff":  # what files hold is not part of the recording
            self._compare(name, columns(argv), rows(done.stdout), rows(event.out))

    def _compare(self, name: str, titles: list[str], real: list[list[str]], simulated: list[list[str]]) -> None:
        theirs, ours = ({tuple(row[:1]): row for row in some} for some in (real, simulated))
        if len(real) == len(simulated) == 1:  # `zfs get` of a value alone
            theirs, ours = {(): real[0]}, {(): simulated[0]}
        for key in theirs.keys() ^ ours.keys():
            self.differences[f"{name}: only {'real' if key in theirs else 'simulated'}: {' '.join(key)}"] += 1
        for key in theirs.keys() & ours.keys():
            for title, one, other in zip_longest(titles, theirs[key], ours[key], fillvalue="?"):
                if one != other:
                    self.differences[f"{name}: {title} is {one!r}, simulated {other!r}, such as {' '.join(key)}"] += 1


def run(argv: list[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=check)


def translated(argv: list[str]) -> list[str]:
    """An event as this system's command line."""
    match argv:
        case ["mount", dataset, target, options]:
            Path(target).mkdir(parents=True, exist_ok=True)
            return ["mount", "-t", "zfs", "-o", options, dataset, target]
        case ["umount", target]:
            return ["umount", target]
        case _:
            name = argv[0].rpartition("/")[2]
            # Linux says `zoned` where FreeBSD says `jailed`
            return [name, *(re.sub(r"\bjailed\b", "zoned", word) for word in argv[1:])]


def words(text: str) -> str:
    """What is said, without what differs from run to run."""
    return re.sub(r"\d+", "N", text).strip()


def rows(text: str) -> list[list[str]]:
    """Lines of columns; a number stands for any other."""
    return [["N" if column.isdigit() else column for column in line.split("\t")] for line in text.splitlines()]


def columns(argv: list[str]) -> list[str]:
    """The titles that a command asks for with -o."""
    return argv[argv.index("-o") + 1].split(",") if "-o" in argv else []


def play(file: Path) -> int:
    """Play a recording and print what differs; 1 when anything does."""
    player = Player()
    player.prepare()
    for line in file.read_text().splitlines():
        player.play(Event(**json.loads(line)))
    for difference, count in player.differences.most_common():
        print(f"{count:5}  {difference}")
    print(f"{player.commands} commands repeated, {len(player.differences)} differences")
    return 1 if player.differences else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", file]:
            record(Path(file))
        case ["play", file]:
            sys.exit(play(Path(file)))
        case _:
            sys.exit(__doc__)
