"""The guards before every page, without a socket."""

from __future__ import annotations

import io
from typing import Any

import pytest
import structlog

from reconciler.agent import logs
from reconciler.agent.web import BODY_LIMIT, GUARDS, Answer, Ask, Route, Web, plain

ROUTES = (
    Route("GET", "/", lambda _: plain(200, "home")),
    Route("GET", "/jails/", lambda ask: plain(200, ask.path)),
    Route("POST", "/act", lambda ask: plain(200, repr(dict(ask.form())))),
    Route("GET", "/live", lambda _: Answer(200, iter([b"a", b"b"]), "text/event-stream")),
)


def call(web: Web, method: str = "GET", path: str = "/", **environ: Any) -> tuple[str, dict[str, str], bytes]:
    """Status, headers and body of one request through the WSGI door."""
    told: list[Any] = []
    body = environ.pop("body", b"")
    given = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "HTTP_HOST": "localhost:9470",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **environ,
    }
    pieces = web(given, lambda status, headers: told.extend((status, headers)))
    return told[0], dict(told[1]), b"".join(pieces)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", "200 OK"),
        ("LOCALHOST:9470", "200 OK"),
        ("127.0.0.1:9470", "200 OK"),
        ("[::1]:9470", "200 OK"),
        ("jails1.example.org", "200 OK"),
        ("evil.example", "421 Misdirected Request"),
        ("localhost.evil.example", "421 Misdirected Request"),
        ("localhost:9470, evil.example", "421 Misdirected Request"),
        ("", "421 Misdirected Request"),
    ],
)
def test_a_name_that_is_not_ours_is_refused_wherever_it_resolves_to(host: str, status: str):
    assert call(Web(ROUTES, ["Jails1.example.org"]), HTTP_HOST=host)[0] == status


def test_every_answer_carries_the_guards_errors_included():
    web = Web(ROUTES)
    for path, host in (("/", "localhost"), ("/nothing", "localhost"), ("/act", "localhost"), ("/", "evil.example")):
        headers = call(web, path=path, HTTP_HOST=host)[1]
        assert set(GUARDS) <= set(headers.items())
        assert headers["Cache-Control"] == "no-store"
        assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/jails/web", "200 OK"),
        ("GET", "/jails/", "404 Not Found"),
        ("GET", "/jails", "404 Not Found"),
        ("GET", "/jails/web/etc", "404 Not Found"),
        ("GET", "//", "404 Not Found"),
        ("POST", "/", "405 Method Not Allowed"),
        ("GET", "/act", "405 Method Not Allowed"),
        ("TRACE", "/", "405 Method Not Allowed"),
        ("GET", "/\xff", "404 Not Found"),
    ],
)
def test_paths(method: str, path: str, status: str):
    assert call(Web(ROUTES), method, path)[0] == status


def test_a_mistake_of_ours_is_logged_and_its_words_stay_inside():
    def wrong(_: Ask) -> Answer:
        raise ValueError("the inside of things")

    seen: list[tuple[str, int]] = []
    web = Web([Route("GET", "/wrong", wrong)], count=lambda name, status: seen.append((name, status)))
    with structlog.testing.capture_logs() as lines:
        status, headers, body = call(web, path="/wrong")
    assert status.startswith("500") and b"inside" not in body and set(GUARDS) <= set(headers.items())
    assert lines[0]["event"] == logs.PROBLEM_FOUND and seen == [("error", 500)]


def test_head_has_the_headers_and_no_body():
    status, headers, body = call(Web(ROUTES), "HEAD")
    assert (status, headers["Content-Length"], body) == ("200 OK", "5", b"")
    assert call(Web(ROUTES), "HEAD", "/live")[2] == b""


def test_what_is_too_large_is_not_read():
    web = Web(ROUTES)
    assert call(web, "POST", "/act", CONTENT_LENGTH=str(BODY_LIMIT + 1))[0].startswith("413")
    assert call(web, "POST", "/act", CONTENT_LENGTH="-1")[0].startswith("413")
    assert call(web, QUERY_STRING="a" * 3000)[0].startswith("414")


def test_forms_and_cookies():
    body = b"jail=web&jail=db&token=a+b&x="
    kind = "application/x-www-form-urlencoded"
    web = Web(ROUTES)
    assert call(web, "POST", "/act", body=body, CONTENT_TYPE=kind)[2] == b"{'x': '', 'token': 'a b', 'jail': 'web'}\n"
    assert call(web, "POST", "/act", body=body, CONTENT_TYPE="application/json")[2] == b"{}\n"
    many = b"&".join(b"a%d=1" % n for n in range(100))
    assert call(web, "POST", "/act", body=many, CONTENT_TYPE=kind)[2] == b"{}\n"
    ask = Ask("GET", "/", headers={"cookie": "a=1; session=x=y; session=other"})
    assert (ask.cookie("session"), ask.cookie("none")) == ("x=y", "")


def test_requests_are_counted_by_route_and_never_by_path():
    seen: list[tuple[str, int]] = []
    web = Web(ROUTES, count=lambda name, status: seen.append((name, status)))
    for path in ("/", "/jails/a", "/jails/b", "/etc/passwd"):
        call(web, path=path)
    call(web, HTTP_HOST="evil.example")
    call(web, "PUT")
    assert seen == [
        ("/", 200),
        ("/jails/", 200),
        ("/jails/", 200),
        ("unknown", 404),
        ("refused", 421),
        ("refused", 405),
    ]
