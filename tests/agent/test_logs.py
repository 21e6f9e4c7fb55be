"""The log: one object to a line, no secrets, nothing that moves a terminal's cursor, and never an error."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from reconciler.agent import logs


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers = list(logging.getLogger().handlers)
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers = handlers
    logs._Concealed.values = ()


def lines(*said: dict[str, Any], level: str = "info", form: Any = "json") -> list[Any]:
    """What is written when these facts are logged."""
    out = io.StringIO()
    logs.configure(form, level, out)
    for facts in said:
        logs.log.info(logs.STEP_APPLIED, **facts)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_one_object_with_its_facts():
    (found,) = lines({"jail": "web", "seconds": 1.5, "text": "two\nlines", "more": {"n": [1, None]}})
    assert found.pop("timestamp").endswith("Z")
    assert found == {
        "event": "step.applied",
        "level": "info",
        "jail": "web",
        "seconds": 1.5,
        "text": "two\nlines",
        "more": {"n": [1, None]},
    }
    assert lines({"jail": "web"}, level="warning") == []


def test_no_secret_gets_out_whatever_it_stands_in():
    logs.conceal(["s3cret-value", "abc"])
    url = "https://user:hunter2@example.org/x.git"
    out = io.StringIO()
    logs.configure("json", "info", out)
    nested: Any = {"deep": [{"deeper": ("s3cret-value", url)}], "s3cret-value": 1, "Token": "zzz"}
    logs.log.info(logs.GIT_MOVED, url=url, note="it is s3cret-value!", nested=nested, token="hunter3", Password="p")
    try:
        raise OSError("cannot use s3cret-value")
    except OSError:
        logs.log.error(logs.PROBLEM_FOUND, exc_info=True)
    for secret in ("s3cret-value", "hunter2", "hunter3", "zzz", '"p"'):
        assert secret not in out.getvalue()
    assert "OSError: cannot use ***" in out.getvalue()


def test_people_on_a_terminal_get_lines_and_nobody_moves_their_cursor():
    out = Terminal()
    logs.configure("auto", "info", out)
    logs.log.info(logs.GIT_MOVED, subject="\x1b]0;owned\x07 \x9b31m \u202egnp", commit="abc")
    told = out.getvalue()
    assert "git.moved" in told and "x1b]0;owned" in told
    assert not set(told) & {"\x07", "\x9b", "\u202e"} and "\x1b]" not in told
    out = io.StringIO()
    logs.configure("console", "info", out)
    logs.log.info(logs.GIT_MOVED, subject="plain")
    assert "\x1b" not in out.getvalue()


@given(st.dictionaries(st.text(max_size=8).filter(lambda k: k not in ("event", "level", "timestamp")), st.text()))
def test_any_text_is_still_one_line_of_json(facts: dict[str, str]):
    out = io.StringIO()
    logs.configure("json", "info", out)
    structlog.get_logger().bind(**{f"k{key}": value for key, value in facts.items()}).info(logs.PLAN_MADE)
    (line,) = out.getvalue().split("\n")[:-1]
    assert json.loads(line)["event"] == logs.PLAN_MADE


def test_a_stream_that_cannot_be_written_stops_nothing():
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        logs.configure("json", "info", stream)
        logs.log.info(logs.AGENT_STARTED)


def test_what_libraries_say_goes_the_same_way():
    out = io.StringIO()
    logs.configure("json", "info", out)
    logs.conceal(["topsecret"])
    logging.getLogger("waitress").warning("Task queue depth is %d, topsecret", 3)
    logging.getLogger("waitress").info("not this")
    found = json.loads(out.getvalue())
    assert (found["event"], found["library"], found["said"]) == (
        logs.LIBRARY_SAID,
        "waitress",
        "Task queue depth is 3, ***",
    )


def test_events_are_named_once_and_in_one_form():
    names = [value for key, value in vars(logs).items() if key.isupper() and isinstance(value, str) and "." in value]
    assert len(names) == len(set(names)) > 20
    assert all(name.replace("-", "").replace(".", "").isalpha() and name.count(".") == 1 for name in names)
