"""Jail packages in specs: built from a Makejail where needed, checked before they are applied, removed again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.build.made import unfit
from reconciler.build.recipe import ApplyBuilt, ApplyPackage
from reconciler.model.command import Command
from reconciler.model.diagnostic import SpecError
from reconciler.packages.delta import Delta
from reconciler.packages.inspect import digest
from reconciler.packages.manifest import Manifest
from reconciler.packages.tree import Entry
from reconciler.packages.write import build_package
from tests.fleet import Fleet, mirror, problems

from .test_hostile import LYING, TOLD
from .trees import assembled

SITE = """kind: Package
name: site
version: "1"
release: 15.1-RELEASE
patch_level: 0
makejail:
  args: {greeting: hello}
  text: |
    ARG greeting
    CMD mkdir -p /usr/local/etc
    CMD echo "$greeting" > /usr/local/etc/site.conf
    CMD rm /etc/ssh/moduli
---
"""
JAIL = "kind: Jail\nname: {name}\nrelease: 15.1-RELEASE\npatch_level: 0\npackages: [{packages}]\n---\n"


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    fleet = Fleet(tmp_path, mirror(tmp_path / "mirror", "15.1-RELEASE"))
    yield fleet
    fleet.close()


def content(fleet: Fleet, jail: str, path: str) -> str | None:
    try:
        return fleet.machine.resolve(f"/reconciler/live/{jail}/{path}", write=False).read_text()
    except OSError:
        return None


def applied(fleet: Fleet, *documents: str) -> list[str]:
    """Apply these documents; what was planned."""
    fleet.write("".join(documents))
    titles = fleet.titles()
    report = fleet.apply()
    assert report.ok, "\n".join(problems(report))
    assert fleet.decide().plan.empty
    return titles


def package(folder: Path, name: str, **files: str) -> str:
    """An archive, as a line of a jail's packages."""
    entries = []
    data = {}
    for path, text in sorted(files.items()):
        digest = hashlib.sha256(text.encode()).hexdigest()
        data[path] = text.encode()
        entries.append(Entry(path, "file", 0o640, 80, 80, size=len(text), sha256=digest))
    change = Delta(tuple(entries))
    manifest = Manifest(name, "1", "15.1-RELEASE", (0, 0), "amd64", "FreeBSD:15:amd64", change=change)
    made = build_package(folder, manifest, lambda entry: [data[entry.path]])
    return f"name: {name}, digest: 'sha256:{made.sha256}', source: 'file:{made.path}'"


def test_a_package_with_a_makejail_is_built_once_applied_to_all_and_gone_when_it_is_unlisted(fleet: Fleet) -> None:
    short = SITE.replace("    CMD rm /etc/ssh/moduli\n", "").replace("    CMD mkdir -p /usr/local/etc\n", "")
    text = short.replace("/usr/local/etc/site.conf", "/etc/group")
    both = [JAIL.format(name=name, packages="{name: site}") for name in ("web", "two")]
    titles = applied(fleet, text, *both)
    layers = [title.partition("  ")[2] for title in titles if ": layer" in title]
    assert layers == ["build segment 1 of 1 of site: CMD", "apply package site 1, built here"]
    assert [content(fleet, jail, "etc/group") for jail in ("web", "two")] == ["hello\n", "hello\n"]
    applied(fleet, text, both[1], JAIL.format(name="web", packages=""))
    assert "wheel" in str(content(fleet, "web", "etc/group")) and content(fleet, "two", "etc/group") == "hello\n"


def test_what_a_package_says_of_its_files_is_so_in_the_jail(fleet: Fleet) -> None:
    line = package(fleet.folder, "one", **{"etc/one": "1", "etc/both": "1"})
    applied(fleet, JAIL.format(name="web", packages=f"{{{line}}}"))
    done = fleet.machine.run(Command(("stat", "-f", "%u %g %Lp", "/reconciler/live/web/etc/one")))
    assert done.stdout == b"80 80 0640\n"


def test_a_conflict_is_said_by_the_plan_once_the_packages_are_known(fleet: Fleet) -> None:
    first = package(fleet.folder, "one", **{"etc/both": "1"})
    second = package(fleet.folder, "two", **{"etc/both": "2"})
    fleet.write(JAIL.format(name="web", packages=f"{{{first}}}, {{{second}}}"))
    session = fleet.session()
    assert not session.decide().refusals
    for path in fleet.folder.glob("*.tar.xz"):
        session.cache.put(session.cache.path(hashlib.sha256(path.read_bytes()).hexdigest()), path.read_bytes())
    (found,) = fleet.decide().refusals
    assert found.code == "package-conflict" and found.span is not None and found.span.line == 5


@pytest.mark.parametrize(
    ("spec", "line", "reason"),
    [
        ("patch_level: 0", "patch_level: 1", "not p1"),
        ("name: one", "name: two", "the spec says two"),
        ("name: one", "name: one, version: '2'", "the spec says one 2"),
        ("name: one", "name: one, version: '1'", ""),
    ],
)
def test_a_package_beside_the_specs_is_held_against_them_by_the_plan(
    fleet: Fleet, spec: str, line: str, reason: str
) -> None:
    beside = package(fleet.folder, "one", **{"etc/one": "1"}).replace(f"'file:{fleet.folder}/", "'../")
    fleet.write(JAIL.format(name="web", packages=f"{{{beside}}}").replace(spec, line))
    found = fleet.decide().refusals
    assert [one.code for one in found] == (["package-does-not-fit"] if reason else [])
    assert all(reason in one.detail and one.span is not None and one.span.line == 5 for one in found)


