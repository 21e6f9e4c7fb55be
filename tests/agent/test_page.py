"""Pages hold what the board says, escaped, whatever that is; made without a socket."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.agent import page_text, page_view
from reconciler.agent.board import Board, Jail, Planned
from reconciler.agent.page import Pages
from reconciler.agent.page_view import Records
from reconciler.agent.web import Answer, Ask, Web
from reconciler.agent.web_gate import Gate
from tests.agent import boards

VOID = {"meta", "link", "input", "img", "br"}
PATHS = (
    "/",
    "/jails/mail",
    "/runs",
    "/runs/12",
    f"/commits/{boards.GOOD}",
    "/?q=we&is=Ready",
    "/jails/none",
    "/runs/9",
)


class Sound(HTMLParser):
    """Checks that tags nest, ids are unique, nothing is inline that the policy forbids, and fields have labels."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.fields: list[dict[str, str | None]] = []
        self.heads: list[int] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.text += " " if tag in ("td", "th", "dd", "p") else ""
        assert not [name for name in told if name.startswith("on") or name == "style"], tag
        assert tag != "script" or told.get("src"), "a script stands in the page"
        assert tag != "style"
        if "id" in told:
            self.ids.append(told["id"] or "")
        if tag == "label":
            self.labels.add(told.get("for") or "")
        if tag == "input" and told.get("type") != "hidden" and "hidden" not in told:
            self.fields.append({**told, "inside": "label" if "label" in self.open else ""})
        if tag in ("h1", "h2", "h3"):
            self.heads.append(int(tag[1]))
        if tag == "img":
            assert "alt" in told
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data


def pages(board: Board | None = None, records: Records | None = None) -> Web:
    """All pages of a board."""
    gate = Gate(None, lambda: boards.NOW)
    return Web(Pages(board or boards.board(), records or boards.records(), gate, lambda: boards.NOW).routes())


def get(web: Web, path: str, **headers: str) -> Answer:
    """One page."""
    path, _, query = path.partition("?")
    fields = dict(pair.split("=") for pair in query.split("&") if pair)
    return web.answer(Ask("GET", path, fields, {"host": "localhost", **headers}))


def read(web: Web, path: str) -> Sound:
    """One page, which must be sound."""
    answer = get(web, path)
    assert isinstance(answer.body, bytes)
    page = Sound()
    page.feed(answer.body.decode())
    page.close()
    assert not page.open and len(set(page.ids)) == len(page.ids)
    assert all(field.get("id") in page.labels or field["inside"] for field in page.fields)
    assert page.heads and page.heads[0] == 1 and page.heads.count(1) == 1
    return page


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("status", [boards.busy(), boards.calm()], ids=["busy", "calm"])
def test_every_page_is_sound_html_without_anything_inline(path: str, status: Any):
    page = read(pages(Board(status)), path)
    assert "jails1.example.org" in page.text and "reconciler 0.1.0" in page.text


def test_the_overview_says_what_an_operator_came_for():
    text = " ".join(read(pages(), "/").text.split())
    for expected in (
        "Needs attention mail cannot be converged. 3f2a91c4d0 Raise the memory limit of web to 512M Ada Lovelace",
        "Waits for approval 91c03e5f7a Move mail to 15.1",
        "reconcile approve 91c03e5f7a",
        "Refused, 5 min ago",
        "did you mean `memoryuse`?",
        "specs/web.yaml:16:11",
        "Fetching nginx-1.28.pkg: 41%",
        "2 to create, 2 to change, 1 to remove; interrupts web.",
        "mail Stalled running stopped",
        "next try in 4 min",
        "4 (good: 3)",
        "13.5-RELEASE eol since 2026-04-30",
        "mirror.example.net: connection refused.",
        "12 failures in a row",
        "next look",
    ):
        assert expected.lower() in text.lower(), expected


def test_every_section_is_always_there_so_that_it_can_come_and_go_while_somebody_looks():
    for path in ("/", "/jails/mail"):
        ids = [set(read(pages(Board(status)), path).ids) for status in (boards.busy(), boards.calm())]
        fixed = [{name for name in found if not name.startswith("plan-")} for found in ids]
        assert fixed[0] ^ fixed[1] <= {"plan-title", "running-title"}


def test_a_jails_page_says_what_is_planned_for_it_alone():
    text = " ".join(read(pages(), "/jails/mail").text.split())
    assert "set quota of volume/mail/spool" in text and "quota: 0 → 1G" in text and "owner:" not in text
    assert "root 1 → 2" not in text
    assert "hidden" in str(get(pages(), "/jails/db").body)


def test_nothing_that_others_wrote_is_taken_for_markup():
    for path in PATHS:
        body = get(pages(), path).body
        assert isinstance(body, bytes) and b"<script>alert" not in body and b"<b>bold" not in body
        assert b"\x1b" not in body


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_in_any_place_leaves_the_page_sound(text: str, other: str):
    jail = Jail("web", "running", "running", "Held", text, release=other)
    status = replace(
        boards.busy(), jails=(jail,), suspended=other, host=text, commit=boards.commit(subject=text, author=other)
    )
    for path in ("/", "/jails/web"):
        read(pages(Board(status)), path)


