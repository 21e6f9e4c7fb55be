"""What every Runner promises, held by the local one and by the one over ssh alike."""

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.command import Command
from reconciler.model.diagnostic import HostError, Refused

WORDS = st.lists(
    st.binary(max_size=12).map(lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape")), max_size=4
)
ONE_BY_ONE = "import os,sys;sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode,sys.argv[1:])))"


SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(words=WORDS)
def test_every_word_arrives_as_it_was_sent(runner, words):
    done = runner.run(Command(("python3", "-c", ONE_BY_ONE, *words)))
    assert done.status == 0, done.stderr
    assert done.stdout == b"\0".join(os.fsencode(word) for word in words)


def test_words_that_shells_would_change_arrive_as_they_were_sent(runner):
    words = ("a b", "$HOME", "`id`", "it's", '"', "\\", "*", "!x", "-n", "", "a\nb", "#", "~", "&&", "\t")
    done = runner.run(Command(("python3", "-c", ONE_BY_ONE, *words)))
    assert done.stdout == "\0".join(words).encode()


@pytest.mark.parametrize("status", [0, 1, 7, 75, 124, 127, 254, 255])
def test_every_status_is_passed_on(runner, status):
    done = runner.run(Command(("sh", "-c", f"echo out; echo err >&2; exit {status}")))
    assert (done.status, done.stdout, done.stderr) == (status, b"out\n", b"err\n")


def test_a_signal_is_a_status_above_128(runner):
    assert runner.run(Command(("sh", "-c", "kill -9 $$"))).status == 137


def test_a_program_that_is_not_there_is_status_127(runner):
    done = runner.run(Command(("nosuchprogram", "x")))
    assert done.status == 127
    assert b"not found" in done.stderr


def test_the_environment_is_clean_and_what_was_given(runner):
    done = runner.run(Command(("env",), env=(("SECRET", "a 'b'\nc"),)))
    names = {line.partition(b"=")[0] for line in done.stdout.splitlines()}
    assert b"SECRET=a 'b'\nc" in done.stdout
    assert names - {b"PWD", b"OLDPWD", b"SHLVL", b"_", b"c"} == {b"PATH", b"HOME", b"LC_ALL", b"SECRET"}


def test_standard_input_is_empty_unless_given(runner):
    assert runner.run(Command(("cat",))).stdout == b""
    assert runner.run(Command(("cat",), stdin=b"x\n")).stdout == b"x\n"


def test_twenty_megabytes_stream_through(runner):
    chunk = os.urandom(1024 * 1024)
    done = runner.run(Command(("wc", "-c"), stdin=(chunk for _ in range(20))))
    assert int(done.stdout) == 20 * len(chunk)


def test_a_reader_that_stops_early_is_no_error(runner):
    done = runner.run(Command(("head", "-c", "3"), stdin=(b"x" * 65536 for _ in range(100))))
    assert (done.status, done.stdout) == (0, b"xxx")


def test_a_source_that_breaks_is_raised_and_the_command_ended(runner):
    def source():
        yield b"half"
        raise RuntimeError("the mirror went away")

    with pytest.raises(RuntimeError, match="mirror"):
        runner.run(Command(("cat",), stdin=source()))


def test_output_is_seen_as_it_comes(runner):
    seen = []
    runner.run(Command(("sh", "-c", "echo one; echo two >&2"), output=seen.append))
    assert sorted(b"".join(seen).split()) == [b"one", b"two"]


def test_a_command_that_takes_too_long_is_ended(runner):
    with pytest.raises(HostError, match="host-timeout") as caught:
        runner.run(Command(("sleep", "600"), timeout=0.3))
    assert caught.value.argv == ("sleep", "600")


def test_output_beyond_the_limit_is_an_error(runner):
    with pytest.raises(HostError, match="output-too-large"):
        runner.run(Command(("head", "-c", "200000", "/dev/zero"), limit=1000))


def test_many_commands_at_once_and_in_a_row_answer_for_themselves(runner):
    with ThreadPoolExecutor(12) as threads:
        answers = threads.map(lambda n: runner.run(Command(("sh", "-c", f"echo {n}; echo e{n} >&2"))), range(40))
        said = [(done.status, done.stdout, done.stderr) for done in answers]
    assert said == [(0, f"{n}\n".encode(), f"e{n}\n".encode()) for n in range(40)]


def test_a_daemon_that_keeps_the_output_open_is_not_waited_for(runner, tmp_path):
    daemon = f"(while [ -d {tmp_path} ] && [ ! -e {tmp_path}/stop ]; do sleep 0.1; done) & echo started"
    done = runner.run(Command(("sh", "-c", daemon), timeout=60))
    (tmp_path / "stop").touch()
    assert done.stdout == b"started\n"


def test_commands_together_answer_one_by_one(runner):
    argvs = [("echo", "a b"), ("sh", "-c", "printf x; echo e >&2; exit 3"), ("nosuchprogram",), ("printf", "1 2 3\\n")]
    answers = runner.batch([Command(argv) for argv in argvs])
    assert [done.argv for done in answers] == argvs
    assert [done.status for done in answers] == [0, 3, 127, 0]
    assert [done.stdout for done in answers] == [b"a b\n", b"x", b"", b"1 2 3\n"]
    assert answers[1].stderr == b"e\n"


def test_a_file_is_written_whole_with_its_mode_and_read_back(runner, tmp_path):
    data = bytes(range(256)) * 1000
    path = f"{tmp_path}/a b'c"
    runner.write(path, b"old")
    runner.write(path, data, 0o640)
    assert runner.read(path) == data
    assert (tmp_path / "a b'c").stat().st_mode & 0o7777 == 0o640
    assert os.listdir(tmp_path) == ["a b'c"]


def test_files_are_written_together_each_with_its_mode(runner, tmp_path):
    (tmp_path / "in 'it").mkdir()
    (tmp_path / "b").write_bytes(b"old")
    (tmp_path / "in 'it" / "c").symlink_to(tmp_path / "b")
    contents = {"a": b"", "b": b"\0\n" * 9000, "in 'it/c": b"new"}
    runner.write_all([(f"{tmp_path}/{name}", data, 0o640) for name, data in contents.items()])
    assert runner.tree(str(tmp_path)) == contents
    assert not (tmp_path / "in 'it" / "c").is_symlink()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o640}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "in 'it"], "nothing is left beside them"
    runner.write_all([])


