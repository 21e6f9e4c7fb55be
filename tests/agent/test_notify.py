"""Notifications over real sockets and processes: what arrives, what is tried again, and that nobody waits."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from reconciler.agent import deliver, forge, logs
from reconciler.agent.board import Refusal
from reconciler.agent.config import NotifyConfig
from reconciler.agent.deliver import Undelivered
from reconciler.agent.news import EVENTS, News
from reconciler.agent.notify import Follower, Notifier, Target, slack
from reconciler.agent.web import Answer, Ask, Route, Web, plain
from reconciler.agent.web_server import Server
from reconciler.agent.webhook import refusal
from tests.agent import boards
from tests.waiting import PATIENCE

SHA = boards.TIP
NEWS = News(
    "commit-failed",
    "error",
    f"commit/{SHA}",
    "Commit 91c0 failed: <b> & so on",
    SHA,
    facts={"subject": "S", "author": "A"},
)


class Receiver:
    """A server that keeps what it is sent, and answers as told."""

    def __init__(self) -> None:
        self.got: list[Ask] = []
        self.answers: list[int] = []
        self.held = threading.Event()
        self.held.set()
        self.arrived = threading.Condition()
        self.server = Server(Web([Route("POST", "/in", self.take), Route("POST", "/in/", self.take)]), "127.0.0.1:0")
        self.server.start()
        self.url = "http://{}:{}/in".format(*self.server.address)

    def take(self, ask: Ask) -> Answer:
        self.held.wait(15)  # less than a delivery may take
        with self.arrived:
            self.got.append(ask)
            self.arrived.notify_all()
            status = self.answers.pop(0) if self.answers else 200
        return plain(status, "", *([("Location", "http://192.0.2.1/")] if status == 302 else []))

    def until(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.got) >= count, PATIENCE)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One, on loopback."""
    made = Receiver()
    yield made
    made.held.set()
    made.server.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with a secret."""
    file = tmp_path / "secret"
    file.write_text("a secret for signing\n")
    return file


def told(target: Target, *every: News) -> list[tuple[int, str]]:
    """Start a target, give it news, and end it."""
    target.start()
    for one in every:
        target.put(one, 5.0)
    target.close(PATIENCE)
    return []


def test_a_url_gets_signed_json(receiver: Receiver, secret: Path):
    counted: list[Any] = []
    config = NotifyConfig(url=receiver.url, secret_file=str(secret))
    told(Target(1, config, "jails1", lambda *what: counted.append(what)), NEWS)
    (ask,) = receiver.got
    assert refusal("generic", b"a secret for signing", ask.headers, ask.body, 0.0) == ""
    document = json.loads(ask.body)
    assert (document["event"], document["host"], document["commit"], document["at"]) == (
        "commit-failed",
        "jails1",
        SHA,
        5.0,
    )
    assert counted == [(1, "sent")]


def test_slack_gets_text_that_cannot_be_markup(receiver: Receiver):
    told(Target(1, NotifyConfig(url=receiver.url, kind="slack"), "jails1"), NEWS)
    text = json.loads(receiver.got[0].body)["text"]
    assert text == ":x: jails1: Commit 91c0 failed: &lt;b&gt; &amp; so on — S (A)"
    assert slack(replace(NEWS, facts={"subject": "<!channel>"}), "h")["text"].endswith("— &lt;!channel&gt; ()")


def test_only_what_was_asked_for_is_sent(receiver: Receiver):
    config = NotifyConfig(url=receiver.url, events=("jail-stalled",))
    told(Target(1, config, "h"), NEWS, replace(NEWS, event="jail-stalled", subject="jail/web"))
    assert [json.loads(ask.body)["event"] for ask in receiver.got] == ["jail-stalled"]


def test_a_command_gets_json_on_its_input_and_nothing_of_ours_in_its_environment(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("RECONCILER_SECRET", "x")
    out = tmp_path / "out"
    told_of = "[json.load(sys.stdin), dict(os.environ), os.getcwd()]"
    script = f"import sys, os, json; json.dump({told_of}, open({str(out)!r}, 'w'))"
    told(Target(1, NotifyConfig(command=(sys.executable, "-c", script)), "h"), NEWS)
    document, environ, cwd = json.loads(out.read_text())
    assert document["event"] == "commit-failed" and cwd == "/"
    assert "RECONCILER_SECRET" not in environ and "PATH" in environ


def test_a_failure_is_tried_again(receiver: Receiver, monkeypatch):
    monkeypatch.setattr("reconciler.agent.outbox.FIRST", 0.01)
    receiver.answers = [503, 429]
    counted: list[Any] = []
    target = Target(3, NotifyConfig(url=receiver.url), "h", lambda *what: counted.append(what))
    target.start()
    target.put(NEWS, 1.0)
    receiver.until(3)
    target.close(PATIENCE)
    assert counted == [(3, "failed"), (3, "failed"), (3, "sent")]
    assert len({ask.body for ask in receiver.got}) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 404])
def test_what_cannot_help_is_not_tried_again_and_nobody_is_led_elsewhere(receiver: Receiver, status: int):
    receiver.answers = [status]
    with structlog.testing.capture_logs() as lines:
        told(Target(1, NotifyConfig(url=receiver.url), "h"), NEWS)
    assert len(receiver.got) == 1
    assert [(line["event"], line["why"]) for line in lines] == [(logs.NOTIFICATION_DROPPED, f"it answered {status}")]
    assert receiver.url not in str(lines)


def test_the_board_never_waits_for_a_target(receiver: Receiver):
    receiver.held.clear()
    board = boards.board(boards.calm())
    counted: list[Any] = []
    notifier = Notifier(
        [Target(1, NotifyConfig(url=receiver.url), "h", lambda *what: counted.append(what))], lambda: 9.0
    )
    follower = Follower(board, [notifier.changed])
    notifier.start()
    follower.start()
    for number in range(100):
        board.update(suspended=f"because {number}")
    assert counted == [], "whoever waits for a target waits until it has answered, or is given up"
    receiver.held.set()
    receiver.until(1)
    follower.close()
    notifier.close(PATIENCE)
    assert json.loads(receiver.got[-1].body)["text"] == "Everything is suspended: because 99"


def test_what_happened_right_before_the_end_is_still_told(receiver: Receiver):
    board = boards.board(boards.calm())
    notifier = Notifier([Target(1, NotifyConfig(url=receiver.url), "h")])
    follower = Follower(board, [notifier.changed])
    notifier.start()
    follower.start()
    board.update(refused=Refusal(boards.commit(SHA), (boards.REFUSED,), 1.0))
    follower.close()
    notifier.close(PATIENCE)
    assert [json.loads(ask.body)["event"] for ask in receiver.got] == ["commit-refused"]


def test_one_reader_that_fails_is_not_the_others_fault():
    board, seen = boards.board(), []

    def broken(*_: Any) -> None:
        raise ValueError("no")

    follower = Follower(board, [broken, lambda _, after: seen.append(after.cycle)])
    with structlog.testing.capture_logs() as lines:
        follower.start()
        board.update(cycle=77)
        follower.close()
    assert seen == [77] and lines[0]["event"] == logs.PROBLEM_FOUND


# (what the command does, what is said of it, whether it is worth another attempt)
COMMANDS: list[tuple[list[str], str, bool]] = [
    (["/nonexistent"], "cannot be started", False),
    (["/bin/sh", "-c", "exit 3"], "status 3", True),
    (["/bin/sh", "-c", "kill -9 $$"], "status -9", True),
    (["/bin/sh", "-c", "sleep 30 & sleep 30"], "did not end", True),
]


@pytest.mark.parametrize(("argv", "words", "again"), COMMANDS)
def test_commands_that_fail(argv: list[str], words: str, again: bool):
    began = time.monotonic()
    with pytest.raises(Undelivered, match=words) as caught:
        deliver.run(argv, b"{}", {"PATH": "/bin:/usr/bin"}, seconds=0.3)
    assert caught.value.again is again and time.monotonic() - began < 25, "the commands last 30 s"


def test_a_command_leaves_nothing_behind_and_need_not_read(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    deliver.run(["/bin/sh", "-c", f"exec > {pipe}; sleep 60 &"], b"x" * 200_000, {"PATH": "/bin:/usr/bin"})
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b"", "whoever held the other end is gone"
    os.close(reader)


def post(url: str, **more: Any) -> Callable[[], None]:
    return lambda: deliver.post(forge.Post(url, {}, b"{}"), **more)


def test_urls_that_cannot_be_had_say_so_without_the_url(receiver: Receiver):
    receiver.held.clear()
    cases = [
        (post("http://127.0.0.1:1/hook/SECRET"), True),
        (post("file:///etc/SECRET"), False),
        (post(receiver.url + "?SECRET", seconds=0.2), True),
    ]
    for attempt, again in cases:
        with pytest.raises(Undelivered) as caught:
            attempt()
        assert caught.value.again is again and "SECRET" not in str(caught.value)


# (kind, what people write, what the API is)
APIS = [
    ("github", "https://github.com/acme/fleet", "https://api.github.com/repos/acme/fleet"),
    ("github", "https://github.com/acme/fleet.git", "https://api.github.com/repos/acme/fleet"),
    ("github", "https://git.acme.example/acme/fleet/", "https://git.acme.example/api/v3/repos/acme/fleet"),
    ("github", "https://api.github.com/repos/acme/fleet", "https://api.github.com/repos/acme/fleet"),
    ("gitlab", "https://gitlab.com/acme/ops/fleet", "https://gitlab.com/api/v4/projects/acme%2Fops%2Ffleet"),
    ("gitlab", "https://gl.example/api/v4/projects/17", "https://gl.example/api/v4/projects/17"),
    ("gitea", "https://codeberg.org/acme/fleet", "https://codeberg.org/api/v1/repos/acme/fleet"),
    ("gitea", "https://example.org/git/acme/fleet", "https://example.org/git/api/v1/repos/acme/fleet"),
    ("gitea", "https://example.org/api/v1/repos/acme/fleet", "https://example.org/api/v1/repos/acme/fleet"),
]


@pytest.mark.parametrize(("kind", "url", "expected"), APIS)
def test_where_a_forge_is_told(kind: Any, url: str, expected: str):
    assert forge.api(kind, url) == expected


# (kind, event, the state it is told, the header that carries the token)
STATES = [
    ("github", "commit-pending", "pending", ("Authorization", "Bearer t0ken")),
    ("github", "commit-applied", "success", ("Authorization", "Bearer t0ken")),
    ("github", "commit-failed", "failure", ("Authorization", "Bearer t0ken")),
    ("github", "commit-refused", "error", ("Authorization", "Bearer t0ken")),
    ("gitlab", "approval-needed", "pending", ("PRIVATE-TOKEN", "t0ken")),
    ("gitlab", "commit-unchanged", "success", ("PRIVATE-TOKEN", "t0ken")),
    ("gitlab", "commit-failed", "failed", ("PRIVATE-TOKEN", "t0ken")),
    ("gitea", "commit-failed", "failure", ("Authorization", "token t0ken")),
]


@pytest.mark.parametrize(("kind", "event", "state", "header"), STATES)
def test_what_a_forge_is_told(kind: Any, event: Any, state: str, header: tuple[str, str]):
    long = replace(NEWS, event=event, text="x" * 500)
    request = forge.commit_status(
        kind, "https://forge.example/acme/fleet", "t0ken", long, "jails1", "https://s.example/"
    )
    assert request is not None and request.url.endswith(f"/statuses/{SHA}") and header in request.headers.items()
    body = json.loads(request.body)
    assert (body["state"], body["context"], body["target_url"]) == (state, "reconciler/jails1", "https://s.example/")
    assert len(body["description"]) == forge.WORDS
    assert "t0ken" not in request.url and b"t0ken" not in request.body


def test_a_forge_hears_of_commits_alone():
    for event in EVENTS:
        made = forge.commit_status("gitea", "https://forge.example/a/b", "t", replace(NEWS, event=event), "h")
        assert (made is not None) == (event in forge.STATES)
    assert forge.commit_status("gitea", "https://forge.example/a/b", "t", replace(NEWS, commit=""), "h") is None


def test_a_commits_state_reaches_the_forge(receiver: Receiver, secret: Path):
    url = receiver.url.removesuffix("/in") + "/in/api/v1/repos/acme/fleet"
    taken: list[Ask] = []
    receiver.server.close()
    routes = [Route("POST", f"/in/api/v1/repos/acme/fleet/statuses/{SHA}", lambda ask: taken.append(ask) or plain(201))]
    server = Server(Web(routes), url.split("/")[2])
    server.start()
    told(Target(1, NotifyConfig(url=url, kind="gitea", secret_file=str(secret)), "jails1"), NEWS)
    server.close()
    assert taken[0].headers["authorization"] == "token a secret for signing"
    assert json.loads(taken[0].body)["state"] == "failure"
