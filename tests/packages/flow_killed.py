"""`reconcile package` that dies at one of its calls to the host, and is typed again. Slow: `make test-slow`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from reconciler.cli import session
from tests.laws.dead import Died, DyingRunner
from tests.sweep import EVERY

from .evil import there
from .test_by_hand import desk

__all__ = ["desk"]
CALLS = 200
"""More than any of them makes: the first call that is not reached ends a test."""
STEM = "site-1_15.1-RELEASE-p0_amd64.tar.xz"
BUILD = ("package", "build", "web", "--name", "site", "--version", "1")


@pytest.fixture
def dying(monkeypatch) -> Callable[[int, bool], DyingRunner]:
    """Have the next command line work through a runner that dies at that call."""
    plain = session.open_runner

    @contextlib.contextmanager
    def at(n: int, after: bool) -> Iterator[list[DyingRunner]]:
        made: list[DyingRunner] = []

        def opened(url: str) -> DyingRunner:
            made.append(DyingRunner(plain(url), n, after=after))
            return made[-1]

        monkeypatch.setattr(session, "open_runner", opened)
        with contextlib.suppress(Died):
            yield made
        monkeypatch.setattr(session, "open_runner", plain)

    return at


def every(desk, dying, argv: tuple[str, ...], prepare, settled, step: int = 1) -> int:
    """Die at each call, type it again, and look; the first call that was not reached."""
    n = 1
    for after in (False, True):
        for n in range(1, CALLS, step):
            prepare()
            with dying(n, after) as made:
                desk.run(*argv)
            settled()
            if not any(runner.dead for runner in made):
                break
    return n


@pytest.fixture
def running(desk):
    assert desk.run("apply").status == 0
    return desk


def succeeds(desk, *argv: str, unless: str = "") -> None:
    answer = desk.run(*argv)
    assert answer.status == 0 or (unless and unless in answer.err), answer


def test_starting_and_stopping_a_recording(running, dying):
    before = there(running)

    def started() -> None:
        succeeds(running, "package", "record", "start", "web", unless="recording-exists")

    def stopped() -> None:
        succeeds(running, "package", "record", "stop", "web")
        succeeds(running, "package", "record", "discard", "web")
        assert there(running) == before

    def both() -> None:
        started()
        stopped()

    assert every(running, dying, ("package", "record", "start", "web"), lambda: None, both) > 1
    assert every(running, dying, ("package", "record", "stop", "web"), started, stopped) > 1


def test_building_a_package_of_a_recording(running, dying):
    before = running.zfs("list", "-Hr", "-t", "all", "-o", "name", "zroot")

    def prepare() -> None:
        (running.folder / STEM).unlink(missing_ok=True)
        succeeds(running, "package", "record", "start", "web")
        succeeds(running, "exec", "web", "--", "sh", "-c", "date +%N > /usr/local/etc/now")
        succeeds(running, "package", "record", "stop", "web")

    def settled() -> None:
        answer = running.run(*BUILD)
        if answer.status:
            # It died while it let the recording go, which it does once the package is there.
            assert "recording-running" in answer.err or "recording-none" in answer.err, answer
            succeeds(running, "package", "record", "discard", "web", unless="recording-none")
        succeeds(running, "package", "verify", STEM)
        assert running.zfs("list", "-Hr", "-t", "all", "-o", "name", "zroot") == before
        assert not [path for path in running.folder.iterdir() if path.suffix == ".partial"]

    assert every(running, dying, BUILD, prepare, settled, EVERY) > 10


def test_importing_a_jail(running, dying):
    succeeds(running, "exec", "web", "--", "sh", "-c", "echo x > /usr/local/etc/now")
    argv = ("package", "import", "web", "--name", "site", "--version", "1")
    succeeds(running, *argv)  # it leaves the folders that it works in
    before, made = there(running), (running.folder / STEM).read_bytes()

    def settled() -> None:
        (running.folder / STEM).unlink(missing_ok=True)
        succeeds(running, *argv)
        assert (running.folder / STEM).read_bytes() == made
        assert there(running) == before

    assert every(running, dying, argv, lambda: None, settled, EVERY) > 10


def test_pulling_a_package_and_letting_it_go(running, dying):
    succeeds(running, "exec", "web", "--", "sh", "-c", "echo x > /usr/local/etc/now")
    succeeds(running, "package", "import", "web", "--name", "site", "--version", "1")
    pull = ("package", "pull", STEM)
    succeeds(running, *pull)
    succeeds(running, "gc")
    empty = there(running)
    succeeds(running, *pull)
    full = there(running)

    def pulled() -> None:
        succeeds(running, *pull)
        assert there(running) == full
        succeeds(running, "gc")

    def gone() -> None:
        succeeds(running, "gc")
        assert there(running) == empty

    assert every(running, dying, pull, lambda: succeeds(running, "gc"), pulled) > 1
    assert every(running, dying, ("gc",), lambda: succeeds(running, *pull), gone) > 1


def test_a_recording_whose_reading_was_cut_off_can_be_discarded(running, dying):
    before = running.zfs("list", "-Hr", "-t", "all", "-o", "name", "zroot")
    for n in range(1, CALLS, EVERY):
        succeeds(running, "package", "record", "start", "web")
        succeeds(running, "exec", "web", "--", "sh", "-c", "date +%N > /usr/local/etc/now")
        succeeds(running, "package", "record", "stop", "web")
        with dying(n, True) as made:
            running.run(*BUILD, "--keep-recording")
        succeeds(running, "package", "record", "discard", "web")
        assert running.zfs("list", "-Hr", "-t", "all", "-o", "name", "zroot") == before
        if not any(runner.dead for runner in made):
            break
    assert n > 10
