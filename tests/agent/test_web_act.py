"""Acting: only with the token, never from another site, and never by a link."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from reconciler.agent.page import Pages
from reconciler.agent.web import Answer, Ask, Web
from reconciler.agent.web_act import Acting, Acts
from reconciler.agent.web_gate import COOKIE, FAILURES, LIFETIME, SESSIONS, Gate
from reconciler.model.diagnostic import Diagnostic, Refused
from tests.agent import boards

TOKEN = "correct horse battery staple"
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Site:
    """A page that may act, with what was asked of the agent."""

    def __init__(self, *, on: bool = True) -> None:
        self.token, self.clock = TOKEN.encode(), 1000.0
        self.asked: list[Any] = []
        gate = Gate((lambda: self.token) if on else None, lambda: self.clock)
        pages = Pages(boards.board(), boards.records(), gate, lambda: boards.NOW)

        def note(*words: str) -> None:
            self.asked.append(words)
            if "refuse" in words:
                raise Refused(Diagnostic("locked", "No", "The commit is not the one that waits."))

        acts = Acts(
            lambda: note("sync"),
            lambda commit: note("approve", commit),
            lambda jail, reason: note("suspend", jail, reason),
            lambda jail: note("resume", jail),
            lambda jail: note("preview", jail) or boards.PLAN,  # type: ignore[func-returns-value]
        )
        self.web = Web(
            [*pages.routes(), *Acting(acts, gate, pages, lambda name: name in ("web", "db", "refuse")).routes()]
        )

    def post(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        body = urlencode(fields or {}).encode()
        return self.web.answer(Ask("POST", path, {}, {"host": "localhost:9", **FORM, **given}, body))

    def get(self, path: str, **headers: str) -> Any:
        return self.web.answer(Ask("GET", path, {}, {"host": "localhost:9", **headers}))

    def signed_in(self) -> tuple[str, str]:
        """A session's cookie, and what its forms carry."""
        cookie = dict(self.post("/login", {"token": TOKEN}).headers)["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        cookie = cookie.split(";")[0]
        page = self.web.answer(Ask("GET", "/", {}, {"host": "localhost:9", "cookie": cookie})).body
        assert isinstance(page, bytes)
        found = re.search(rb'name="csrf" value="([0-9a-f]{64})"', page)
        assert found is not None
        return cookie, found[1].decode()


ACTS: list[tuple[str, dict[str, str], tuple[str, ...], str]] = [
    ("sync", {}, ("sync",), "/"),
    ("approve", {"commit": boards.TIP}, ("approve", boards.TIP), "/"),
    ("suspend", {"jail": "web", "reason": "I look\r\n at it"}, ("suspend", "web", "I look at it"), "/jails/web"),
    ("suspend", {"reason": ""}, ("suspend", "", "from the status page"), "/"),
    ("resume", {"jail": "db"}, ("resume", "db"), "/jails/db"),
]


@pytest.mark.parametrize(("act", "fields", "asked", "then"), ACTS)
def test_a_browser_that_signed_in_acts_through_forms(act: str, fields: dict[str, str], asked: Any, then: str):
    site = Site()
    cookie, csrf = site.signed_in()
    answer = site.post(f"/act/{act}", {**fields, "csrf": csrf}, cookie=cookie, origin="http://localhost:9")
    assert (answer.status, dict(answer.headers)["Location"]) == (303, then)
    assert site.asked == [asked]


@pytest.mark.parametrize(("act", "fields", "asked", "_then"), ACTS)
def test_a_program_acts_with_the_token_in_a_header(act: str, fields: dict[str, str], asked: Any, _then: str):
    site = Site()
    assert site.post(f"/act/{act}", fields, authorization=f"Bearer {TOKEN}").status == 303
    assert site.asked == [asked]


def test_a_session_that_began_over_tls_is_never_sent_without_it():
    for origin, secure in (("https://localhost:9", True), ("http://localhost:9", False)):
        answer = Site().post("/login", {"token": TOKEN}, origin=origin)
        assert answer.status == 303
        assert ("; Secure" in dict(answer.headers)["Set-Cookie"]) is secure


@pytest.mark.parametrize("act", ["sync", "approve", "suspend", "resume"])
def test_nobody_else_acts(act: str):
    site = Site()
    cookie, csrf = site.signed_in()
    attempts: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"csrf": csrf}, {}),
        ({}, {"cookie": cookie}),
        ({"csrf": "0" * 64}, {"cookie": cookie}),
        ({"csrf": csrf}, {"cookie": f"{COOKIE}=made-up"}),
        ({"csrf": csrf}, {"cookie": cookie, "origin": "http://evil.example"}),
        ({"csrf": csrf}, {"cookie": cookie, "origin": "null"}),
        ({"csrf": csrf}, {"cookie": cookie, "sec_fetch_site": "cross-site"}),
        ({"csrf": csrf}, {"cookie": cookie, "sec_fetch_site": "same-site"}),
        ({"csrf": csrf}, {"cookie": cookie, "authorization": "Bearer wrong"}),
        ({}, {"authorization": "Bearer "}),
        ({}, {"authorization": f"Basic {TOKEN}"}),
    ]
    for fields, headers in attempts:
        assert site.post(f"/act/{act}", fields, **headers).status in (401, 403), (fields, headers)
    assert site.web.answer(Ask("GET", f"/act/{act}", {}, {"host": "localhost", "cookie": cookie})).status == 405
    assert site.asked == []


