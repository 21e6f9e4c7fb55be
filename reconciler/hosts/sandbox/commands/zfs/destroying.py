"""zfs destroy: of file systems with what hangs on them, and of lists and ranges of snapshots."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.commands.zfs.mounting import detach
from reconciler.hosts.sandbox.commands.zfs.names import existing, wrong
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine

_NONE = "could not find any snapshots to destroy; check snapshot names."


def destroy(machine: Machine, answer: Answer, argv: Sequence[str]) -> None:
    """Zfs destroy; what was destroyed before a refusal stays destroyed, as with the real one."""
    given, operands = options(argv, "vpndfrR", usage("destroy"))
    if len(operands) != 1:
        problem = "missing dataset argument" if not operands else "too many arguments"
        raise Refusal(f"{problem}\n{usage('destroy')}", 2)
    run = _Destruction(machine, answer, frozenset(given))
    try:
        if "@" in operands[0]:
            run.snapshots(operands[0])
        else:
            run.filesystem(operands[0])
    finally:
        machine.discard(run.gone)


class _Destruction:
    def __init__(self, machine: Machine, answer: Answer, flags: frozenset[str]) -> None:
        self.machine = machine
        self.pool = machine.pool
        self.answer = answer
        self.recurse = bool(flags & {"r", "R"})
        self.clones = "R" in flags
        self.dry = "n" in flags
        self.verbose = "v" in flags
        self.parsable = "p" in flags
        self.defer = "d" in flags
        self.gone: set[str] = set()

    def filesystem(self, name: str) -> None:
        existing(self.machine, name)
        if "/" not in name and not self.recurse:
            raise Refusal(
                f"cannot destroy '{name}': operation does not apply to pools\n"
                f"use 'zfs destroy -r {name}' to destroy all datasets in the pool\n"
                f"use 'zpool destroy {name}' to destroy the pool itself"
            )
        dependents = list(dict.fromkeys(self.pool.dependents(name)))
        self._refuse_dependents(name, dependents)
        for each in (*dependents, *((name,) if "/" in name else ())):
            self._one(each)

    def _refuse_dependents(self, name: str, dependents: Sequence[str]) -> None:
        if self.clones:
            return
        kind = "snapshot" if "@" in name else "filesystem"
        inside = [d for d in dependents if d.startswith((name + "/", name + "@"))]
        outside = [d for d in dependents if d not in inside]
        lines: list[str] = []
        if inside and not self.recurse:
            lines = [
                f"cannot destroy '{name}': {kind} has children",
                "use '-r' to destroy the following datasets:",
            ]
            lines += inside
        elif outside and (self.recurse or kind == "snapshot"):
            lines = [f"cannot destroy '{name}': {kind} has dependent clones",
                     "use '-R' to destroy the following datasets:", *outside]  # fmt: skip
        if lines:
            raise Refusal("\n".join(lines))

    def _tell(self, name: str) -> None:
        if not self.verbose:
            return
        if self.parsable:
            self.answer.say(f"destroy\t{name}")
        else:
            self.answer.say(f"{'would' if self.dry else 'will'} destroy {name}")

    def _one(self, name: str) -> None:
        if self.pool.get(name) is None:
            return
        self._tell(name)
        if self.dry:
            return
        if "@" in name:
            self._refuse_held(name)
        else:
            detach(self.machine, [name], tidy=True)
        self.gone.add(self.pool.remove(name))

    def _refuse_held(self, name: str) -> None:
        if self.pool.snapshots[name]["holds"]:
            raise Refusal(f"cannot destroy snapshot {name}: it's being held. Run 'zfs holds -r {name}' to see holders.")

    def snapshots(self, operand: str) -> None:
        owner, _, rest = operand.partition("@")
        for each in rest.replace("%", ",").split(","):
            if each and (problem := wrong(f"{owner}@{each}", snapshot=True)):
                raise Refusal(f"cannot open '{operand}': {problem}")
        existing(self.machine, owner)
        owners = self.pool.below(owner) if self.recurse and not self.clones else [owner]
        if self.clones:
            owners = self.pool.below(owner)
        names = [f"{each}@{short}" for each in owners for short in self._chosen(each, rest)]
        if not names:
            raise Refusal(_NONE)
        self._refuse_clones(names)
        for name in names:
            if not self.dry and not self.defer:
                self._refuse_held(name)
        for name in names:
            self._snapshot(name)
        if self.verbose:
            self.answer.say("reclaim\t0" if self.parsable else f"{'would' if self.dry else 'will'} reclaim 0B")

    def _chosen(self, owner: str, rest: str) -> list[str]:
        snaps = self.pool.datasets[owner]["snaps"]
        chosen: list[str] = []
        for part in rest.split(","):
            first, percent, last = part.partition("%")
            if not percent:
                chosen += [first] if first in snaps else []
                continue
            if (first and first not in snaps) or (last and last not in snaps):
                continue
            start = snaps.index(first) if first else 0
            end = snaps.index(last) + 1 if last else len(snaps)
            chosen += snaps[start:end]
        return [short for short in snaps if short in chosen]

    def _refuse_clones(self, names: Sequence[str]) -> None:
        for name in names:
            dependents = list(self.pool.dependents(name))
            if not dependents or self.clones or self.defer:
                continue
            if self.verbose:
                self._tell(name)
            raise Refusal(
                f"cannot destroy '{name}': snapshot has dependent clones\n"
                "use '-R' to destroy the following datasets:\n" + "\n".join(dependents)
            )

    def _snapshot(self, name: str) -> None:
        if self.defer and (self.pool.clones(name) or self.pool.snapshots[name]["holds"]):
            self._tell(name)
            if not self.dry:
                self.pool.snapshots[name]["deferred"] = True
                self.pool.changed(name)
            return
        for dependent in list(dict.fromkeys(self.pool.dependents(name))):
            self._one(dependent)
        self._one(name)
