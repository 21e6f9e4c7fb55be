"""Everything that shows what the agent does, put together as a configuration has it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import structlog

from reconciler.agent import calendar, logs
from reconciler.agent.board import Jail
from reconciler.agent.config import AgentConfig
from reconciler.agent.eyes import eyes, site
from reconciler.agent.metrics import Metrics
from reconciler.agent.narrate import narrate
from reconciler.agent.run import Beside
from reconciler.agent.wake import Wake
from reconciler.agent.web import Ask, Web
from reconciler.agent.web_act import Acts
from reconciler.agent.web_live import Live
from reconciler.cli.agent_eyes import Reading
from reconciler.journal import Journal, open_journal
from reconciler.releases.tag import SignedTag, Tag
from tests.agent import boards
from tests.waiting import PATIENCE, until

TOKEN, SECRET = "correct horse battery staple", "a secret that signs"
LISTEN = {"listen": "127.0.0.1:0"}
ACTS = Acts(lambda: None, lambda _: None, lambda *_: None, lambda _: None, lambda _: {})


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A token and a secret."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return {"token": str(tmp_path / "token"), "secret": str(tmp_path / "secret")}


def beside(**config: Any) -> Beside:
    """What a part is given."""
    made = AgentConfig.model_validate({"sources": [{"path": "/srv/specs"}], **config})
    return Beside(made, boards.board(), Wake(), threading.Event())


def served(given: Beside) -> tuple[Web, Metrics]:
    """All routes, without a socket."""
    metrics = Metrics(given.board)
    return site(given, boards.records(), ACTS, metrics, Live(given.board)), metrics


def ask(web: Web, method: str = "GET", path: str = "/", body: bytes = b"", **headers: str) -> int:
    """The status of an answer."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.answer(Ask(method, path, {}, {"host": "localhost", **given}, body)).status


def test_a_webhook_that_is_signed_makes_the_agent_look_and_no_other(files: Any):
    given = beside(webhook={"kind": "github", "secret_file": files["secret"]}, web=LISTEN)
    web, metrics = served(given)
    body = b'{"ref": "refs/heads/main"}'
    right = f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"
    with structlog.testing.capture_logs() as lines:
        assert ask(web, "POST", "/webhook", body, x_hub_signature_256=right.replace("a", "b")) == 401
        assert ask(web, "POST", "/webhook", body) == 401
        assert given.wake.wait(0) == ()
        assert ask(web, "POST", "/webhook", body, x_hub_signature_256=right) == 202
    assert given.wake.wait(0) == ("webhook",)
    assert [line["event"] for line in lines] == [logs.WEBHOOK_REFUSED, logs.WEBHOOK_REFUSED, logs.WEBHOOK_ACCEPTED]
    assert SECRET not in str(lines) and right not in str(lines)
    text = metrics.text().decode()
    assert 'reconciler_webhooks_total{outcome="refused"} 2.0' in text and '{outcome="accepted"} 1.0' in text
    assert ask(web, "GET", "/webhook") == 405


def test_without_a_secret_there_is_no_webhook_and_an_empty_one_is_never_right(tmp_path: Path):
    assert ask(served(beside())[0], "POST", "/webhook") == 404
    (tmp_path / "empty").write_text("\n")
    for file in (tmp_path / "empty", tmp_path / "missing"):
        given = beside(webhook={"kind": "gitlab", "secret_file": str(file)}, web=LISTEN)
        assert ask(served(given)[0], "POST", "/webhook", b"", x_gitlab_token="") == 401
        assert given.wake.wait(0) == ()


def test_nothing_acts_unless_it_is_switched_on(files: Any):
    assert ask(served(beside())[0], "POST", "/act/sync", authorization=f"Bearer {TOKEN}") == 404
    private = beside(web={"token_file": files["token"], "private": True})
    assert ask(served(private)[0], "POST", "/act/sync", authorization=f"Bearer {TOKEN}") == 404
    on = beside(web={"token_file": files["token"], "actions": True})
    assert ask(served(on)[0], "POST", "/act/sync") == 401
    assert ask(served(on)[0], "POST", "/act/sync", authorization=f"Bearer {TOKEN}") == 303


