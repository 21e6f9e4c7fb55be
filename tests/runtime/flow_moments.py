"""Whatever mount, unmount or jail(8) of a start or stop is the last that works, where stages mount: the next is whole.

Not part of the default tests, as each trial starts and stops a jail twice: `make test-slow`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.makejail.program import compile_text
from reconciler.model.command import Command, Completed
from tests.runtime.jails import jail
from tests.runtime.machine import Place

STAGES = """\
STAGE create
MOUNT tmpfs early tmpfs
STAGE start
MOUNT /data/in srv/data
STAGE stop
MOUNT --nopersist tmpfs late tmpfs
"""
LIVE = "/reconciler/live/web"
CHANGING = ("mount", "umount", "jail")


class Power:
    """Goes at the n-th changing command of the machine, those of scripts among them: from there on none works."""

    def __init__(self, machine: Machine) -> None:
        """Nothing goes yet."""
        self.machine, self.known = machine, dict(machine._commands)
        self.calls, self.n, self.after, self.gone = 0, 0, False, False

    def cut(self, n: int, *, after: bool) -> None:
        """From now on count, and go before or after the n-th."""
        self.calls, self.n, self.after, self.gone = 0, n, after, False
        for name, offered in self.known.items():
            self.machine._commands[name] = replace(offered, main=self._asked(offered))

    def restore(self) -> None:
        """All works again; what was done stays."""
        self.machine._commands.update(self.known)

    def _asked(self, offered: Simulated):  # type: ignore[no-untyped-def]
        def main(machine: Machine, command: Command, **words: bool) -> Completed:
            changes = command.argv[0].rpartition("/")[2] in CHANGING and len(command.argv) > 2
            if not self.gone and changes:
                self.calls += 1
                if self.calls == self.n:
                    if self.after:
                        offered.main(machine, command, **words)  # type: ignore[call-arg]
                    self.gone = True
            if self.gone:
                return Completed(command.argv, 1, b"", b"the power is gone\n")
            return offered.main(machine, command, **words)  # type: ignore[call-arg]

        return main


def test_a_start_or_stop_that_is_cut_off_anywhere_leaves_nothing_that_stays(tmp_path: Path) -> None:
    place = Place(tmp_path / "machine")
    place.ok("mkdir", "-p", "/data/in")
    place.jail(jail(network={}), stages=dict(compile_text(STAGES).stages))
    power = Power(place.runner.machine)
    number, reached = 1, True
    try:
        while reached:
            power.cut(number, after=number % 2 == 0)
            if place.start("web").status == 0:
                place.stop("web")
            reached = power.gone
            power.restore()
            if place.runs("web"):
                place.ok("jail", "-R", "web")
            started = place.start("web")
            assert started.status == 0, (number, started)
            below = [path for path in place.mounted() if path.startswith(f"{LIVE}/")]
            assert sorted(below) == [f"{LIVE}/dev", f"{LIVE}/early", f"{LIVE}/srv/data"], number
            stopped = place.stop("web")
            assert (stopped.status, place.mounted()) == (0, []), (number, stopped)
            assert place.read("/reconciler/jails/web/mounted") is None and not place.runs("KEEP-web")
            number += 1
        assert number > 12
    finally:
        power.restore()
        place.power_off()
