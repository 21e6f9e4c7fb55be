# ruff: noqa: E501 (scripts stay on one line)
"""The status page in a real browser: alive, without scripts, on a phone, in the dark, and acting.

Run by `make test-slow`. Where there is no Chromium each test is left out and says so. With SHOTS=DIR in the
environment, pictures of every page are kept in DIR, for eyes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.agent.board import Board, Jail, Running
from reconciler.agent.page import Pages
from reconciler.agent.web import Route, Web
from reconciler.agent.web_act import Acting, Acts
from reconciler.agent.web_gate import Gate
from reconciler.agent.web_live import Live
from reconciler.agent.web_server import Server
from tests.agent import boards, browser

pytestmark = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing() or "there is one")
TOKEN = "correct horse battery staple"
SHOTS = os.environ.get("SHOTS", "")


@dataclass
class Place:
    """A server with a board, and a browser that looks at it."""

    board: Board
    window: browser.Browser
    url: str
    asked: list[Any] = field(default_factory=list)

    def look(self, path: str = "/") -> None:
        """Open a page, and wait until it is live."""
        self.window.open(self.url + path)
        self.window.until("return document.getElementById('live').dataset.state === 'on'")

    def text(self, selector: str) -> str:
        """What is shown there."""
        found = self.window.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return " ".join(str(found).split())

    def shot(self, name: str) -> None:
        """Keep a picture, where somebody asked for pictures."""
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.window.shot(Path(SHOTS) / f"{name}.png")


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    """One browser for all tests."""
    with browser.browsing(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def place(window: browser.Browser) -> Iterator[Place]:
    """A busy host."""
    board = boards.board()
    gate = Gate(TOKEN.encode, lambda: 1000.0)
    pages = Pages(board, boards.records(), gate, lambda: boards.NOW)
    live = Live(board)
    asked: list[Any] = []
    acts = Acts(
        lambda: asked.append("sync"),
        lambda commit: asked.append(("approve", commit)),
        lambda jail, reason: asked.append(("suspend", jail, reason)),
        lambda jail: asked.append(("resume", jail)),
        lambda jail: asked.append(("preview", jail)) or boards.PLAN,
    )
    acting = Acting(acts, gate, pages, lambda name: name == "web")
    server = Server(Web([*pages.routes(), *acting.routes(), Route("GET", "/live", live.answer)]), "127.0.0.1:0")
    server.start()
    window.size(1280, 900)
    window.scheme("light")
    window.scripts(True)
    place = Place(board, window, "http://{}:{}".format(*server.address), asked)
    yield place
    complaints = window.complaints()
    window.open("about:blank")
    live.close()
    server.close()
    assert not [line for line in complaints if "Security Policy" in line or "SEVERE" in line], complaints


def test_it_follows_what_happens_without_being_loaded_again(place: Place):
    place.look()
    place.window.run("window.mark = 'the same page'")
    assert "Fetching nginx-1.28.pkg: 41%" in place.text("#running")
    step = Running(1, "layer/x", "web", "layer x", boards.NOW, "Fetching nginx-1.28.pkg: 99%\n")
    place.board.update(steps=(step,))
    place.window.until("return document.querySelector('#running').innerText.includes('99%')")
    place.board.edit(lambda _: boards.calm())
    place.window.until("return document.querySelector('#state h1').innerText === 'Converged'")
    place.window.until("return document.querySelector('#running').hidden")
    assert place.window.run("return window.mark") == "the same page"


def test_what_somebody_opened_typed_or_reached_stays_as_it_was(place: Place):
    place.look()
    place.window.run(
        "document.getElementById('plan-web').open = false;"
        "const q = document.getElementById('q'); q.focus(); q.value = 'half a na'"
    )
    place.board.update(cycle=1, phase="planning", problems=())
    place.window.until("return document.querySelector('.facts').innerText.includes('Planning')")
    kept = "return [document.getElementById('plan-web').open, document.activeElement.id, document.activeElement.value]"
    assert place.window.run(kept) == [False, "q", "half a na"]
    place.window.run("document.querySelector('#jails a[href=\"/jails/db\"]').focus()")
    place.board.update(jails=(*boards.jails(), Jail("zz", "running", "running", "Ready")))
    place.window.until("return document.querySelector('a[href=\"/jails/zz\"]') !== null")
    assert place.window.run("return document.activeElement.getAttribute('href')") == "/jails/db"


def test_it_says_when_it_cannot_reach_the_agent_and_comes_back(window: browser.Browser):
    board = boards.board()
    pages = Pages(board, boards.records(), Gate(None, lambda: 0.0), lambda: boards.NOW)
    live = Live(board)
    first = Server(Web([*pages.routes(), Route("GET", "/live", live.answer)]), "127.0.0.1:0")
    first.start()
    address = "{}:{}".format(*first.address)
    window.open(f"http://{address}")
    window.until("return document.getElementById('live').dataset.state === 'on'")
    live.close()
    first.close()
    window.until("return document.getElementById('live').dataset.state === 'off'")
    live = Live(board)
    again = Server(Web([*pages.routes(), Route("GET", "/live", live.answer)]), address)
    again.start()
    window.until("return document.getElementById('live').dataset.state === 'on'", seconds=20)
    window.complaints()
    window.open("about:blank")
    live.close()
    again.close()


def test_it_is_whole_without_scripts(place: Place):
    place.window.scripts(False)
    place.window.open(place.url)
    body = str(place.window.devtools("DOM.getDocument", depth=-1))
    place.window.scripts(True)
    for text in (
        "Needs attention",
        "mail",
        "did you mean",
        "Fetching nginx",
        "built beside",
        "13.5-RELEASE",
        "refresh",
    ):
        assert text in body, text


@pytest.mark.parametrize("path", ["/", "/jails/mail", "/runs", "/runs/12", f"/commits/{boards.GOOD}", "/login"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_can_be_read_in_any_light(place: Place, path: str, scheme: str):
    place.window.scheme(scheme)
    for width, phone in ((390, True), (1280, False)):
        place.window.size(width, 844, phone=phone)
        place.look(path)
        wide, height = place.window.run("return [document.documentElement.scrollWidth, document.body.scrollHeight]")
        assert wide <= width and height > 100
        assert place.window.run(CONTRAST) == []
        place.shot(f"{path.strip('/').replace('/', '-') or 'overview'}-{scheme}-{width}")
    # What a finger has to hit.
    place.window.size(390, 844, phone=True)
    small = "return [...document.querySelectorAll('button, .top nav a')].filter(b => b.offsetHeight && b.offsetHeight < 40).length"
    assert place.window.run(small) == 0


def test_a_keyboard_gets_everywhere(place: Place):
    place.look()
    unreachable = """return [...document.querySelectorAll('a, button, input:not([type=hidden]):not([hidden]), summary, pre')]
        .filter(node => node.offsetParent && node.tabIndex < 0).map(node => node.outerHTML)"""
    assert place.window.run(unreachable) == []
    landmarks = "return ['header', 'nav', 'main', 'footer'].every(name => document.querySelector(name))"
    assert place.window.run(landmarks)
    nameless = "return [...document.querySelectorAll('a, button')].filter(n => n.offsetParent && !n.innerText.trim() && !n.ariaLabel).length"
    assert place.window.run(nameless) == 0


def test_signing_in_and_acting(place: Place):
    place.look("/login")
    place.window.run("document.getElementById('token').value = 'wrong'; document.querySelector('#login form').submit()")
    place.window.until("return document.body.innerText.includes('The token is wrong.')")
    place.window.run(
        f"document.getElementById('token').value = '{TOKEN}'; document.querySelector('#login form').submit()"
    )
    place.window.until("return document.querySelector('form[action=\"/act/sync\"]') !== null")
    place.shot("signed-in")
    place.window.run("document.querySelector('form[action=\"/act/approve\"] button').click()")
    place.window.until("return document.readyState === 'complete' && performance.now() > 0")
    place.look("/jails/web")
    place.window.run(
        "document.getElementById('suspend-one').open = true;"
        "document.querySelector('input[name=reason]').value = 'I look at it';"
        "document.querySelector('form[action=\"/act/suspend\"] button').click()"
    )
    place.window.until("return location.pathname === '/jails/web' && document.readyState === 'complete'")
    assert place.window.run("return document.cookie") == ""
    place.look("/")
    assert place.asked == [("approve", boards.TIP), ("suspend", "web", "I look at it")]
    place.window.run("document.querySelector('form[action=\"/logout\"] button').click()")
    place.window.until("return document.querySelector('a[href=\"/login\"]') !== null")


def test_a_fleet_of_thousands_stays_quick(place: Place):
    many = tuple(Jail(f"jail{n:05}", "running", "running", "Ready", release="15.1-RELEASE-p1") for n in range(10_000))
    place.board.update(jails=many)
    place.look()
    assert place.text("#jails h2") == "Jails 10000"
    place.board.update(jails=(replace(many[0], condition="Stalled"), *many[1:]))
    place.window.until("return document.querySelector('#jails tbody').innerText.includes('Stalled')")


# WCAG 2.2, 1.4.3: what is read has a contrast of at least 4.5, or 3 where it is large.
CONTRAST = """
const light = (c) => { const [r, g, b] = c.map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
  return .2126 * r + .7152 * g + .0722 * b };
const read = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 && n[3] === 0 ? null : n.slice(0, 3) };
const behind = (node) => { for (; node; node = node.parentElement) { const c = read(getComputedStyle(node).backgroundColor); if (c) return c }
  return [255, 255, 255] };
const bad = [];
for (const node of document.querySelectorAll('body *')) {
  const own = [...node.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!own || !node.offsetParent || node.closest('noscript')) continue;
  const style = getComputedStyle(node), size = parseFloat(style.fontSize);
  const [a, b] = [light(read(style.color)), light(behind(node))].sort((x, y) => y - x);
  const ratio = (a + .05) / (b + .05);
  if (ratio < (size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5)) bad.push([node.innerText.slice(0, 40), style.color, ratio.toFixed(2)]);
}
return bad;
"""
