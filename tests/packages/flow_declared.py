"""Jail packages in specs over several applies: changed, unlisted, locked, lost, in conflict. Slow: `make test-slow`."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from reconciler.cli import locking
from reconciler.reconcile import Options
from reconciler.spec.lock import PinnedPackage, load_lock, write_lock
from tests.fleet import Fleet

from .test_declared import JAIL, SITE, applied, content, fleet, package, refused

__all__ = ["fleet"]


def test_a_package_with_a_makejail_is_built_anew_when_its_makejail_changes(fleet: Fleet) -> None:
    moved = SITE.replace("    CMD rm /etc/ssh/moduli\n", "    CMD rm /etc/group\n")
    titles = applied(fleet, moved, JAIL.format(name="web", packages="{name: site}"))
    layers = [title.partition("  ")[2] for title in titles if ": layer" in title]
    assert layers == [
        "build segment 1 of 3 of site: CMD",
        "build segment 2 of 3 of site: CMD",
        "build segment 3 of 3 of site: CMD",
        "apply package site 1, built here",
    ]
    assert content(fleet, "web", "usr/local/etc/site.conf") == "hello\n"
    assert content(fleet, "web", "etc/group") is None
    both = [JAIL.format(name=name, packages="{name: site}") for name in ("web", "two")]
    assert not [title for title in applied(fleet, moved, *both) if ": layer" in title]
    assert content(fleet, "two", "usr/local/etc/site.conf") == "hello\n"
    assert content(fleet, "two", "etc/group") is None
    titles = applied(fleet, moved, both[1], JAIL.format(name="web", packages=""))
    assert [title for title in titles if "root" in title]
    assert content(fleet, "web", "usr/local/etc/site.conf") is None
    assert content(fleet, "web", "etc/group")
    changed = applied(fleet, moved.replace("hello", "bye"), *both)
    assert len([title for title in changed if ": layer" in title]) == 4
    assert content(fleet, "web", "usr/local/etc/site.conf") == "bye\n"


def test_the_lock_pins_what_was_built_and_holds_it(fleet: Fleet) -> None:
    text = SITE.replace("    CMD rm /etc/ssh/moduli\n", "") + JAIL.format(name="web", packages="{name: site}")
    applied(fleet, text)
    (row,) = [row for row in fleet.session().observed.datasets if row.user.get("package")]
    asked = locking.Asked(Options(fleet.specs), f"sandbox:{fleet.folder}/host")
    assert locking.lock(asked) == 0
    pins = load_lock(fleet.specs).built
    assert pins == {"site": PinnedPackage(row.name.partition("@")[2], row.user["package"])}
    assert fleet.decide().plan.empty
    write_lock(fleet.specs, replace(load_lock(fleet.specs), built={"site": replace(pins["site"], sha256="0" * 64)}))
    more = package(fleet.folder, "one", **{"etc/one": "1"})
    fleet.write(text + JAIL.format(name="two", packages=f"{{{more}}}, {{name: site}}"))
    assert "package-not-as-locked" in str([d.code for r in fleet.apply().failed for d in r.diagnostics])


def test_two_packages_that_write_one_path_are_a_conflict_unless_it_is_declared(fleet: Fleet) -> None:
    first = package(fleet.folder, "one", **{"etc/one": "1", "etc/both": "1"})
    second = package(fleet.folder, "two", **{"etc/two": "2", "etc/both": "2"})
    said = refused(fleet, first, second)
    assert "package-conflict" in said and "'etc/both'" in said and "'etc/two'" not in said
    applied(fleet, JAIL.format(name="web", packages=f"{{{first}}}, {{{second}, replaces: [one]}}"))
    assert content(fleet, "web", "etc/both") == "2"
    applied(fleet, JAIL.format(name="web", packages=f"{{{second}}}, {{{first}, replaces: [two]}}"))
    assert content(fleet, "web", "etc/both") == "1"


def test_an_archive_that_was_lost_is_made_again_and_is_the_same(fleet: Fleet) -> None:
    text = SITE.replace("    CMD rm /etc/ssh/moduli\n", "")
    applied(fleet, text, JAIL.format(name="web", packages="{name: site}"))
    (sha256,) = [row.user["package"] for row in fleet.session().observed.datasets if row.user.get("package")]
    archive = fleet.folder / "cache" / sha256
    data = archive.read_bytes()
    assert hashlib.sha256(data).hexdigest() == sha256
    archive.unlink()
    line = package(fleet.folder, "one", **{"etc/one": "1"})
    web = JAIL.format(name="web", packages="{name: site}")
    applied(fleet, text, web, JAIL.format(name="two", packages=f"{{{line}}}, {{name: site}}"))
    assert archive.read_bytes() == data
