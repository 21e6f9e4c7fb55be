"""A disk that fills up while something is patched, at every call in turn, and stays full until the run has ended.

Slow: see `make test-slow`. What needs room fails, with the words of the real commands; what gives room works.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.readonly import is_read_only
from reconciler.wrapper import Wrapper
from tests.crash.invariants import orphans
from tests.fleet import Fleet, problems
from tests.sweep import EVERY

from .test_patch import releases
from .test_pkgbase import IN_PLACE as PACKAGED

SETS = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\npatch_level: {level}\nupdate: {{strategy: in_place}}\n"
ROOMY = ("rm", "umount", "jls")
ROOMY_ZFS = ("destroy", "unmount", "release")


class FullFrom(Wrapper):
    """From the n-th call that changes the host on, there is no room."""

    def __init__(self, fleet: Fleet, n: int) -> None:
        super().__init__(fleet.runner)
        self.left, self.refused = n, 0

    @property
    def full(self) -> bool:
        """Whether it came so far."""
        return self.left <= 0

    def run(self, command: Command) -> Completed:
        argv = command.argv
        changes = not is_read_only(argv)
        self.left -= changes
        gives = argv[0] in ROOMY or (argv[0] == "zfs" and argv[1] in ROOMY_ZFS) or argv[:2] == ("jail", "-r")
        if changes and self.full and not gives:
            self.refused += 1
            return Completed(argv, 1, b"", f"{argv[0]}: No space left on device\n".encode())
        return self.inner.run(command)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self.left -= 1
        if self.full:
            self.refused += 1
            raise HostError(Diagnostic("host-file", "A file cannot be written", f"{path}: No space left on device"))
        self.inner.write(path, data, mode)


def published(fleet: Fleet) -> tuple[Callable[[int], None], str]:
    return (lambda level: fleet.publish("15.1-RELEASE", level)), SETS


def packaged(fleet: Fleet) -> tuple[Callable[[int], None], str]:
    return (lambda level: fleet.publish_base("15.1-RELEASE", level)), PACKAGED


@pytest.mark.parametrize("way", [published, packaged])
def test_a_disk_that_fills_up_leaves_nothing_half_and_the_next_run_goes_on(fleet: Fleet, way) -> None:
    publish, spec = way(fleet)
    level, number, reached = 0, 1, True
    publish(0)
    fleet.write(spec.format(level=0))
    assert problems(fleet.apply()) == []
    while reached:
        level += 1
        publish(level)
        fleet.write(spec.format(level=level))
        full = FullFrom(fleet, number)
        report = fleet.apply(full)
        reached = full.full
        assert report.ok or full.refused, number
        for name in releases(fleet):
            held = f"zroot/reconciler/releases/{name}"
            assert fleet.runner.run(Command(("zfs", "get", "-H", "-o", "value", "readonly", held))).stdout == b"on\n"
        assert problems(fleet.apply()) == [], number
        assert fleet.titles() == [], number
        assert orphans(fleet) == [], number
        told = fleet.runner.tree("/reconciler/live/web")["bin/freebsd-version"]
        assert f'"15.1-RELEASE-p{level}"'.encode() in told, number
        number += EVERY
    assert number > 20