def test_an_agent_that_has_just_started_has_a_page():
    from reconciler.agent.board import Status

    fresh = Status("local", boards.NOW)
    text = read(pages(Board(fresh), Records()), "/").text
    assert "no jail was looked at" in text and "No plan yet." in text and "Nothing was done yet." in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jails/nosuch", 404),
        ("/jails/..%2f", 404),
        ("/runs/99", 404),
        ("/runs/x", 404),
        ("/runs/99999999999999999999", 404),
        ("/runs/¹", 404),
        ("/commits/HEAD", 404),
        ("/commits/--output=x", 404),
        ("/commits/" + "f" * 40, 404),
        ("/static/page.css", 200),
        ("/static/page.py", 404),
        ("/static/..", 404),
    ],
)
def test_only_what_is_there_has_a_page(path: str, status: int):
    assert get(pages(), path).status == status


def test_jails_are_found_worst_first_and_in_parts():
    many = [Jail(f"j{n:04}", "running", "running", "Ready") for n in range(450)] + [
        Jail("z", "running", "stopped", "Stalled")
    ]
    short = page_view.listing(many, {})
    assert (short.rows[0].name, len(short.rows), short.more, short.pages) == ("z", page_view.SHORT, 441, 1)
    troubled = page_view.listing([replace(jail, condition="Held") for jail in many], {})
    assert (len(troubled.rows), troubled.more) == (page_view.ROWS, 351), "what needs somebody is not left out"
    assert page_view.listing(many[: page_view.FEW], {}).more == 0
    first = page_view.listing(many, {"page": "1"})
    assert first.rows[0].name == "z" and len(first.rows) == page_view.ROWS and first.pages == 5
    assert page_view.listing(many, {"page": "99"}).page == 5
    assert page_view.listing(many, {"page": "-1"}).page == page_view.listing(many, {"page": "²"}).page == 1
    assert [jail.name for jail in page_view.listing(many, {"q": "J0007"}).rows] == ["j0007"]
    assert page_view.listing(many, {"is": "Held"}).rows == ()


def test_a_large_plan_and_a_large_fleet_stay_a_page():
    many = tuple(Jail(f"j{n}", "running", "running", "Ready") for n in range(10_000))
    steps = [boards.step(n, f"j{n % 50}", "create", "make it", "why", 1) for n in range(5000)]
    plan = replace(boards.busy().plan, document={"steps": steps})  # type: ignore[type-var]
    body = get(pages(Board(replace(boards.busy(), jails=many, plan=plan))), "/").body
    assert isinstance(body, bytes) and len(body) < 400_000 and b"4600 more steps" in body


def test_a_plan_that_is_not_as_expected_breaks_nothing():
    assert page_view.scopes({"steps": [1, None, "x"], "notes": "no"}) == ([], 0)
    assert page_view.scopes({}) == ([], 0)


def test_programs_read_the_same_as_json():
    found = json.loads(get(pages(), "/status.json").body)  # type: ignore[arg-type]
    assert found["phase"] == "applying" and found["jails"][3]["next_try"] == boards.NOW + 240
    assert found["refused"]["diagnostics"][0]["span"]["line"] == 16


def test_what_a_plan_leaves_as_it_is_is_told_where_nothing_is_to_be_done():
    note = {"scope": "web", "code": "drift-left", "text": "volume/web/data differs and stays so.", "failing": False}
    status = replace(boards.calm(), plan=Planned(boards.GOOD, boards.NOW, document={"steps": [], "notes": [note]}))
    page = get(pages(Board(status)), "/").body
    assert isinstance(page, bytes)
    assert b"differs and stays so" in page and b"the host is as the specs say" not in page


def test_health_says_whether_the_loop_turns():
    board = Board(replace(boards.calm(), overdue=100.0))
    ticks = [99.0]
    web = Web(Pages(board, boards.records(), Gate(None, lambda: 0.0), lambda: 9e9, lambda: ticks[0]).routes())
    assert get(web, "/healthz").status == 200
    ticks[0] = 101.0
    assert get(web, "/healthz").status == 503
    board.update(phase="applying", overdue=None)
    assert get(web, "/healthz").status == 200


def test_a_file_that_the_browser_has_is_not_sent_again():
    web = pages()
    tag = dict(get(web, "/static/page.css").headers)["ETag"]
    again = get(web, "/static/page.css", **{"if-none-match": tag})
    assert (again.status, again.body) == (304, b"")


def test_a_commit_is_asked_for_once():
    asked: list[str] = []
    known = boards.records().commit

    def commit(sha: str) -> Any:
        asked.append(sha)
        return known(sha)

    web = pages(records=replace(boards.records(), commit=commit))
    for _ in range(5):
        get(web, "/")
    assert asked.count(boards.GOOD) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.42, "0.4 s"),
        (9, "9 s"),
        (59, "59 s"),
        (60, "1 min"),
        (7199, "1 h"),
        (86400 * 800, "2 y"),
        (-5, "-5 s"),
    ],
)
def test_lengths(seconds: float, text: str):
    assert page_text.length(seconds) == text


def test_times_as_people_say_them():
    assert [page_text.ago(at, 1000.0) for at in (None, 1000.4, 940.0, 1300.0)] == [
        "never",
        "just now",
        "1 min ago",
        "in 5 min",
    ]
    assert page_text.stamp(0) == "1970-01-01T00:00:00Z" and page_text.stamp(1e18).startswith("9999")


def test_diffs_are_read_line_by_line():
    kinds = [line.kind for line in page_view.diff_lines(boards.DIFF)]
    assert kinds == ["file"] * 4 + ["hunk", "same", "del", "add", "add"]
    assert page_view.diff_lines("@@ -1 +1 @@\n--- not a file\n")[1].kind == "del"
