"""What the lock pins of FreeBSD packages is kept in the pool, and builds go on when the repository does not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.hosts.sandbox import mirror, toys
from reconciler.model.command import Command
from reconciler.packages.store import Store
from reconciler.spec.lock import Lock, Pin, write_lock
from tests.fleet import Fleet, problems
from tests.laws.dead import Died, DyingRunner

ABI = "FreeBSD:15:amd64"
WEB = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\npkg: [nginx]\nmakejail: {file: web.makejail}\n"
OTHER = "kind: Jail\nname: other\nrelease: 15.1-RELEASE\npkg: [redis, nginx]\nmakejail: {file: web.makejail}\n"
DENY = 'kind: Host\nname: here\nmatch: {hostname: "*"}\npolicy: {downloads: deny}\n---\n'


def repository(fleet: Fleet) -> Path:
    """The folder of the sandbox's package repository."""
    return mirror.ensure_mirror(fleet.machine) / "pkg" / ABI / "latest"


def pin(fleet: Fleet) -> dict[str, Pin]:
    """Lock every package as the repository has it."""
    rows = map(json.loads, (repository(fleet) / "packagesite.jsonl").read_text().splitlines())
    pins = {row["name"]: Pin(row["version"], row["sum"], "FreeBSD", tuple(row["deps"])) for row in rows}
    pins["nginx"] = replace(pins["nginx"], named=("local/nginx",))
    write_lock(fleet.specs, Lock(packages={ABI: pins}))
    return pins


def shell(fleet: Fleet, *argv: str) -> str:
    return fleet.runner.run(Command(argv)).stdout.decode()


def store(fleet: Fleet) -> Store:
    return Store(fleet.session().host, "zroot/reconciler", "/reconciler")


def codes(fleet: Fleet) -> list[str]:
    report = fleet.apply()
    return [d.code for result in report.failed for d in result.diagnostics if result.outcome == "failed"]


@pytest.fixture
def web(fleet: Fleet) -> Fleet:
    """A fleet with one jail, whose packages are pinned."""
    fleet.write(WEB)
    (fleet.specs / "web.makejail").write_text("PKG redis\n")
    pin(fleet)
    return fleet


def test_what_is_pinned_is_installed_from_the_pool_when_its_repository_has_gone(web: Fleet) -> None:
    assert problems(web.apply()) == []
    assert shell(web, "jexec", "web", "pkg", "query", "%n %a") == "nginx 0\npcre2 1\nredis 0\n"
    shutil.rmtree(repository(web))
    web.write(f"{WEB}---\n{OTHER}")
    lines = "PKG --jexec --jail redis", "PKG local/nginx pcre2", "CMD pkg query %n >/root/there"
    (web.specs / "web.makejail").write_text("".join(f"{line}\n" for line in lines))
    assert problems(web.apply()) == []
    for jail in ("web", "other"):
        assert shell(web, "jexec", jail, "pkg", "query", "%n %a") == "nginx 0\npcre2 0\nredis 0\n"
        assert shell(web, "jexec", jail, "cat", "/root/there").split() == ["nginx", "pcre2", "redis"]
        # Nothing of the store, nor of how it was used, is left in the root.
        assert shell(web, "jexec", jail, "find", "/", "-xdev", "-name", "*.pkg*", "-path", "*reconciler*") == ""
    assert web.titles() == []
    # What came for another's sake goes with it, what was asked for stays.
    (web.specs / "web.makejail").write_text("PKG --remove nginx\nPKG --autoremove\n")
    assert problems(web.apply(only=frozenset({"web"}))) == []
    assert shell(web, "jexec", "web", "pkg", "query", "%n") == ""


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


def test_a_repository_that_has_moved_on_is_told_of_and_nothing_is_made(web: Fleet) -> None:
    changed = [replace(toy, version="9.9") if toy.name == "pcre2" else toy for toy in toys.catalogue()]
    mirror.packages(repository(web), changed)
    assert codes(web) == ["pkg-not-as-locked"]
    assert not [name for name in shell(web, "jls", "name").split() if name.startswith("rcb-")]
    # What could be fetched is kept; what fetching left is not.
    assert {note.file for note in store(web).all().values()} == {"nginx-1.28.0.pkg"}
    assert store(web).fetching() == ()


def test_an_archive_that_is_none_of_those_pinned_is_not_taken(web: Fleet) -> None:
    """A mirror that signs what it likes: its catalogue and its archive agree, and the lock does not."""
    changed = [replace(toy, comment="evil") if toy.name == "nginx" else toy for toy in toys.catalogue()]
    mirror.packages(repository(web), changed)
    assert codes(web) == ["pkg-not-as-locked"]
    assert "nginx-1.28.0.pkg" not in {note.file for note in store(web).all().values()}


def test_an_archive_that_its_catalogue_places_elsewhere_is_not_fetched(web: Fleet) -> None:
    catalogue = repository(web) / "packagesite.jsonl"
    catalogue.write_text(catalogue.read_text().replace('"path": "All/', '"path": "../../../etc/All/'))
    assert codes(web) == ["pkg-not-kept"]
    assert store(web).all() == {}


def test_a_plan_says_what_cannot_be_had_without_the_network(web: Fleet) -> None:
    web.write(DENY + WEB)
    (note,) = [note for note in web.decide().plan.notes if note.code == "pkg-not-kept"]
    assert note.failing and "nginx, pcre2 as pinned" in note.text and str(note.span).endswith("fleet.yaml:9:6")
    assert not [title for title in web.titles() if ": layer " in title]
    web.write(WEB)
    assert problems(web.apply()) == []
    web.write(f"{DENY}{WEB}---\n{OTHER}")
    assert not [note for note in web.decide(offline=True).plan.notes if note.code == "pkg-not-kept"]
    assert problems(web.apply()) == []


def test_a_kill_between_fetching_and_keeping_is_made_good_by_the_next_run(web: Fleet) -> None:
    for call in range(22, 70, 7):
        try:
            web.apply(DyingRunner(web.runner, call, after=bool(call % 2)))
        except Died:
            continue
        break
    assert problems(web.apply()) == []
    assert shell(web, "jexec", "web", "pkg", "query", "%n %a") == "nginx 0\npcre2 1\nredis 0\n"
    assert store(web).unfinished() == ()
    assert web.titles() == []
