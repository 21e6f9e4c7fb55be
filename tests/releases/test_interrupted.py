"""A fetch that is ended anywhere leaves nothing that counts as fetched, and the next one works."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cache import Cache
from reconciler.cli.releasing import planned
from reconciler.cli.session import no_specs
from reconciler.faults import FailRunner
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.kinds.release import Release, have
from reconciler.model.command import Command, Completed, Runner
from reconciler.model.outcome import Report
from reconciler.reconcile import Decided, Options, Session
from reconciler.site import LocalSite
from reconciler.spec.document import Release as Document
from reconciler.wrapper import Wrapper
from reconciler.wraps import RecordRunner
from tests.fleet import Fleet, base, problems, quiet

from .mirror import add, manifest_of

NAME = "15.1-RELEASE-p0"


def session(runner: Runner) -> Session:
    return Session(FreeBSDHost(runner, "sandbox:test"), Options(Path("specs")), replace(no_specs()))


def fetched(fleet: Fleet, runner: Runner | None = None, mirror: str | None = None) -> Report:
    """Fetch the release as `reconcile release fetch` does, over a host that may fail."""
    run = session(runner or fleet.runner)
    wanted = Release(NAME, 0, Document(name="15.1-RELEASE", mirror=mirror or fleet.mirror))
    plan, desired = planned(run, [wanted] if wanted.ref not in {r.ref for r in have(run.seen)} else [])
    cache = Cache(fleet.folder / "cache")
    site = LocalSite(run.host, run.place, cache, run.facts, "2026-11-22")
    return run.apply(Decided(plan, (), desired), site, 1, quiet, threading.Event())


def here(fleet: Fleet) -> list[str]:
    return [release.name for release in have(session(fleet.runner).seen)]


def whole(fleet: Fleet) -> bool:
    """Whether the sealed release holds what the set holds, and nothing of a fetch is left but that."""
    rows = session(fleet.runner).seen.rows
    left = {path for path in rows if path.startswith(("releases/", "layers/")) and NAME not in path}
    report = fetched(fleet)
    return here(fleet) == [NAME] and not left and report.plan.empty


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory, mirror_url: str) -> int:
    """How many calls of a whole fetch change the host."""
    fleet = Fleet(tmp_path_factory.mktemp("calls"), mirror_url)
    record = RecordRunner(fleet.runner)
    assert problems(fetched(fleet, record)) == []
    fleet.close()
    return len(record.changes)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fetch_that_fails_at_any_call_is_finished_by_the_next(
    tmp_path: Path, mirror_url: str, calls: int, when: str
) -> None:
    assert calls > 8
    for number in range(1, calls + 1):
        fleet = Fleet(tmp_path / str(number), mirror_url)
        failing = FailRunner(fleet.runner, number, "before" if when == "before" else "after", changing=True)
        report = fetched(fleet, failing)
        assert failing.reached
        assert not report.ok or here(fleet) == [NAME], number
        assert problems(fetched(fleet)) == [], number
        assert whole(fleet), number
        fleet.close()


class CutTar(Wrapper):
    """A tar that dies of something after the first bytes, or a connection that is lost there."""

    def run(self, command: Command) -> Completed:
        """Take one chunk of what tar is given, then fail."""
        if command.argv[0] != "tar" or isinstance(command.stdin, bytes):
            return self.inner.run(command)
        chunks: Iterator[bytes] = iter(command.stdin)
        next(chunks, b"")
        return Completed(command.argv, 1, b"", b"tar: No space left on device\n")


def test_an_unpacking_that_ends_early_is_not_a_release(fleet: Fleet) -> None:
    before = threading.active_count()
    report = fetched(fleet, CutTar(fleet.runner))
    assert "No space left" in "".join(problems(report))
    assert here(fleet) == []
    assert problems(fetched(fleet)) == []
    assert whole(fleet)
    assert threading.active_count() <= before + 1


HOSTILE = {
    "..": ("../../../escaped", b"0", ""),
    "absolute": ("/escaped", b"0", ""),
    "through a symlink": ("./lnk/escaped", b"0", ""),
    "hard link out": ("./hard", b"1", "../../../etc/hosts"),
    "device": ("./dev/mem", b"3", ""),
    "a symlink that climbs": ("./up", b"2", "../../../../etc"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_set_makes_no_release_and_touches_nothing_else(fleet: Fleet, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "hostile/amd64/amd64/15.1-RELEASE"
    place.mkdir(parents=True)
    data = with_member(base("15.1-RELEASE"), HOSTILE[kind])
    (place / "base.txz").write_bytes(data)
    (place / "MANIFEST").write_bytes(manifest_of({"base.txz": data}))
    report = fetched(fleet, mirror=f"file:{tmp_path}/hostile")
    assert [d.code for result in report.failed for d in result.diagnostics] == ["archive-hostile"], problems(report)
    assert here(fleet) == []
    assert not list(tmp_path.rglob("escaped"))
    assert problems(fetched(fleet)) == []
    assert whole(fleet)


def with_member(archive: bytes, member: tuple[str, bytes, str]) -> bytes:
    """The archive with one member more, behind a symlink `lnk` that leads out."""
    import io
    import lzma
    import tarfile

    held = io.BytesIO(lzma.decompress(archive))
    with tarfile.open(fileobj=held, mode="a") as tar:
        add(tar, "./lnk", tarfile.SYMTYPE, "/")
        add(tar, *member)
    return lzma.compress(held.getvalue(), preset=0)