def test_a_private_page_is_read_only_with_the_token(files: Any):
    web, _ = served(beside(web={"token_file": files["token"], "private": True}))
    for path in (
        "/",
        "/jails/web",
        "/runs",
        "/runs/12",
        f"/commits/{boards.GOOD}",
        "/status.json",
        "/live",
        "/metrics",
    ):
        assert ask(web, path=path) == 401, path
        assert ask(web, path=path, accept="text/html") == 303, path
        assert ask(web, path=path, authorization="Bearer wrong") == 401, path
    for path in ("/", "/metrics", "/status.json"):
        assert ask(web, path=path, authorization=f"Bearer {TOKEN}") == 200, path
    for path in ("/login", "/static/page.css", "/healthz"):
        assert ask(web, path=path) == 200, path


def test_it_answers_to_the_names_that_are_configured():
    web, _ = served(beside(web={"listen": "192.0.2.7:80", "hosts": ["proxy.example"], "url": "https://s.example/x"}))
    for host, status in (("192.0.2.7", 200), ("proxy.example:443", 200), ("s.example", 200), ("evil.example", 421)):
        assert ask(web, host=host) == status


@contextmanager
def watching(given: Beside) -> Iterator[tuple[str, int]]:
    """The part over a real socket; answers where."""
    with structlog.testing.capture_logs() as lines, eyes(given, boards.records(), ACTS):
        address = next(line["address"] for line in lines if line["event"] == logs.WEB_LISTENING)
        host, _, port = address.rpartition(":")
        yield host, int(port)


def test_all_of_it_over_a_socket_and_nothing_is_left(tmp_path: Path):
    out = tmp_path / "news"
    given = beside(
        web={"listen": "127.0.0.1:0"},
        notify=[{"command": ["/bin/sh", "-c", f"cat >> {out}"], "events": ["suspended"]}],
    )
    before = threading.active_count()
    with watching(given) as address, closing(HTTPConnection(*address, timeout=PATIENCE)) as connection:
        for path in ("/", "/metrics", "/healthz", "/status.json"):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (answer.status, len(answer.read()) > 0) == (200, True), path
        given.board.update(suspended="ada: maintenance")
        until(lambda: out.exists() and out.read_text().endswith("}"))
    assert json.loads(out.read_text())["text"] == "Everything is suspended: ada: maintenance"
    until(lambda: threading.active_count() <= before, threading.enumerate)


def test_without_an_address_nothing_listens_and_news_are_sent_all_the_same():
    with structlog.testing.capture_logs() as lines, eyes(beside(), boards.records(), ACTS):
        pass
    assert [line["event"] for line in lines] == [logs.AGENT_STARTED, logs.AGENT_STOPPED]


# (what is configured, what is said of it)
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"webhook": {"secret_file": "/s"}}, "web: {listen"),
    ({"web": {"actions": True}}, "token_file"),
    ({"web": {"private": True}}, "token_file"),
    ({"web": {"hosts": ["a b"]}}, "a host's name"),
    ({"web": {"url": "https://user:pw@x/"}}, "a URL of http"),
    ({"notify": [{"url": "ftp://x/"}]}, "a URL of http"),
    ({"notify": [{"url": "https://u:p@x/"}]}, "without a password"),
    ({"notify": [{"command": ["x"], "kind": "slack"}]}, "expected `url`"),
    ({"notify": [{"url": "https://github.com/a/b", "kind": "github"}]}, "with a token"),
    ({"notify": [{"url": "https://x/", "events": ["jail-exploded"]}]}, "jail-stalled"),
]


@pytest.mark.parametrize(("config", "words"), WRONG)
def test_what_cannot_work_is_refused_when_the_configuration_is_read(config: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=re.escape(words)):
        beside(**config)


