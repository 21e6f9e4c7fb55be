"""The agent's log, and the one door to structlog: what happened, in the past tense, with facts beside it.

JSON, one object to a line, for machines; lines with colours for people on a terminal. What a secret could stand
in is masked on the way out, whoever wrote the line; texts of others cannot move a terminal's cursor.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Literal, TextIO

from reconciler.url import redact

# structlog takes rich for tracebacks in colour where it is there, as typer has it: 3 MB that nothing here uses.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    if _rich is not None:
        sys.modules["rich"] = _rich
    else:
        del sys.modules["rich"]

AGENT_STARTED = "agent.started"
AGENT_STOPPED = "agent.stopped"
APPROVAL_GIVEN = "approval.given"
COMMIT_REFUSED = "commit.refused"
CONFIG_RELOADED = "config.reloaded"
CYCLE_BEGAN = "cycle.began"
CYCLE_ENDED = "cycle.ended"
GIT_FETCHED = "git.fetched"
GIT_MOVED = "git.moved"
JAIL_CHANGED = "jail.changed"
LIBRARY_SAID = "library.said"
NOTIFICATION_DROPPED = "notification.dropped"
NOTIFICATION_FAILED = "notification.failed"
NOTIFICATION_SENT = "notification.sent"
PLAN_MADE = "plan.made"
PROBLEM_FOUND = "problem.found"
RELEASE_EXAMINED = "release.examined"
STEP_APPLIED = "step.applied"
STEP_BLOCKED = "step.blocked"
STEP_FAILED = "step.failed"
WEB_ACTED = "web.acted"
WEB_LISTENING = "web.listening"
WEB_LOGIN_FAILED = "web.login-failed"
WEBHOOK_ACCEPTED = "webhook.accepted"
WEBHOOK_REFUSED = "webhook.refused"

Format = Literal["auto", "json", "console"]
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
TEXT_LIMIT = 4096
"""Characters of one fact; a step's whole output belongs to the journal."""

_MASK = "***"
_NAMES = frozenset({"authorization", "cookie", "password", "passwd", "secret", "token"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class _Concealed:
    """What is masked, the longest first, so that a value inside another does not leave the other's rest."""

    lock = threading.Lock()
    values: tuple[str, ...] = ()


log: Any = structlog.get_logger()
"""`log.info(CYCLE_ENDED, commit=..., seconds=...)`; until `configure` is called, what structlog does by itself."""


def configure(form: Format = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Log to `stream` (standard error) from now on, in `form`, what is at least as grave as `level`.

    auto means lines for people where the stream is a terminal, JSON elsewhere. A stream that cannot be written
    (a full disk, a pager that was left) loses lines and stops nothing.
    """
    out = sys.stderr if stream is None else stream
    people = form == "console" or (form == "auto" and out.isatty())
    last = [structlog.dev.ConsoleRenderer(colors=out.isatty())] if people else [_json()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _errors,
            _masked,
            *([_visible] if people else []),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Lines(out),
        cache_logger_on_first_use=False,
    )
    _adopt_stdlib()


def conceal(values: Iterable[str]) -> None:
    """Mask these values in whatever is logged from now on; very short ones hide nothing and are left."""
    with _Concealed.lock:
        known = {*_Concealed.values, *(line for value in values for line in (value, *value.splitlines()))}
        _Concealed.values = tuple(sorted((v for v in known if len(v) >= 4), key=len, reverse=True))


class _Lines:
    """Where lines go; one at a time, and never an error."""

    _lock = threading.Lock()

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, message: str) -> None:
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(f"{message}\n")
            self._stream.flush()

    log = debug = info = warning = error = critical = exception = msg


def _json() -> Any:
    return structlog.processors.JSONRenderer(sort_keys=False, default=str, ensure_ascii=False)


def _errors(_logger: Any, _name: str, event: Any) -> Any:
    """An exception as its type and words: a traceback belongs to RECONCILER_DEBUG."""
    problem = event.pop("exc_info", None)
    if problem is True:
        problem = sys.exc_info()[1]
    if isinstance(problem, BaseException):
        event["error"] = f"{type(problem).__name__}: {problem}"
    return event


def _masked(_logger: Any, _name: str, event: Any) -> Any:
    return {key: _MASK if key.lower() in _NAMES else _mask(value) for key, value in event.items()}


def _mask(value: Any, depth: int = 4) -> Any:
    if isinstance(value, str):
        for secret in _Concealed.values:
            value = value.replace(secret, _MASK)
        value = redact(value) if "://" in value else value
        return value if len(value) <= TEXT_LIMIT else f"...{value[-TEXT_LIMIT:]}"
    if depth and isinstance(value, Mapping):
        return {
            _mask(key, 0): _MASK if str(key).lower() in _NAMES else _mask(one, depth - 1) for key, one in value.items()
        }
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_mask(one, depth - 1) for one in value]
    if isinstance(value, bool | int | float | None):
        return value
    return _mask(str(value))


def _visible(_logger: Any, _name: str, event: Any) -> Any:
    return {key: _escaped(value) if isinstance(value, str) else _escaped(str(value)) for key, value in event.items()}


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


class _Bridge(logging.Handler):
    """What libraries say through the standard library's logging."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            say = log.error if record.levelno >= logging.ERROR else log.warning
            error = record.exc_info[1] if record.exc_info else None
            say(LIBRARY_SAID, library=record.name, said=record.getMessage(), **({"exc_info": error} if error else {}))


def _adopt_stdlib() -> None:
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Bridge)]
    root.addHandler(_Bridge(level=logging.WARNING))
