"""The board tells its readers of every change; a wake-up is never lost."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from reconciler.agent.board import Board, Commit, Status
from reconciler.agent.wake import Wake, watching


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


def test_a_folder_that_is_not_there_is_left_to_the_timer(tmp_path: Path) -> None:
    wake = Wake()
    with watching(tmp_path / "none", wake):
        assert wake.wait(0) == ()
