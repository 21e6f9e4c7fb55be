"""Two hosts build one package: the same bytes. Slow: `make test-slow`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fleet import Fleet, mirror, problems

SPEC = """kind: Package
name: site
version: "1"
release: 15.1-RELEASE
makejail:
  text: |
    CMD mkdir -p /usr/local/etc
    COPY page /usr/local/
    CMD echo hello > /usr/local/etc/site.conf && touch -d 2020-02-02T02:02:02Z /usr/local/etc/old
---
kind: Jail
name: web
release: 15.1-RELEASE
state: stopped
packages: [{name: site}]
"""


def built(folder: Path, checkout: int) -> str:
    """The digest of the package that a new host makes, from files that were checked out then."""
    url = f"file:{folder.parent}/mirror"
    fleet = Fleet(folder, url)
    (fleet.specs / "page").write_text("<h1>Hello</h1>")
    os.utime(fleet.specs / "page", (checkout, checkout))
    fleet.write(SPEC)
    try:
        report = fleet.apply()
        assert report.ok, problems(report)
        (sha256,) = [row.user["package"] for row in fleet.session().observed.datasets if row.user.get("package")]
        return sha256
    finally:
        fleet.close()


def test_two_hosts_that_build_a_package_have_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror(tmp_path / "mirror", "15.1-RELEASE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    one = built(tmp_path / "one", 1_750_000_000)
    assert built(tmp_path / "two", 1_760_000_000) == one
