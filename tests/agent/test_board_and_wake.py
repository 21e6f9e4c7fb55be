"""The board tells its readers of every change; a wake-up is never lost."""

from __future__ import annotations

import errno
import os
import signal
import threading
from pathlib import Path

import pytest

from reconciler.agent import published
from reconciler.agent import wake as waking
from reconciler.agent.board import Board, Commit, Status
from reconciler.agent.published import Published, alone, read_status
from reconciler.agent.wake import Pace, Wake, watching


def test_a_reader_waits_for_the_next_change() -> None:
    board = Board(Status("host", 1.0))
    told: list[tuple[int, Status]] = []
    reader = threading.Thread(target=lambda: told.append(board.wait(board_version, 60)))
    board_version = board.version
    reader.start()
    board.update(phase="fetching", commit=Commit("a" * 40))
    reader.join(60)
    assert told[0][0] == board.version > board_version
    assert told[0][1].phase == "fetching"


def test_what_says_nothing_new_wakes_nobody() -> None:
    board = Board(Status("host", 1.0))
    board.update(cycle=0)
    assert board.version == 0
    assert board.wait(0, 0.0) == (0, board.now())


def test_wake_ups_before_a_wait_are_kept_and_told_once_each() -> None:
    wake = Wake()
    for _ in range(5000):
        wake.now("webhook")
    wake.now("SIGHUP")
    assert wake.wait(60)[0] == "webhook"
    assert wake.wait(0) == ()


def test_a_signal_wakes_the_very_thread_that_waits() -> None:
    wake = Wake()
    before = signal.signal(signal.SIGHUP, lambda _number, _frame: wake.now("SIGHUP"))
    try:
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGHUP)).start()
        assert wake.wait(60) == ("SIGHUP",)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_change_in_a_watched_folder_wakes(tmp_path: Path) -> None:
    wake = Wake()
    (tmp_path / "deep").mkdir()
    with watching(tmp_path, wake, "files"):
        (tmp_path / "deep/web.yaml").write_text("kind: Jail\n")
        assert wake.wait(60) == ("files",)


def test_a_folder_that_comes_goes_and_is_led_elsewhere_is_watched_again(tmp_path: Path) -> None:
    wake, folder = Wake(), tmp_path / "specs"

    def told(name: str) -> None:
        """See that a change below the folder wakes, with everything before it heard."""
        watch.look()
        while wake.wait(0.2):
            pass
        (folder / name).write_text("kind: Jail\n")
        assert wake.wait(60) == ("files changed",)

    with watching(folder, wake) as watch:
        assert wake.wait(0) == ()
        folder.mkdir()
        assert wake.wait(60) == ("files changed",)
        told("web.yaml")
        folder.rename(tmp_path / "away")
        assert wake.wait(60) == ("files changed",)
        os.symlink(tmp_path / "away", folder)
        told("db.yaml")
        (tmp_path / "other").mkdir()
        os.symlink(tmp_path / "other", tmp_path / "new")
        os.replace(tmp_path / "new", folder)
        assert wake.wait(60) == ("files changed",)
        told("mail.yaml")


def test_what_is_too_much_to_watch_is_left_to_the_timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "WATCHED", 2)
    for name in "abc":
        (tmp_path / name).touch()
    (folder := tmp_path / "few").mkdir()
    with watching(tmp_path, Wake()) as watch:
        assert len(watch._observers) == 1, "only the folder that holds it"
    with watching(folder, Wake()) as watch:
        assert len(watch._observers) == 2


def test_others_have_a_few_turns_at_once_and_then_one_each_second() -> None:
    ticks = [100.0]
    pace = Pace(lambda: ticks[0], burst=3)
    assert [pace.wait() for _ in range(5)] == [0, 0, 0, 1, 2]
    ticks[0] += 3600
    assert [pace.wait() for _ in range(4)] == [0, 0, 0, 1]


def test_an_agent_says_nothing_of_the_one_before_it(tmp_path: Path) -> None:
    """Its process number is somebody else's by now, whom no signal may reach."""
    (tmp_path / "agent.json").write_text('{"pid": 12345}')
    with alone(tmp_path):
        assert read_status(tmp_path) is None
        Published(tmp_path).show(Status("sandbox", 0.0, pid=7))
        found = read_status(tmp_path)
    assert found is not None and found["pid"] == 7


def test_what_cannot_be_written_any_more_is_not_told_for_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Published(tmp_path)
    with alone(tmp_path):
        shown.show(Status("sandbox", 0.0))

        def full(_path: Path, _data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(published, "write_whole", full)
        shown.show(Status("sandbox", 0.0, phase="applying"))
        assert read_status(tmp_path) is None
