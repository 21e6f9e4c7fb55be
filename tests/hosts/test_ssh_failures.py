"""What can go wrong between here and a host."""

import os
import signal
import tarfile
import threading

import pytest

from reconciler.hosts.freebsd import script
from reconciler.hosts.freebsd.ssh import SSHRunner
from reconciler.hosts.freebsd.target import Target
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import HostError, SpecError


def test_a_connection_that_is_lost_leaves_the_effect_unknown(ssh_client, tmp_path):
    runner = SSHRunner(Target("loopback"), ssh_client)
    os.mkfifo(tmp_path / "fifo")
    caught, running, said = [], threading.Event(), []

    def hear(data):
        said.append(data)
        running.set()

    def work():
        try:
            parent = "ps -o pid=,args= -p $(ps -o ppid= -p $PPID)"
            runner.run(Command(("sh", "-c", f"{parent}; read x <{tmp_path}/fifo"), output=hear))
        except HostError as error:
            caught.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    assert running.wait(60)
    process, name = b"".join(said).split(maxsplit=1)
    assert name.startswith(b"sshd")
    os.kill(int(process), signal.SIGKILL)
    worker.join(60)
    with (tmp_path / "fifo").open("w") as fifo:
        fifo.write("x\n")
    (error,) = caught
    assert error.diagnostics[0].code == "connection-lost"
    assert error.transient
    assert "unknown" in error.diagnostics[0].hint
    assert runner.run(Command(("echo", "again"))).stdout == b"again\n"
    runner.close()


def test_a_host_that_does_not_answer_is_told_from_one_that_refuses(tmp_path):
    closed = SSHRunner(Target("127.0.0.1", port=1), ("ssh", "-F", "/dev/null"))
    with pytest.raises(HostError, match="host-unreachable") as caught:
        closed.run(Command(("true",)))
    assert caught.value.transient
    closed.close()


def test_a_client_that_is_not_there_is_named():
    runner = SSHRunner(Target("h"), ("nosuchssh",))
    with pytest.raises(HostError, match="host-unreachable"):
        runner.run(Command(("true",)))
    runner.close()


def test_a_script_that_is_cut_short_does_nothing(local, tmp_path):
    whole = script.framed(f"touch {tmp_path}/made", {"PATH": "/usr/bin:/bin"}, "mark")
    for cut in range(1, len(whole) - 1):
        if cut % 7 == 0:
            local.run(Command(("sh", "-c", 'eval "$(cat)"'), stdin=whole[:-cut]))
    assert os.listdir(tmp_path) == []
    local.run(Command(("sh", "-c", 'eval "$(cat)"'), stdin=whole))
    assert os.listdir(tmp_path) == ["made"]


def test_answers_that_are_cut_short_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        script.parts([Command(("a",))], (), b"0 5 0\nabc")
    with pytest.raises(ValueError, match="more"):
        script.parts([Command(("a",))], (), b"0 1 0\nabc")


def test_a_file_of_holes_that_would_fill_the_memory_is_refused():
    member = tarfile.TarInfo("./x")
    head = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    head[156:157] = tarfile.GNUTYPE_SPARSE
    head[386:410] = b"%011o\0%011o\0" % (8 << 30, 0)  # one piece: nothing, at the end of 8 GiB
    head[483:495] = b"%011o\0" % (8 << 30)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    with pytest.raises(tarfile.TarError, match="larger than the archive"):
        script.files(bytes(head) + bytes(1024))


@pytest.mark.parametrize(
    "url",
    [
        *["-oProxyCommand=x", "-u@h", "h;id", "$(id)@h", "u%0ax@h", "u'@h", "`id`", "h?ProxyCommand=x", "u:p@h", "h/x"],
        "ssh://h?become=sh%20-c",
        "a b",
        "h?IdentityFile=a%0aProxyCommand%20x",
        "",
    ],
)
def test_a_url_that_could_mean_more_than_a_host_is_refused(url):
    with pytest.raises(SpecError, match="host-url-invalid"):
        Target.of(url)


@pytest.mark.parametrize(
    "url", ["ssh://root@jails-1.example.org:2222", "ssh://[2001:db8::1]", "ssh://a_b", "ssh://d.o+x@h", "ssh://u@h?become=sudo"]
)
def test_a_url_of_a_host_leads_there(url):
    assert Target.of(url).arguments()[-2] == "--"


def test_an_answer_without_its_end_is_unknown():
    assert script.unframed(Completed(("a",), 0, b"mark\nout", b""), "mark") is None
    assert script.unframed(Completed(("a",), 255, b"", b"mark.0."), "mark") is None
    done = script.unframed(Completed(("a",), 0, b"motd\nmark\noutmark.", b"motd\nmark\nerrmark.7."), "mark")
    assert done == Completed(("a",), 7, b"out", b"err")


def test_without_its_lock_a_runner_changes_nothing_more(ssh_client, tools, tmp_path):
    runner = SSHRunner(Target("loopback", options=(("path", str(tools)),)), ssh_client)
    lock = str(tmp_path / "lock")
    with runner.lock(lock, "me"):
        runner.run(Command(("true",)))
        (held,) = runner._locks.values()
        runner.run(Command(("pkill", "-KILL", "-f", f"lockf.* {lock}|flock.* {lock}")))
        held._thread.join(60)
        with pytest.raises(HostError, match="lock-lost"):
            runner.run(Command(("touch", str(tmp_path / "made"))))
        with pytest.raises(HostError, match="lock-lost"):
            runner.write(str(tmp_path / "made"), b"")
        assert runner.read(str(tmp_path / "lock")) is not None
    assert not (tmp_path / "made").exists()
    runner.close()


def test_a_file_that_goes_while_its_folder_is_read_is_no_failure(ssh_client, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("x")
    (tmp_path / "tar").write_text(
        f'#!/bin/sh\nif mkdir {tmp_path}/once 2>/dev/null; then echo "tar: gone: Cannot stat" >&2; exit 1; fi\n'
        'PATH=/usr/bin:/bin; exec tar "$@"\n'
    )
    (tmp_path / "tar").chmod(0o755)
    runner = SSHRunner(Target("loopback", options=(("path", str(tmp_path)),)), ssh_client)
    assert runner.tree(str(tmp_path / "kept")) == {"file": b"x"}
    assert (tmp_path / "once").is_dir()
    runner.close()
