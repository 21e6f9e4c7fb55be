"""What comes over ssh in a frame, set aside in a file: the same as if it had been held in memory."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.hosts.freebsd import script, streamed
from reconciler.hosts.freebsd.ssh import SSHRunner
from reconciler.hosts.freebsd.streamed import Streamed
from reconciler.hosts.freebsd.target import Target
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import HostError

MARK = "reconciler-00ff"
PARTS = st.lists(
    st.sampled_from(
        [b"a", b"\n", b"reconciler-", f"{MARK}".encode(), f"{MARK}\n".encode(), f"{MARK}.".encode(), b"x" * 40]
    )
    | st.binary(max_size=20),
    max_size=12,
).map(b"".join)


@given(noise=PARTS, body=PARTS, after=PARTS, cut=st.integers(1, 30), window=st.integers(16, 64))
def test_a_frame_in_a_file_says_what_one_in_memory_says(noise, body, after, cut, window):
    stdout = noise + f"{MARK}\n".encode() + body + f"{MARK}.".encode() + after
    stderr = f"{MARK}\n{MARK}.7.".encode()
    held = script.unframed(Completed(("x",), 0, stdout, stderr), MARK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed, "_WINDOW", window)
        aside = Streamed(MARK, 1 << 20)
        for at in range(0, len(stdout), cut):
            aside.write(stdout[at : at + cut])
        assert held is not None and b"".join(aside.pieces()) == held.stdout
        assert script.unframed(Completed(("x",), 0, aside.marks(), stderr), MARK) is not None


@given(body=PARTS.filter(lambda body: f"{MARK}.".encode() not in body))
def test_an_answer_whose_end_did_not_come_is_no_answer(body):
    aside = Streamed(MARK, 1 << 20)
    aside.write(f"{MARK}\n".encode() + body)
    assert aside.marks() == b""
    assert script.unframed(Completed(("x",), 0, aside.marks(), f"{MARK}.0.".encode()), MARK) is None


def test_more_than_is_taken_is_refused_and_a_large_answer_is_not_held_in_memory(ssh_client):
    runner = SSHRunner(Target("loopback"), ssh_client)
    size, got = 24 * 1024 * 1024, []
    tracemalloc.start()
    done = runner.run(
        Command(("dd", "if=/dev/zero", "bs=1048576", "count=24"), sink=lambda piece: got.append(len(piece)))
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (done.status, done.stdout, sum(got)) == (0, b"", size)
    assert peak < size / 2
    runner.close()
    with pytest.raises(HostError, match="output-too-large"):
        Streamed(MARK, 10).write(b"eleven bytes")
