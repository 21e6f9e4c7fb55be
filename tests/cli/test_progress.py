"""What is said while steps run."""

import errno
import io
import threading

import pytest

from reconciler.cli.progress import TAIL, Progress
from reconciler.kinds.source import RecordSource, Source
from reconciler.model.action import Step
from reconciler.model.outcome import Result

STEP = Step(1, RecordSource(None, Source("source", "/srv/specs")), frozenset(), "it is not there")
REF = STEP.action.ref


class Told(io.StringIO):
    """A stream that says when something was written."""

    def __init__(self):
        super().__init__()
        self.event = threading.Event()

    def flush(self):
        self.event.set()


def test_a_step_is_one_line_and_its_output_ends_in_the_record():
    stream, ended = io.StringIO(), []
    with Progress(lambda *told: ended.append(told), stream) as progress:
        progress.watch("begin", STEP, None)
        assert progress.running() == ["(shared): record /srv/specs as the source of this pool"]
        progress.output(REF)(b"x" * TAIL + b"the end")
        progress.watch("end", STEP, Result(STEP, "applied", 0.26))
    assert stream.getvalue() == "(shared): record /srv/specs as the source of this pool ... done (0.3 s)\n"
    ((_, _, tail),) = ended
    assert tail.endswith(b"the end")
    assert len(tail) == TAIL


def test_bytes_are_a_line_at_every_quarter():
    stream = io.StringIO()
    with Progress(lambda *_: None, stream) as progress:
        for done in range(0, 4_000_001, 500_000):
            progress.moved(REF)(done, 4_000_000)
        progress.moved(REF)(10, None)
    assert stream.getvalue().splitlines() == [
        "source/source: 25 % (1.0 MB of 4.0 MB)",
        "source/source: 50 % (2.0 MB of 4.0 MB)",
        "source/source: 75 % (3.0 MB of 4.0 MB)",
        "source/source: 100 % (4.0 MB of 4.0 MB)",
    ]


def test_a_step_that_takes_long_is_named():
    stream = Told()
    with Progress(lambda *_: None, stream, patience=0.0) as progress:
        progress.watch("begin", STEP, None)
        assert stream.event.wait(60)
    assert "still at it" in stream.getvalue()


class Gone(io.StringIO):
    """A terminal that was closed after so many characters."""

    def __init__(self, left, terminal):
        super().__init__()
        self.left, self.terminal = left, terminal

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.left -= len(text)
        if self.left < 0:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("left", [0, 30])
def test_a_reader_that_goes_away_stops_no_work(left, terminal):
    ended = []
    with Progress(lambda *told: ended.append(told), Gone(left, terminal)) as progress:
        for _ in range(2):
            progress.watch("begin", STEP, None)
            progress.moved(REF)(2_000_000, 4_000_000)
            progress.watch("end", STEP, Result(STEP, "applied", 0.26))
    assert len(ended) == 2
