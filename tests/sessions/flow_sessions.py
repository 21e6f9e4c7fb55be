"""Every session goes as it is written."""

from pathlib import Path

import pytest

from tests.sessions.replay import replay, run


@pytest.mark.parametrize("session", sorted(Path(__file__).parent.glob("*.session")), ids=lambda path: path.stem)
def test_a_session_goes_as_it_is_written(session, tmp_path):
    written = session.read_text()
    try:
        assert replay(written, tmp_path) == written
    finally:
        run("reconcile sandbox shutdown", tmp_path)