def test_secrets_that_cannot_be_used_are_named_at_the_start(tmp_path: Path, files: Any):
    (tmp_path / "short").write_text("abc\n")
    given = beside(
        web={**LISTEN, "token_file": str(tmp_path / "short"), "actions": True},
        webhook={"secret_file": str(tmp_path / "missing")},
        notify=[{"url": "http://127.0.0.1:1/", "secret_file": files["secret"]}],
    )
    with structlog.testing.capture_logs() as lines, eyes(given, boards.records(), ACTS):
        pass
    named = [line["file"].rpartition("/")[2] for line in lines if line.get("code") == "secret-unusable"]
    assert named == ["short", "missing"]


def test_the_log_tells_what_changed():
    calm = replace(boards.calm(), cycles=(), plan=None, jails=())
    with structlog.testing.capture_logs() as lines:
        narrate(calm, boards.busy())
        narrate(boards.busy(), boards.busy())
    told = [(line["log_level"], line["event"]) for line in lines]
    assert told == [
        ("error", logs.COMMIT_REFUSED),
        ("info", logs.PLAN_MADE),
        ("info", logs.CYCLE_ENDED),
        ("debug", logs.CYCLE_ENDED),
        ("warning", logs.CYCLE_ENDED),
        ("error", logs.PROBLEM_FOUND),
        ("warning", logs.JAIL_CHANGED),
        ("warning", logs.JAIL_CHANGED),
        ("info", logs.JAIL_CHANGED),
        ("info", logs.JAIL_CHANGED),
        ("info", logs.JAIL_CHANGED),
    ]
    assert lines[0]["place"] == "specs/web.yaml:16:11" and lines[4]["steps_failed"] == 1


def tag(release: str, level: int) -> SignedTag:
    """A tag as if it had been verified."""
    return SignedTag(Tag("amd64", release, level, "0" * 64, 1806451200), b"", b"", "2026-11-01")


def test_releases_are_held_against_the_calendar_and_the_newest_level():
    used = [
        ("a", "15.1-RELEASE-p1"),
        ("b", "15.1-RELEASE latest"),
        ("c", "13.5-RELEASE"),
        ("d", "99.9-RELEASE"),
        ("e", ""),
    ]
    jails = [Jail(name, "running", "running", "Ready", release=release) for name, release in used]
    known = {"15.1-RELEASE": tag("15.1-RELEASE", 4)}
    old, unknown, good = calendar.releases(jails, date(2026, 11, 22), known.get)
    assert (old.name, old.state, old.until, old.jails) == ("13.5-RELEASE", "eol", "2026-04-30", ("c",))
    assert (unknown.name, unknown.state, unknown.until) == ("99.9-RELEASE", "unknown", "")
    assert (good.name, good.state, good.newest, good.behind, good.jails) == (
        "15.1-RELEASE",
        "supported",
        "p4",
        ("a",),
        ("a", "b"),
    )


def test_the_page_reads_the_journal_that_is_there_by_now(tmp_path: Path):
    path, ticks, said = tmp_path / "journal.db", [0.0], []

    def opened() -> Journal:
        return open_journal(path, said.append, now=lambda: 0.0)

    def note(what: str) -> None:
        journal = opened()
        journal.begin_run("", what, "local", "")
        journal.close()

    note("first")
    reading = Reading(opened, path, lambda: ticks[0])
    assert [run.command for run in reading.history(5, None)] == ["first"]
    path.unlink()  # somebody made room; a run began another
    note("second")
    ticks[0] += 60
    assert [run.command for run in reading.history(5, None)] == ["second"]
    path.write_bytes(b"SQLite format 3\0 but no more")
    ticks[0] += 60
    assert reading.history(5, None) == ()
    note("third")
    ticks[0] += 60
    assert [run.command for run in reading.history(5, None)] == ["third"]
    reading.close()  # as after an error: nothing can be read through it any more
    assert reading.history(5, None) == ()
    ticks[0] += 60
    assert [run.command for run in reading.history(5, None)] == ["third"]
    reading.close()
    assert {problem.code for problem in said} == {"journal-damaged"}
