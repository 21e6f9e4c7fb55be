"""Killed at each call while pinned packages are fetched, kept and installed, on a host of its own for each call."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fleet import Fleet, problems
from tests.laws.dead import Died, DyingRunner
from tests.sweep import EVERY

from .test_kept import OTHER, WEB, codes, pin, repository, shell, store, web

__all__ = ["web"]

PLAIN = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\n"
JAIL = f'{PLAIN}pkg: [nginx]\nmakejail: {{text: "PKG redis"}}\n'
ARCHIVES = {"nginx-1.28.0.pkg", "pcre2-10.45.pkg", "redis-8.2.1.pkg"}


@pytest.mark.parametrize("after", [False, True])
def test_whichever_call_it_dies_at_the_next_run_converges(tmp_path: Path, mirror_url: str, after: bool) -> None:
    first = Fleet(tmp_path / "first", mirror_url)
    first.write(PLAIN)
    assert problems(first.apply()) == []
    first.write(JAIL)
    pin(first)
    first.close()
    call, died = 1 - EVERY, True
    while died:
        call += EVERY
        shutil.copytree(tmp_path / "first", tmp_path / "trial", symlinks=True)
        fleet = Fleet(tmp_path / "trial", mirror_url)
        try:
            died = dies(fleet, call, after=after)
            assert problems(fleet.apply()) == [], call
            assert fleet.titles() == [], call
            # What a fetch left in the folder of a build that is not begun again goes with gc.
            assert store(fleet).unfinished() == (), call
            assert {note.file for note in store(fleet).all().values()} == ARCHIVES, call
            assert not [name for name in shell(fleet, "jls", "name").split() if name.startswith("rcb-")], call
        finally:
            fleet.close()
            shutil.rmtree(tmp_path / "trial")
    assert call > 30


def dies(fleet: Fleet, call: int, *, after: bool) -> bool:
    """Whether a run died at its n-th call, before or after that had its effect."""
    try:
        fleet.apply(DyingRunner(fleet.runner, call, after=after))
    except Died:
        return True
    return False


def test_an_archive_that_was_damaged_in_the_store_is_fetched_again_or_not_used(web: Fleet) -> None:
    pins = pin(web)
    assert problems(web.apply()) == []
    kept = web.machine.resolve(store(web).path(pins["nginx"].checksum))
    kept.write_bytes(b"x")
    web.write(f"{WEB}---\n{OTHER}")
    assert problems(web.apply()) == []
    assert kept.stat().st_size > 1
    kept.write_bytes(b"x")
    shutil.rmtree(repository(web))
    web.write(f"{WEB}---\n{OTHER.replace('redis, ', 'nginx, pcre2, ')}")
    assert codes(web) == ["pkg-not-kept"]
