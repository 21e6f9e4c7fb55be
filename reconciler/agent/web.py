"""What every request meets before a page does: which host it asked for, which path, how large it is.

A `Web` is a WSGI application (PEP 3333), so that the server around it can be replaced and tests need no
socket. Routes are values; the pages, the metrics and the webhook receiver each bring their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from reconciler.agent import logs

BODY_LIMIT = 1 << 20
"""Bytes of a request's body; forges sign the whole, so the whole must be had before anything is believed."""
QUERY_LIMIT = 2048
FIELDS = 32

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
GUARDS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # Not no-referrer: with that, browsers say "Origin: null" of our own forms (Fetch, 3.1).
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)
"""Sent with every answer, errors included."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::(\d{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. Header names are lower case; `gone` says whether the client hung up meanwhile."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = ""
    gone: Callable[[], bool] = lambda: False

    def form(self) -> Mapping[str, str]:
        """The fields of a posted form; empty for any other body."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return {}
        return _fields(self.body.decode("utf-8", "replace"))

    def cookie(self, name: str) -> str:
        """A cookie's value, or "". The first of several of one name counts (RFC 6265, 5.4)."""
        for part in self.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back. A body that is not bytes is sent piece by piece, as it comes."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    kind: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Ask], Answer]
Count = Callable[[str, int], None]
"""Called with a route's name and the status that was answered."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way in. A `path` that ends in a slash stands for everything directly below it; `name` is for metrics."""

    method: str
    path: str
    handler: Handler
    name: str = ""

    def fits(self, path: str) -> bool:
        """Whether this is the way to `path`."""
        if self.path.endswith("/") and self.path != "/":
            rest = path.removeprefix(self.path)
            return rest not in ("", path) and "/" not in rest
        return path == self.path


def plain(status: int, words: str = "", *headers: tuple[str, str]) -> Answer:
    """An answer in one line of text."""
    return Answer(status, f"{words or HTTPStatus(status).phrase}\n".encode(), headers=headers)


def redirect(to: str, *headers: tuple[str, str]) -> Answer:
    """See other (RFC 9110, 15.4.4): what follows a form, so that going back does not send it again."""
    return plain(303, "", ("Location", to), *headers)


class Web:
    """The application: checks a request, finds its route, and dresses the answer."""

    def __init__(self, routes: Sequence[Route], hosts: Iterable[str] = (), count: Count = lambda *_: None) -> None:
        """Answer for `hosts` beside loopback; names of others are refused, whoever they resolve to."""
        self._routes = tuple(routes)
        self._hosts = _LOOPBACK | {host.lower() for host in hosts}
        self._count = count

    def answer(self, ask: Ask) -> Answer:
        """Answer one request. Raises what a handler raises."""
        if not self._known(ask.headers.get("host", "")):
            return self._told(
                "refused",
                plain(
                    421, "This is not the host that you asked for. (Its names stand in web.hosts of its configuration.)"
                ),
            )
        there = [route for route in self._routes if route.fits(ask.path)]
        wanted = "GET" if ask.method == "HEAD" else ask.method
        for route in there:
            if route.method == wanted:
                return self._told(route.name or route.path, route.handler(ask))
        if there:
            allowed = sorted({route.method for route in there} | {"HEAD" for route in there if route.method == "GET"})
            return self._told("refused", plain(405, "", ("Allow", ", ".join(allowed))))
        return self._told("unknown", plain(404, "There is nothing here."))

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Speak WSGI."""
        ask = _read(environ)
        answer = self._safe(ask) if isinstance(ask, Ask) else self._told("refused", ask)
        body = answer.body
        headers = [("Content-Type", answer.kind), *GUARDS, *answer.headers]
        if not any(name.lower() == "cache-control" for name, _ in answer.headers):
            headers.append(("Cache-Control", "no-store"))
        if isinstance(body, bytes):
            headers.append(("Content-Length", str(len(body))))
        start(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        if environ["REQUEST_METHOD"] == "HEAD":
            close = getattr(body, "close", None)
            if close is not None:
                close()
            return []
        return [body] if isinstance(body, bytes) else body

    def _safe(self, ask: Ask) -> Answer:
        """The answer; a mistake of ours is logged, and told without what it was about."""
        try:
            return self.answer(ask)
        except Exception as error:  # the outermost edge of a request
            logs.log.error(logs.PROBLEM_FOUND, route=ask.path[:100], exc_info=error)
            return self._told("error", plain(500, "This is a mistake in reconcile itself; its log says more."))

    def _known(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        return match is not None and match[1].lower() in self._hosts

    def _told(self, name: str, answer: Answer) -> Answer:
        self._count(name, answer.status)
        return answer


def _read(environ: Mapping[str, Any]) -> Ask | Answer:
    """The request as a value, or why it is not taken."""
    headers = {k[5:].replace("_", "-").lower(): v for k, v in environ.items() if k.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > BODY_LIMIT:
        return plain(413)
    query = environ.get("QUERY_STRING", "")
    if len(query) > QUERY_LIMIT:
        return plain(414)
    body = environ["wsgi.input"].read(int(length)) if int(length) else b""
    return Ask(
        environ["REQUEST_METHOD"],
        # WSGI hands over octets as Latin-1 (PEP 3333); what is not UTF-8 is in no path of ours.
        environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace"),
        _fields(query),
        headers,
        body,
        environ.get("REMOTE_ADDR", ""),
        environ.get("waitress.client_disconnected", lambda: False),
    )


def _fields(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        return {}
    return dict(reversed(pairs))
