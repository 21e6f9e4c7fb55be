"""Who may act: whoever shows the token, in a header or by signing in. Reading needs nobody's leave.

A program sends `Authorization: Bearer TOKEN`. A browser signs in once and holds a cookie that no script reads
and no other site's form carries (HttpOnly, SameSite=Strict); every form of ours also carries a value made from
the session, and a request that says it comes from another site is refused. Sessions live in memory: a restart
ends them, and so does another token in the file.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from reconciler.agent.web import Ask

COOKIE = "reconciler_session"
LIFETIME = 12 * 3600.0
SESSIONS = 32
FAILURES = 10
"""Wrong tokens within a minute, from wherever, after which no more are looked at for the rest of it."""
TOKEN_LEAST = 16
"""Characters that a token must have at least; a shorter one opens nothing."""

Say = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to act. `csrf` is what a form must carry, "" for a program's; `who` is for the log."""

    who: str
    csrf: str = ""


class Gate:
    """Checks tokens and keeps sessions; threads share it."""

    def __init__(self, token: Say | None, now: Callable[[], float]) -> None:
        """`token` reads the token each time that it is asked for, so that a new one counts at once; None: nobody may.

        `now` is in seconds on a clock that never goes back.
        """
        self._token, self._now = token, now
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[float, str]] = {}
        self._wrong: list[float] = []
        self._key = secrets.token_bytes(32)

    @property
    def open(self) -> bool:
        """Whether anybody may act at all."""
        return self._token is not None

    def sign_in(self, token: str) -> str | None:
        """A new session's name; None when the token is wrong. "" when there were too many wrong ones lately."""
        if self._tired():
            return ""
        if not self._right(token):
            return None
        name = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._sessions) >= SESSIONS:
                del self._sessions[min(self._sessions, key=lambda one: self._sessions[one][0])]
            self._sessions[name] = (self._now() + LIFETIME, self._mark())
        return name

    def sign_out(self, ask: Ask) -> None:
        """End the session of whoever asks."""
        with self._lock:
            self._sessions.pop(ask.cookie(COOKIE), None)

    def session(self, ask: Ask) -> Pass | None:
        """The session that a browser shows, for pages that offer forms."""
        name = ask.cookie(COOKIE)
        with self._lock:
            until, mark = self._sessions.get(name, (0.0, ""))
            if name and until <= self._now():
                self._sessions.pop(name, None)
        if not name or until <= self._now() or not hmac.compare_digest(mark, self._mark()):
            return None
        return Pass("page", hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest())

    def refusal(self, ask: Ask) -> tuple[int, str]:
        """Why whoever asks may not act: an HTTP status with words; (0, "") when they may."""
        if self._token is None:
            return 403, "Acting is switched off: see `web.actions` and `web.token_file`."
        if "authorization" in ask.headers:
            return self._bearer(ask.headers["authorization"])
        session = self.session(ask)
        if session is None:
            return 401, "Sign in, or send the token."
        if not from_here(ask) or not hmac.compare_digest(ask.form().get("csrf", "").encode(), session.csrf.encode()):
            return 403, "This form does not come from a page of ours. Load the page again."
        return 0, ""

    def _bearer(self, header: str) -> tuple[int, str]:
        kind, _, token = header.partition(" ")
        if self._tired():
            return 429, "Too many wrong tokens; wait a minute."
        if kind.lower() != "bearer" or not self._right(token.strip()):
            return 401, "The token is wrong."
        return 0, ""

    def _right(self, token: str) -> bool:
        right = self._read()
        same = hmac.compare_digest(
            hashlib.sha256(token.encode("utf-8", "replace")).digest(), hashlib.sha256(right).digest()
        )
        if not same or len(right) < TOKEN_LEAST:
            with self._lock:
                self._wrong.append(self._now())
            return False
        return True

    def _tired(self) -> bool:
        with self._lock:
            self._wrong = [at for at in self._wrong[-FAILURES:] if at > self._now() - 60.0]
            return len(self._wrong) >= FAILURES

    def _read(self) -> bytes:
        return self._token() if self._token is not None else b""

    def _mark(self) -> str:
        """What the token was when a session began, so that another one ends it."""
        return hmac.new(self._key, self._read(), hashlib.sha256).hexdigest()


def from_here(ask: Ask) -> bool:
    """Whether a browser sent this from a page of ours, by what it says of itself; programs say nothing."""
    if ask.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = ask.headers.get("origin", "")
    return not origin or urlsplit(origin).netloc.lower() == ask.headers.get("host", "").lower()
