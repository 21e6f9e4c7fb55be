"""A session goes as it is written; those that take longer are in flow_sessions.py."""

from pathlib import Path

import pytest

from tests.sessions.replay import replay, run

HERE = Path(__file__).parent


def goes_as_written(session, tmp_path):
    written = session.read_text()
    try:
        assert replay(written, tmp_path) == written
    finally:
        run("reconcile sandbox shutdown", tmp_path)


@pytest.mark.parametrize("name", ["volume"])
def test_a_session_goes_as_it_is_written(name, tmp_path):
    goes_as_written(HERE / f"{name}.session", tmp_path)