def test_without_a_token_nothing_may_act_and_nothing_offers_to():
    site = Site(on=False)
    assert site.post("/act/sync", {}, authorization="Bearer ").status == 403
    page = site.web.answer(Ask("GET", "/", {}, {"host": "localhost"})).body
    assert isinstance(page, bytes) and b'<form method="post"' not in page and b"Sign in" not in page


@pytest.mark.parametrize("token", ["", "short"])
def test_a_token_that_is_missing_or_short_opens_nothing(token: str):
    site = Site()
    site.token = token.encode()
    assert site.post("/login", {"token": token}).status == 401
    assert site.post("/act/sync", {}, authorization=f"Bearer {token}").status == 401


def test_guessing_is_slowed_down_and_guesses_do_not_add_up_for_ever():
    site = Site()
    for _ in range(FAILURES):
        assert site.post("/login", {"token": "wrong"}).status == 401
    assert site.post("/login", {"token": TOKEN}).status == 429
    assert site.post("/act/sync", {}, authorization=f"Bearer {TOKEN}").status == 429
    site.clock += 61
    assert site.post("/login", {"token": TOKEN}).status == 303


def end(site: Site, cookie: str, csrf: str) -> None:
    site.post("/logout", {"csrf": csrf}, cookie=cookie)


def grow_old(site: Site, _cookie: str, _csrf: str) -> None:
    site.clock += LIFETIME + 1


def change_token(site: Site, _cookie: str, _csrf: str) -> None:
    site.token = b"another token, as long as that"


@pytest.mark.parametrize("what", [end, grow_old, change_token])
def test_a_session_ends(what: Callable[[Site, str, str], None]):
    site = Site()
    cookie, csrf = site.signed_in()
    what(site, cookie, csrf)
    assert site.post("/act/sync", {"csrf": csrf}, cookie=cookie).status == 401


def test_sessions_are_bounded():
    site = Site()
    first, csrf = site.signed_in()
    for _ in range(SESSIONS):
        site.clock += 1
        site.signed_in()
    assert site.post("/act/sync", {"csrf": csrf}, cookie=first).status == 401


def test_what_the_agent_refuses_is_shown():
    site = Site()
    answer = site.post("/act/approve", {"commit": "refuse"}, authorization=f"Bearer {TOKEN}")
    assert answer.status == 409 and b"not the one that waits" in answer.body  # type: ignore[operator]


def test_a_jail_that_is_not_there_is_not_acted_on_and_leads_nowhere():
    site = Site()
    answer = site.post("/act/resume", {"jail": "//evil.example"}, authorization=f"Bearer {TOKEN}")
    assert answer.status == 404 and site.asked == []


def test_the_token_stands_in_no_page():
    site = Site()
    cookie, _ = site.signed_in()
    for path in ("/", "/login", "/runs", "/status.json"):
        body = site.web.answer(Ask("GET", path, {}, {"host": "localhost", "cookie": cookie})).body
        assert isinstance(body, bytes) and TOKEN.encode() not in body


def test_what_resuming_would_do_is_shown_to_whoever_signed_in_before_it_is_done():
    site = Site()
    assert site.get("/resume/web").status == 303 and site.asked == []
    cookie, csrf = site.signed_in()
    page = site.get("/resume/web", cookie=cookie).body
    assert site.asked == [("preview", "web")]
    assert b"restart jail" in page and b'action="/act/resume"' in page and csrf.encode() in page
    assert site.get("/resume/none", cookie=cookie).status == 404
    assert site.get("/resume/refuse", cookie=cookie).status == 409
    assert site.asked == [("preview", "web"), ("preview", "refuse")]