def test_files_written_together_follow_no_link(runner, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "in").symlink_to(tmp_path / "outside")
    with pytest.raises(HostError, match="symlink-refused"):
        runner.write_all([(f"{tmp_path}/a", b"1", 0o600), (f"{tmp_path}/in/b", b"2", 0o600)])
    assert list((tmp_path / "outside").iterdir()) == []


def test_files_whose_folder_is_not_there_are_not_written(runner, tmp_path):
    with pytest.raises(HostError, match="file-failed"):
        runner.write_all([(f"{tmp_path}/no/a", b"1", 0o600)])


def test_a_file_that_is_not_there_is_none(runner, tmp_path):
    assert runner.read(f"{tmp_path}/none") is None
    assert runner.read(f"{tmp_path}/no/none") is None


def test_a_file_that_no_memory_holds_is_refused(runner, tmp_path):
    with open(tmp_path / "holes", "wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(HostError):
        runner.read(f"{tmp_path}/holes")


def test_writing_into_a_folder_that_is_not_there_fails(runner, tmp_path):
    with pytest.raises(HostError, match="file-failed"):
        runner.write(f"{tmp_path}/no/file", b"x")


@pytest.mark.parametrize("path", ["link", "folder/file", "folder", "..//x"])
def test_no_symlink_is_followed(runner, tmp_path, path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside / "file")
    (inside / "folder").symlink_to(outside)
    with pytest.raises(HostError):
        assert runner.read(f"{inside}/{path}") is None
    with pytest.raises(HostError):
        runner.write(f"{inside}/folder/new", b"x")
    assert os.listdir(outside) == ["file"]
    with pytest.raises(HostError, match="symlink-refused"):
        runner.tree(f"{inside}/folder")


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(runner, tmp_path):
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    runner.write(f"{tmp_path}/link", b"new")
    assert (tmp_path / "target").read_text() == "kept"
    assert runner.read(f"{tmp_path}/link") == b"new"


def test_a_tree_is_its_regular_files(runner, tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/é x").write_bytes(b"1")
    (tmp_path / "top").write_bytes(b"")
    (tmp_path / "link").symlink_to("top")
    os.mkfifo(tmp_path / "pipe")
    assert runner.tree(str(tmp_path)) == {"a/b/é x": b"1", "top": b""}


def test_a_tree_that_is_not_there_is_empty(runner, tmp_path):
    assert runner.tree(f"{tmp_path}/none") == {}


def test_commands_and_folders_are_read_together(runner, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one/f").write_bytes(b"x" * 70000)
    answers, trees = runner.gather([Command(("echo", "hi"))], [f"{tmp_path}/one", f"{tmp_path}/two"])
    assert answers[0].stdout == b"hi\n"
    assert trees == {f"{tmp_path}/one": {"f": b"x" * 70000}, f"{tmp_path}/two": {}}


def test_a_lock_excludes_and_names_its_holder(runner, tmp_path):
    path = f"{tmp_path}/lock"
    held, refused = runner.lock(path, "apply of web"), pytest.raises(Refused, match="apply of web, process")
    with held, refused, runner.lock(path, "another"):
        pytest.fail("two hold the lock")
    with runner.lock(path, "again"):
        pass


def test_a_lock_lasts_until_the_last_command_is_gone(runner, tmp_path):
    path, fifo = f"{tmp_path}/lock", tmp_path / "fifo"
    os.mkfifo(fifo)
    running, ended = threading.Event(), threading.Event()

    def work():
        runner.run(Command(("sh", "-c", f"echo started; read x <{fifo}"), output=lambda data: running.set()))
        ended.set()

    with contextlib.ExitStack() as stack:
        stack.enter_context(runner.lock(path, "first"))
        worker = threading.Thread(target=work)
        worker.start()
        assert running.wait(60)
        giver = threading.Thread(target=stack.pop_all().close)
        giver.start()
    with pytest.raises(Refused, match="first"), runner.lock(path, "second"):
        pytest.fail("two hold the lock")
    fifo.write_text("go\n")
    worker.join()
    giver.join()
    with runner.lock(path, "third"):
        pass
