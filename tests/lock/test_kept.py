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
WEB = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\npkg: [nginx]\nmakejail: {file: web.makejail}\n"
OTHER = WEB.replace("web\n", "other\n").replace("[nginx]", "[redis, nginx]")
DENY = 'kind: Host\nname: here\nmatch: {hostname: "*"}\npolicy: {downloads: deny}\n---\n'


def repository(fleet: Fleet) -> Path:
    """The folder of the sandbox's package repository."""
    return mirror.ensure_mirror(fleet.machine.directory) / "pkg" / ABI / "latest"


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
    makejail(fleet, "PKG redis")
    pin(fleet)
    return fleet


def there(*packages: str) -> str:
    """A line that fails unless these are installed, each with what pkg says of how it came (1: for another's sake)."""
    return f"""CMD test "$(pkg query '%n %a' | tr '\\n' ,)" = '{"".join(f"{one}," for one in packages)}'"""


def makejail(fleet: Fleet, *lines: str) -> None:
    (fleet.specs / "web.makejail").write_text("".join(f"{line}\n" for line in lines))


def test_what_is_pinned_is_installed_from_the_pool_when_its_repository_has_gone(web: Fleet) -> None:
    makejail(web, "PKG redis", there("nginx 0", "pcre2 1", "redis 0"))
    assert problems(web.apply()) == []
    shutil.rmtree(repository(web))
    web.write(f"{WEB}---\n{OTHER}")
    # Nothing of the store, nor of how it was used, is left in the root.
    clean = "CMD test -z \"$(find / -xdev -path '*reconciler*' -name '*pkg*')\""
    lines = "PKG --jexec --jail redis", "PKG local/nginx pcre2", there("nginx 0", "pcre2 0", "redis 0"), clean
    makejail(web, *lines)
    assert problems(web.apply()) == []
    assert web.titles() == []
    # What came for another's sake goes with it.
    makejail(web, "PKG --remove nginx", "PKG --autoremove", there())
    assert problems(web.apply(only=frozenset({"web"}))) == []


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
    assert note.failing and "nginx, pcre2 as pinned" in note.text and str(note.span).endswith("fleet.yaml:10:6")
    assert not [title for title in web.titles() if ": layer " in title]
    web.write(WEB)
    assert problems(web.apply()) == []
    web.write(f"{WEB}---\n{OTHER}")
    assert not [note for note in web.decide(offline=True).plan.notes if note.code == "pkg-not-kept"]


def test_a_kill_between_fetching_and_keeping_is_made_good_by_the_next_run(web: Fleet) -> None:
    for call in range(22, 70, 7):
        try:
            web.apply(DyingRunner(web.runner, call, after=bool(call % 2)))
        except Died:
            continue
        break
    makejail(web, "PKG redis", there("nginx 0", "pcre2 1", "redis 0"))
    assert problems(web.apply()) == []
    assert store(web).unfinished() == ()
    assert web.titles() == []