def test_a_package_that_was_built_here_may_have_got_another_name_since() -> None:
    manifest = Manifest("site", "1", "15.1-RELEASE", (0, 0), "amd64", "FreeBSD:15:amd64")
    built = ApplyBuilt("web", "2", "00", "15.1-RELEASE-p0", (0, 0))
    assert unfit(built, manifest, "15.1-RELEASE-p0", "amd64") == ""
    assert "not p1" in unfit(built, manifest, "15.1-RELEASE-p1", "")
    assert "the spec says web 2" in unfit(ApplyPackage("web", "2", "00", None), manifest, "15.1-RELEASE-p0", "")
    assert unfit(ApplyPackage("site", "", "00", None), manifest, "15.1-RELEASE-p0", "") == ""


def test_two_packages_beside_the_specs_conflict_before_anything_is_fetched(fleet: Fleet) -> None:
    lines = [
        package(fleet.folder, name, **{"etc/both": name}).replace(f"'file:{fleet.folder}/", "'../")
        for name in ("one", "two")
    ]
    fleet.write(JAIL.format(name="web", packages=", ".join(f"{{{line}}}" for line in lines)))
    assert [one.code for one in fleet.decide().refusals] == ["package-conflict"]


def refused(fleet: Fleet, *lines: str) -> str:
    """What speaks against a jail with these packages; nothing was made for the last of them."""
    fleet.write(JAIL.format(name="web", packages=", ".join(f"{{{line}}}" for line in lines)))
    report = fleet.apply()
    assert not report.ok
    (failed,) = [result for result in report.failed if result.step.action.ref.kind == "layer"]
    made = fleet.machine.pool.datasets
    assert not [name for name in made if failed.step.action.ref.name in name]
    return " ".join(f"{d.code}: {d.detail}" for d in failed.diagnostics)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("release", "14.3-RELEASE", "not 15.1-RELEASE"),
        ("patch_levels", (1, 3), "not p0"),
        ("arch", "arm64", "not amd64"),
        ("abi", "FreeBSD:14:amd64", "not FreeBSD:15:amd64"),
    ],
)
def test_a_package_for_something_else_is_refused_before_anything_is_made(
    fleet: Fleet, field: str, value: object, reason: str
) -> None:
    usual = {"release": "15.1-RELEASE", "patch_levels": (0, 0), "arch": "amd64", "abi": "FreeBSD:15:amd64"}
    given = usual | {field: value}
    manifest = Manifest("other", "1", change=Delta((Entry("x", "directory", 0o755),)), **given)  # type: ignore[arg-type]
    made = build_package(fleet.folder, manifest, lambda _entry: [])
    said = refused(fleet, f"name: other, digest: 'sha256:{made.sha256}', source: 'file:{made.path}'")
    assert "package-does-not-fit" in said and reason in said


def test_a_package_that_lies_is_refused_before_anything_is_made(fleet: Fleet) -> None:
    evil = fleet.folder / "evil.tar.xz"
    evil.write_bytes(assembled(TOLD, LYING["one more"]))
    said = refused(fleet, f"name: evil, digest: 'sha256:{digest(evil)}', source: 'file:{evil}'")
    assert "package-disagrees" in said


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (SITE.replace("makejail:", "source: x.tar.xz\nmakejail:"), "package-two-origins"),
        (SITE.partition("makejail:")[0] + "---\n", "package-no-origin"),
        (SITE.replace("  text: |", "  file: gone.makejail\n  text: |"), "makejail-source"),
    ],
)
def test_where_a_package_comes_from_is_said_once(fleet: Fleet, text: str, code: str) -> None:
    fleet.write(text + JAIL.format(name="web", packages="{name: site}"))
    with pytest.raises(SpecError, match=code):
        fleet.decide()


def test_a_package_that_is_replaced_stands_before(fleet: Fleet) -> None:
    fleet.write(SITE + JAIL.format(name="web", packages="{name: site, replaces: [sites]}"))
    with pytest.raises(SpecError, match="package-replaces-unknown"):
        fleet.decide()


def test_a_makejail_of_a_package_asks_for_files_alone(fleet: Fleet) -> None:
    more = SITE.replace("CMD rm /etc/ssh/moduli", "VOLUME data --mountpoint /srv")
    fleet.write(more + JAIL.format(name="web", packages="{name: site}"))
    with pytest.raises(SpecError, match="package-not-files"):
        fleet.decide()


def test_a_makejail_of_a_package_reaches_no_further_than_its_jail(fleet: Fleet) -> None:
    outside = SITE.replace("CMD rm /etc/ssh/moduli", "CMD --local rm x")
    fleet.write(outside + JAIL.format(name="web", packages="{name: site}"))
    with pytest.raises(SpecError, match="package-host-code"):
        fleet.decide()
