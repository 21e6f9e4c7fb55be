"""Every row that says a field is observed, done: changed behind the tool's back, seen, put right, at rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from reconciler.model.command import Command
from reconciler.runtime import names
from tests.fleet import Fleet, problems
from tests.observation.page import Row, fleet_text, rows

TRIED = [row for row in rows() if row.change]


@pytest.fixture(scope="module")
def converged(tmp_path_factory: pytest.TempPathFactory, mirror_url: str) -> Iterator[Fleet]:
    """The fleet of the page, converged."""
    fleet = Fleet(tmp_path_factory.mktemp("observation"), mirror_url)
    fleet.runner.write("/etc/web.token", b"a secret\n")
    fleet.write(fleet_text())
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    yield fleet
    fleet.close()


def spelled(fleet: Fleet, text: str) -> str:
    """With this host's own names in place of those of the page."""
    session = fleet.session()
    web = next(row for row in session.observed.jails if row.name == "web")
    text = text.replace("OUTER", names(session.place.hostid, "web").outer)
    return text.replace("RULESET", str(web.parameters["devfs_ruleset"]))


def change(fleet: Fleet, line: str) -> None:
    """Do what the row says; each command must succeed."""
    for part in line.split("; "):
        words = shlex.split(part)
        if words[0] == "edit":
            fleet.runner.write(words[1], (fleet.runner.read(words[1]) or b"") + b"# changed by hand\n")
        else:
            done = fleet.runner.run(Command(tuple(words)))
            assert done.status == 0, (part, done.stderr)


@pytest.mark.parametrize("row", TRIED, ids=lambda row: f"{row.name}: {row.change}")
def test_a_change_behind_the_tools_back_is_seen_and_put_right(converged: Fleet, row: Row) -> None:
    says = spelled(converged, row.says)
    change(converged, spelled(converged, row.change))
    titles = converged.titles()
    assert any(says in title for title in titles), titles
    assert problems(converged.apply()) == []
    assert converged.titles() == []
