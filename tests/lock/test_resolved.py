"""What PKG lines mean is pinned wherever it is known before the build: variables, patterns, and jail packages' own."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli import locking
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.program import Given, compile_makejail

from .test_command import MAKEJAIL, WEB, lock_text

PACKAGE = "---\nkind: Package\nname: tools\nversion: '1'\nrelease: 15.1-RELEASE\nmakejail: {text: 'PKG redis'}\n"


def packages(folder: Path, text: str, **given: object) -> tuple[str, ...]:
    """What a Makejail's PKG lines install, as far as it is known."""
    (folder / "Makejail").write_text(text)
    return compile_makejail("Makejail", LocalFiles(), str(folder), Given(**given)).packages


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ARG v=83\nPKG php${v} php$v-curl\n", ("php83", "php83-curl")),
        ("ARG v\nPKG php$v\n", ("php82",)),
        ("VAR v=83\nPKG php$v\nVAR v=84\nPKG php$v\n", ("php83", "php84")),
        ("VAR a=x\nVAR b=${a}y\nPKG $b\n", ("xy",)),
        ("VAR --noexpand a=$x\nPKG $a\n", ("$x",)),
        ("ARG v=\nPKG php${v:-83}\n", ("php83",)),
        ("PKG $APPJAIL_JAILNAME $FROM_SPEC\n", ("web", "spec")),
        # Only the build knows these.
        ("PKG $unknown\n", ("$unknown",)),
        ("VAR v=$unknown\nPKG php$v\n", ("php$v",)),
        ("VAR v=1\nRAW v=2\nPKG php$v\n", ("php$v",)),
        ("VAR v=1\nRAW read v\nPKG php$v\n", ("php$v",)),
        ("VAR v=1\nRAW eval $x\nPKG php$v\n", ("php$v",)),
        ("VAR v=1\nRAW . ./file\nPKG php$v\n", ("php$v",)),
        ("VAR v=1\nRAW if true; then\nVAR v=2\nRAW fi\nPKG php$v\n", ("php$v",)),
        ("VAR v=1\nRAW echo $v ${v}\nPKG php$v\n", ("php1",)),
    ],
)
def test_variables_stand_for_what_they_are_known_to_hold(tmp_path, text, found):
    given = {"arguments": {"v": "82"}} if text.startswith("ARG v\n") else {}
    environment = {"APPJAIL_JAILNAME": "web"}
    assert packages(tmp_path, text, environment=environment, run_environment=("FROM_SPEC=spec",), **given) == found


def test_patterns_and_variables_are_pinned_and_installed_as_the_packages_they_meant(desk):
    desk.write("web.yaml", MAKEJAIL)
    there = 'CMD test "$(pkg query %n | tr "\\n" ,)" = nginx,pcre2,redis,\n'
    desk.write("Makejail", f"ARG end=nx\nPKG ngi$end redi[s]\n{there}")
    assert desk.run("lock", "--check").status == 2
    assert desk.run("lock").err == ""
    assert 'named: ["redi[s]"]' in lock_text(desk) and "pcre2" in lock_text(desk)
    assert desk.run("lock", "--check").status == 0
    assert "nothing pins" not in desk.run("plan").out
    answer = desk.run("build", "web")
    assert answer.status == 0, answer


def test_what_only_the_build_knows_and_a_pattern_for_everything_are_said(desk, monkeypatch):
    desk.write("web.yaml", MAKEJAIL)
    desk.write("Makejail", "RAW name=$(echo nginx)\nPKG $name\n")
    answer = desk.run("lock")
    assert answer.status == 0 and "package-unpinned" in answer.err and "known before the build" in answer.err
    assert desk.run("lock", "--check").status == 2
    desk.write("Makejail", "PKG nothing-like-it*\n")
    assert "lock-package-missing" in desk.run("lock").err
    monkeypatch.setattr(locking, "MOST", 3)
    desk.write("Makejail", "PKG *\n")
    assert "lock-pattern-wide" in desk.run("lock").err


def test_what_a_jail_packages_own_makejail_installs_is_pinned_and_counted(desk):
    desk.write("web.yaml", WEB.replace("pkg: [nginx]", "packages: [{name: tools}]") + PACKAGE)
    answer = desk.run("lock", "--check")
    assert answer.status == 2 and "The package tools installs redis" in answer.err
    assert "nothing pins" in desk.run("plan").out
    assert desk.run("lock").status == 0
    assert "redis:" in lock_text(desk)
    assert desk.run("lock", "--check").status == 0
    assert "nothing pins" not in desk.run("plan").out
    assert "Nothing moved" in desk.run("lock").out
