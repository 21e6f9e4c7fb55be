"""The stream of changes: one event now, one for each change, few at a time, and never a thread too many."""

from __future__ import annotations

from reconciler.agent import web_live
from reconciler.agent.web import Answer, Ask
from reconciler.agent.web_live import STREAMS, Live
from tests.agent import boards


def test_it_tells_at_once_and_at_each_change():
    board = boards.board()
    live = Live(board)
    answer = live.answer(Ask("GET", "/live"))
    pieces = iter(answer.body)  # type: ignore[arg-type]
    assert next(pieces) == b"retry: 2000\nevent: status\nid: 0\ndata: 0\n\n"
    board.update(phase="waiting")
    assert next(pieces) == b"event: status\nid: 1\ndata: 1\n\n"
    live.close()
    assert list(pieces) == []


def test_many_changes_are_one_event(monkeypatch):
    monkeypatch.setattr(web_live, "PAUSE", 0.0)
    board = boards.board()
    pieces = iter(Live(board).answer(Ask("GET", "/live")).body)  # type: ignore[arg-type]
    next(pieces)
    for number in range(50):
        board.update(cycle=number)
    assert b"data: 50" in next(pieces)


def test_only_so_many_watch_and_a_place_is_given_back_however_it_ends():
    live = Live(boards.board())
    gone = [live.answer(Ask("GET", "/live", gone=lambda: True)) for _ in range(STREAMS)]
    refused = live.answer(Ask("GET", "/live"))
    assert refused.status == 503 and ("Retry-After", "30") in refused.headers

    def close(answer: Answer) -> None:
        answer.body.close()  # type: ignore[union-attr]

    list(gone[0].body)  # type: ignore[arg-type]
    close(gone[0])
    close(gone[0])
    close(gone[1])  # never begun
    assert [live.answer(Ask("GET", "/live")).status for _ in range(3)] == [200, 200, 503]
