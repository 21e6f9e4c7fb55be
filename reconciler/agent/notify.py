"""Tells others what happened: one thread reads the board, one for each target sends. The loop waits for none."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from reconciler.agent import deliver, forge, logs
from reconciler.agent.board import Board, Status
from reconciler.agent.config import NotifyConfig
from reconciler.agent.deliver import Undelivered, read_secret
from reconciler.agent.held import Held
from reconciler.agent.news import News, documented, news, reached_by
from reconciler.agent.outbox import Message, Outbox

Result = Literal["sent", "failed", "dropped"]
Count = Callable[[int, str], None]
_TICK = 1.0
_KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "TZ")
_MARKS = {"info": ":white_check_mark:", "warning": ":warning:", "error": ":x:"}


class Target:
    """One place that news go to, with a thread of its own."""

    def __init__(
        self,
        number: int,
        config: NotifyConfig,
        host: str,
        count: Count = lambda *_: None,
        *,
        page: str = "",
        held: Held | None = None,
    ) -> None:
        """Number it from 1, as it stands in the configuration; `page` is the status page's URL for others.

        What is not sent yet, and what was said, is held in `held` over restarts.
        """
        self._number, self._config, self._host, self._page = number, config, host, page
        self._count = count
        self._secret = read_secret(config.secret_file) if config.secret_file else bytes
        # No secret depends on how attempts are spread.
        self._box = Outbox(random.random)
        self._held = held.box(config) if held is not None else None
        if self._held is not None:
            self._held.restore(self._box, time.monotonic())
        self._change = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"notify-{number}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def put(self, one: News, at: float) -> None:
        """Take news, unless this target is not told such."""
        wanted = self._config.events
        if (wanted and one.event not in wanted) or (self._config.kind in forge.KINDS and one.event not in forge.STATES):
            return
        with self._change:
            dropped = self._box.put(Message(one.subject, f"{one.event} {one.text}", (one, at)), time.monotonic())
            self._keep()
            self._change.notify_all()
        if dropped is not None:
            self._tell("dropped", dropped.body[0], "too much waits")

    def close(self, timeout: float) -> None:
        """Send what waits, for at most `timeout` seconds; an attempt that is under way is not cut off before."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(timeout)

    def _work(self) -> None:
        while (message := self._next()) is not None:
            problem = self._attempt(message.body[0], message.body[1])
            now = time.monotonic()
            with self._change:
                if problem is None:
                    self._box.sent(message, now)
                    kept = False
                else:
                    kept = self._box.failed(message, now, again=problem.again)
                self._keep()
            result: Result = "sent" if problem is None else "failed" if kept else "dropped"
            self._tell(result, message.body[0], "" if problem is None else str(problem))

    def _keep(self) -> None:
        if self._held is not None:
            self._held.keep(self._box, time.monotonic())

    def _next(self) -> Message | None:
        """The next message as soon as it is due; None when nothing more will be sent."""
        with self._change:
            while True:
                message, wait = self._box.due(time.monotonic())
                if message is not None:
                    return message
                if self._closing:
                    return None
                self._change.wait(min(wait, 3600.0))

    def _attempt(self, one: News, at: float) -> Undelivered | None:
        try:
            self._send(one, at)
        except Undelivered as problem:
            return problem
        except Exception as error:  # a mistake of ours must not silence the target for good
            return Undelivered(f"it could not be sent ({type(error).__name__})", again=False)
        return None

    def _send(self, one: News, at: float) -> None:
        config, document = self._config, documented(one, self._host, at)
        if config.command:
            environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
            deliver.run(config.command, json.dumps(document).encode(), environ)
            return
        url = config.url or ""
        if config.kind in forge.KINDS:
            token = self._secret().decode("utf-8", "replace")
            request = forge.commit_status(cast(forge.Kind, config.kind), url, token, one, self._host, self._page)
            if request is not None:
                deliver.post(request)
        elif config.kind == "slack":
            deliver.post(deliver.signed(url, json.dumps(slack(one, self._host)).encode(), b""))
        else:
            deliver.post(deliver.signed(url, json.dumps(document).encode(), self._secret()))

    def _tell(self, result: Result, one: News, words: str) -> None:
        self._count(self._number, result)
        facts: dict[str, Any] = {"target": self._number, "news": one.event, "subject": one.subject}
        match result:
            case "sent":
                logs.log.debug(logs.NOTIFICATION_SENT, **facts)
            case "failed":
                logs.log.warning(logs.NOTIFICATION_FAILED, why=words, **facts)
            case "dropped":
                logs.log.error(logs.NOTIFICATION_DROPPED, why=words, **facts)


def slack(one: News, host: str) -> Mapping[str, str]:
    """The message as Slack, Mattermost and others like them take it."""
    # Their three characters that begin markup (Slack, "Formatting text for app surfaces").
    text = one.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    subject = str(one.facts.get("subject", ""))
    author = str(one.facts.get("author", ""))
    more = f" — {subject} ({author})" if subject else ""
    more = more.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": f"{_MARKS[one.level]} {host}: {text}{more}"}


@dataclass
class Follower:
    """Calls back with the board before and after each change, from a thread of its own, until it is closed."""

    board: Board
    calls: Sequence[Callable[[Status, Status], None]]
    _closing: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with the board as it is now."""
        version, status = self.board.wait(-1, 0.0)
        self._thread = threading.Thread(target=self._work, args=(version, status), name="follow", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Look once more, and end."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _work(self, version: int, before: Status) -> None:
        while True:
            last = self._closing.is_set()
            latest, after = self.board.wait(version, 0.0 if last else _TICK)
            if latest != version:
                for call in self.calls:
                    try:
                        call(before, after)
                    except Exception as error:  # one reader's mistake is not the others'
                        logs.log.error(logs.PROBLEM_FOUND, exc_info=error)
                version, before = latest, after
            if last:
                return


class Notifier:
    """All targets."""

    def __init__(
        self, targets: Sequence[Target], now: Callable[[], float] = time.time, held: Held | None = None
    ) -> None:
        """`now` is in seconds since 1970; `held` is where targets and this keep what a restart must not forget."""
        self._targets, self._now, self._held = tuple(targets), now, held
        self._reached = held.reached() if held is not None else ""

    def start(self) -> None:
        """Begin to send."""
        for target in self._targets:
            target.start()

    def changed(self, before: Status, after: Status) -> None:
        """Tell what is new, for a `Follower`."""
        at = self._now()
        for one in news(before, after, self._reached):
            for target in self._targets:
                target.put(one, at)
        reached = reached_by(after.cycles)
        if reached and reached != self._reached:
            self._reached = reached
            if self._held is not None:
                self._held.reach(reached)

    def close(self, timeout: float = 5.0) -> None:
        """Send what waits, for at most `timeout` seconds in all."""
        until = time.monotonic() + timeout
        for target in self._targets:
            target.close(max(0.0, until - time.monotonic()))
