"""Every hostile package that the tables know, offered to a host in every way. Slow: `make test-slow`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk

from .evil import ARCHIVES, WEB, refused_everywhere
from .test_signature import keygen
from .trees import file, of, package

HOST = """kind: Host
name: here
match: {hostname: "*"}
policy: {packages: {trusted_keys: ["%s"], require_signature: true}}
"""


@pytest.fixture
def desk(tmp_path, capsys, monkeypatch):
    desk = Desk(tmp_path, capsys, monkeypatch)
    desk.write("web.yaml", WEB)
    assert desk.run("apply").status == 0
    yield desk
    desk.run("sandbox", "shutdown")


def test_a_package_that_another_key_signed_is_refused_and_nothing_is_made(desk):
    trusted = keygen(desk.folder)
    keygen(desk.folder, "ecdsa")
    good = desk.folder / "good.tar.xz"
    good.write_bytes(package(of(file("etc/x")), patch_levels=(0, 0)))
    assert desk.run("package", "sign", str(good), "--key", str(desk.folder / "ecdsa")).status == 0
    desk.write("host.yaml", HOST % trusted)
    signature = good.with_name("good.tar.xz.sig").read_bytes()
    refused_everywhere(desk, good.read_bytes(), signature, "--key", str(desk.folder / "ed25519.pub"))


def test_every_hostile_archive_is_refused_and_nothing_is_made(desk):
    for name, data in ARCHIVES.items():
        try:
            refused_everywhere(desk, data)
        except AssertionError as error:
            raise AssertionError(name) from error
