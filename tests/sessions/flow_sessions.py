"""Every session goes as it is written."""

import pytest

from tests.sessions.test_sessions import HERE, goes_as_written


@pytest.mark.parametrize("session", sorted(HERE.glob("*.session")), ids=lambda path: path.stem)
def test_a_session_goes_as_it_is_written(session, tmp_path):
    goes_as_written(session, tmp_path)
