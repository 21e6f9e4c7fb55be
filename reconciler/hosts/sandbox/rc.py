"""Boot and shutdown of the sandbox host: its rc scripts, in the order of rcorder(8)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from reconciler.hosts.sandbox import processes
from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command, Completed

FOLDERS = ("/etc/rc.d", "/usr/local/etc/rc.d")


@dataclass(frozen=True, slots=True)
class Script:
    """An rc script: where it is, and what its head says."""

    path: str
    provides: tuple[str, ...]
    requires: tuple[str, ...]
    before: tuple[str, ...]
    keywords: tuple[str, ...]

    @property
    def name(self) -> str:
        """What service(8) calls it."""
        return self.path.rpartition("/")[2]


def boot(machine: Machine) -> list[Completed]:
    """Cycle the power: everything that runs is lost, then enabled scripts are started in order."""
    processes.kill_everything(machine)
    machine.reboot()
    return [_run(machine, script, "faststart") for script in ordered(machine) if _enabled(machine, script)]


def shutdown(machine: Machine) -> list[Completed]:
    """Stop, in reverse order, the scripts that ask for it, then end every process."""
    stopping = [s for s in reversed(ordered(machine)) if "shutdown" in s.keywords and _enabled(machine, s)]
    done = [_run(machine, script, "faststop") for script in stopping]
    processes.kill_everything(machine)
    return done


def ready(machine: Machine) -> None:
    """Make sure that the host has the rc.subr(8) that scripts read."""
    with machine.state.transaction():
        target = machine.resolve("/etc/rc.subr")
    text = resources.files("reconciler.hosts.sandbox").joinpath("userland", "rc.subr").read_text()
    if not target.is_file() or target.read_text() != text:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def ordered(machine: Machine) -> list[Script]:
    """Every script of the host, sorted by REQUIRE and BEFORE, then by name."""
    found = [script for folder in FOLDERS for script in _in(machine, folder)]
    owner = {word: script for script in found for word in script.provides}
    needs = {s.path: {owner[w].path for w in s.requires if w in owner} - {s.path} for s in found}
    for script in found:
        for word in script.before:
            if word in owner and owner[word] is not script:
                needs[owner[word].path].add(script.path)
    by_path = {script.path: script for script in found}
    placed: dict[str, Script] = {}

    def visit(path: str, above: frozenset[str]) -> None:
        # A loop is broken where it closes, as rcorder does with a warning.
        for need in sorted(needs[path] - above):
            if need not in placed:
                visit(need, above | {path})
        placed.setdefault(path, by_path[path])

    for path in sorted(by_path):
        visit(path, frozenset())
    return list(placed.values())


def _in(machine: Machine, folder: str) -> list[Script]:
    try:
        real = machine.resolve(folder, write=False)
    except OSError:
        return []
    if not real.is_dir():
        return []
    runnable = [p for p in sorted(real.iterdir()) if p.is_file() and p.stat().st_mode & 0o100]
    return [_read(f"{folder}/{path.name}", path.read_text(errors="replace")) for path in runnable]


def _read(path: str, text: str) -> Script:
    heads: dict[str, list[str]] = {"PROVIDE": [], "REQUIRE": [], "BEFORE": [], "KEYWORD": []}
    for line in text.splitlines():
        word, colon, rest = line.removeprefix("# ").partition(":")
        if line.startswith("# ") and colon and word in heads:
            heads[word] += rest.split()
    return Script(path, *(tuple(heads[word]) for word in ("PROVIDE", "REQUIRE", "BEFORE", "KEYWORD")))


def _enabled(machine: Machine, script: Script) -> bool:
    return "nostart" not in script.keywords and _run(machine, script, "enabled").status == 0


def _run(machine: Machine, script: Script, verb: str) -> Completed:
    return machine.run(Command(("service", script.name, verb), timeout=600.0))
