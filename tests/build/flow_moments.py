"""The tool is killed at calls of an apply whose Makejail mounts in its build and in its stages: the next one is whole.

Not part of the default tests: `make test-slow`. With STEP=1 in the environment at every call.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tests.build.test_layers import WEB, build_jails, makejail, shell
from tests.build.test_moments import LIVE
from tests.fleet import Fleet, mirror, problems
from tests.laws.dead import Died, DyingRunner

STEP = int(os.environ.get("STEP", "17"))
STAGES = ("STAGE create", "MOUNT tmpfs a/b tmpfs", "STAGE start", "MOUNT tmpfs c tmpfs", "STAGE stop", "UMOUNT c")


def write(fleet: Fleet, word: str) -> None:
    """A Makejail that ends otherwise for each word."""
    built = ("MOUNT --nopersist tmpfs /x tmpfs", f"CMD echo {word} >/x/y", "CMD sleep 300 >/dev/null 2>&1 &", "STOP")
    makejail(fleet, "CMD true", *built, "CMD cat /x/y >/root/log", "UMOUNT x", *STAGES)


def test_an_apply_that_is_killed_is_made_whole_by_the_next(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, mirror(tmp_path / "mirror", "15.1-RELEASE"))
    try:
        fleet.write(WEB)
        write(fleet, "first")
        assert problems(fleet.apply()) == []
        number, done = 1, False
        while not done:
            write(fleet, f"word{number}")
            dying = DyingRunner(fleet.runner, number, after=number % 2 == 0)
            with suppress(Died):
                fleet.apply(dying)
                done = not dying.dead
            assert problems(fleet.apply()) == [], number
            assert fleet.titles() == [] and build_jails(fleet) == [], number
            assert shell(fleet, "jexec", "web", "cat", "/root/log") == f"word{number}\n"
            mounts = [line.split()[1] for line in shell(fleet, "mount", "-p").splitlines()]
            below = sorted(path.removeprefix(LIVE) for path in mounts if path.startswith(f"{LIVE}/"))
            assert below == ["/a/b", "/c", "/dev", "/var/log"] and not [m for m in mounts if "/build/" in m], number
            number += STEP
        assert number > 20
    finally:
        fleet.close()
