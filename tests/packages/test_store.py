"""What a pool keeps of packages: whole or not there, on any host, and given back only as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from reconciler.cache import Cache
from reconciler.cli.main import main
from reconciler.cli.session import pool_session
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.runner import SandboxRunner
from reconciler.model.diagnostic import FetchError, HostError
from reconciler.packages.inspect import opened
from reconciler.packages.store import Note, Store, note_of
from reconciler.packages.supply import keep, supply
from reconciler.packages.write import build_package
from reconciler.wraps import FailRunner

from .trees import CONTENTS, file, manifest, of, package

DATA = package(of(file("etc/x", b"text")))
SHA = hashlib.sha256(DATA).hexdigest()
NOTE = note_of("nginx.tar.xz", len(DATA), manifest(), b"-----BEGIN SSH")


@pytest.fixture
def runner(tmp_path: Path) -> SandboxRunner:
    machine = Machine(tmp_path / "host")
    runner = SandboxRunner(machine)
    FreeBSDHost(runner).datasets.create("zroot/reconciler", {"mountpoint": "/reconciler"})
    return runner


@pytest.fixture
def store(runner: SandboxRunner) -> Store:
    return Store(FreeBSDHost(runner), "zroot/reconciler", "/reconciler")


def pieces(data: bytes = DATA) -> Iterator[bytes]:
    yield data[:100]
    yield data[100:]


def test_what_is_put_is_listed_and_given_back(store: Store, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    assert store.all() == {} and store.unfinished() == () and store.get(SHA, cache) is None
    store.put(SHA, pieces(), NOTE)
    assert store.all() == {SHA: NOTE} and store.unfinished() == ()
    found = store.get(SHA, cache)
    assert found is not None and found.read_bytes() == DATA
    assert cache.path(SHA, ".sig").read_bytes() == b"-----BEGIN SSH"
    store.remove(SHA)
    assert store.all() == {} and store.unfinished() == ()


def test_a_package_that_is_there_is_not_sent_again(store: Store) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError
        yield b""

    store.put(SHA, pieces(), NOTE)
    store.put(SHA, never(), NOTE)
    store.put(SHA, never(), replace(NOTE, signature=""))
    assert store.all()[SHA].signature == ""


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b"", DATA[:-1] + b"x"])
def test_other_bytes_than_the_digest_says_are_not_kept(store: Store, data: bytes) -> None:
    with pytest.raises(HostError):
        store.put(SHA, pieces(data), NOTE)
    assert store.all() == {}


def test_a_damaged_archive_is_not_given_back(runner: SandboxRunner, store: Store, tmp_path: Path) -> None:
    store.put(SHA, pieces(), NOTE)
    FreeBSDHost(runner).files.write(store.path(SHA), DATA[:-1])
    with pytest.raises(FetchError, match="digest-mismatch"):
        store.get(SHA, Cache(tmp_path / "cache"))
    assert not (tmp_path / "cache" / SHA).exists()


def test_whatever_fails_while_it_is_kept_it_is_whole_or_not_there_and_can_be_kept_again(
    runner: SandboxRunner, store: Store
) -> None:
    moments: tuple[Literal["before", "after"], ...] = ("before", "after")
    for when in moments:
        nth, reached = 0, True
        while reached:
            nth += 1
            failing = FailRunner(runner, nth, when)
            with suppress(HostError):
                Store(FreeBSDHost(failing), "zroot/reconciler", "/reconciler").put(SHA, pieces(), NOTE)
            reached = failing.reached
            assert store.all() in ({}, {SHA: NOTE})
            store.put(SHA, pieces(), NOTE)
            assert store.all() == {SHA: NOTE}
            store.remove(SHA)
        assert nth > 5


def test_a_server_that_has_gone_is_made_up_for_by_the_store(store: Store, tmp_path: Path) -> None:
    (tmp_path / "p.tar.xz").write_bytes(DATA)
    digest, source = f"sha256:{SHA}", str(tmp_path / "p.tar.xz")
    found = supply(source, digest, Cache(tmp_path / "one"), store)
    keep(found, store, "p.tar.xz")
    assert store.all()[SHA].file == manifest().stem + ".tar.xz"
    (tmp_path / "p.tar.xz").unlink()
    for source_now, cache in ((source, "two"), (None, "three"), (None, "three")):
        assert supply(source_now, digest, Cache(tmp_path / cache), store).manifest == found.manifest
    store.remove(SHA)
    with pytest.raises(FetchError, match="mirror-not-found"):
        supply(source, digest, Cache(tmp_path / "four"), store)
    with pytest.raises(FetchError, match="package-not-stored"):
        supply(None, digest, Cache(tmp_path / "four"), store)


def test_what_is_no_note_is_not_listed(runner: SandboxRunner, store: Store) -> None:
    store.put(SHA, pieces(), NOTE)
    files = FreeBSDHost(runner).files
    for number, text in enumerate((b"", b"[]", b"{}", b'{"file": 1, "size": "x"}', b"\xff")):
        files.write(f"/reconciler/packages/notes/{number:064x}", text)
    assert store.all() == {SHA: NOTE}


def test_packages_are_pulled_listed_exported_pushed_and_collected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "specs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RECONCILER_HOST", f"sandbox:{tmp_path / 'host'}")
    made = build_package(tmp_path, manifest(of(file("etc/x", b"text"))), lambda e: [CONTENTS[e.sha256]])
    name = made.path.name
    (tmp_path / f"{name}.sig").write_bytes(b"whoever")

    def run(*argv: str) -> tuple[int, str]:
        status = main(["package", *argv])
        out, err = capsys.readouterr()
        return status, out + err

    assert "store-absent" in run("list")[1]
    host = FreeBSDHost(SandboxRunner(Machine(tmp_path / "host")))
    (tmp_path / "specs" / "web.yaml").write_text("kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\n")
    host.datasets.create("zroot/reconciler", {"mountpoint": "/reconciler"})
    hostid = pool_session(host, None, {}).place.hostid
    host.datasets.set("zroot/reconciler", {"reconciler:owner": f"{hostid}:{host.datasets.guid('zroot/reconciler')}"})
    status, said = run("pull", str(made.path))
    assert (status, said) == (0, f"/reconciler/packages/archives/{made.sha256}: {name}\n")
    assert f"nginx  1.28_1,2  15.1-RELEASE p1  amd64  {made.size} B  yes     {name}" in run("list")[1]
    listed = json.loads(run("list", "--json")[1])
    assert [(one["sha256"], one["file"], one["signature"]) for one in listed] == [(made.sha256, name, "whoever")]
    for word in ("nginx", "nginx-1.28_1,2", name, made.sha256[:8], f"sha256:{made.sha256}"):
        assert run("export", word, "--out", "there") == (0, f"there/{name}: sha256:{made.sha256}\n")
    assert (tmp_path / "there" / name).read_bytes() == made.path.read_bytes()
    assert (tmp_path / "there" / f"{name}.sig").read_bytes() == b"whoever"
    assert (tmp_path / "there" / f"{name}.sha256").read_text() == f"{made.sha256}  {name}\n"
    assert "unknown-package" in run("export", made.sha256[:7])[1]
    assert run("push", "nginx", "pushed") == (0, f"{tmp_path}/pushed/{name}: sha256:{made.sha256}\n")
    assert run("push", str(made.path), f"file://{tmp_path}/pushed")[0] == 0
    assert opened(tmp_path / "pushed" / name).manifest.name == "nginx"
    assert run("pull", f"pushed/{name}", "--out", "here")[0] == 0
    assert "first format" not in run("list", "here")[1]
    (tmp_path / "pushed" / f"{name}.sha256").unlink()
    assert "package-without-digest-file" in run("pull", f"pushed/{name}")[1]
    assert "digest-mismatch" in run("pull", f"pushed/{name}", "--digest", "sha256:" + "0" * 64)[1]
    host.files.write("/reconciler/packages/archives/left", b"x")
    assert main(["gc", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"package {made.sha256[:12]}  {name}, which no spec names" in out and "package left  unfinished" in out
    assert main(["gc"]) == 0 and "2 packages." in capsys.readouterr().out
    assert run("list")[1] == "No packages.\n"


def test_the_note_of_the_first_format_says_its_file_alone() -> None:
    assert note_of("e0b1.tar.xz", 5, None, None) == Note("e0b1.tar.xz", 5)
