"""What the machine that runs the tool refuses: said in a sentence, and nothing of it harmed."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import WEB


def test_a_plan_is_not_saved_over_what_is_no_regular_file(desk):
    desk.write("web.yaml", WEB)
    os.mkfifo(desk.folder / "pipe")
    for place in ("pipe", "/", "."):
        answer = desk.run("plan", "--out", place)
        assert answer.status == 1 and "plan-file-unusable" in answer.err
    assert stat.S_ISFIFO((desk.folder / "pipe").lstat().st_mode)


def test_a_journal_that_is_no_regular_file_stays_and_is_not_written(desk, monkeypatch):
    os.mkfifo(desk.folder / "pipe")
    monkeypatch.setenv("RECONCILER_JOURNAL", str(desk.folder / "pipe"))
    answer = desk.run("history")
    assert answer.status == 0 and "journal-off" in answer.err
    assert stat.S_ISFIFO((desk.folder / "pipe").lstat().st_mode)


def test_a_makejail_is_formatted_through_a_link_that_stays(desk):
    (desk.folder / "real").write_text("   RUN ls\n")
    (desk.folder / "Makejail").symlink_to("real")
    assert desk.run("makejail", "format", "--write", "Makejail").status == 0
    assert (desk.folder / "Makejail").is_symlink() and (desk.folder / "real").read_text() == "RUN ls\n"


def test_a_damaged_sandbox_is_named(desk):
    desk.write("web.yaml", WEB)
    (desk.folder / "box").mkdir()
    (desk.folder / "box" / "state.db").write_bytes(b"this is no database" * 100)
    answer = desk.run("plan")
    assert answer.status == 1 and "sandbox-damaged" in answer.err and "state.db" in answer.err


def test_a_host_below_a_file_is_refused_with_its_path(desk):
    desk.write("web.yaml", WEB)
    (desk.folder / "file").touch()
    answer = desk.run("plan", "--host", "sandbox:file/box")
    assert answer.status == 1 and "system-refused" in answer.err and "file/box" in answer.err


def shell(desk, line):
    """One line of a real shell, with the tool as `reconcile`."""
    env = {**os.environ, **desk.env, "PYTHONPATH": str(Path(__file__).parents[2])}
    line = f'reconcile() {{ "{sys.executable}" -m reconciler.cli.main "$@"; }}; {line}'
    argv = ["/bin/sh", "-c", line]
    return subprocess.run(argv, env=env, cwd=desk.folder, capture_output=True, text=True, check=False)


def test_standard_output_that_is_closed_is_no_mistake_of_the_tool(desk):
    desk.write("web.yaml", WEB)
    done = shell(desk, "reconcile validate specs >&-")
    assert done.returncode == 0 and not done.stderr


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this machine has no /dev/full")
def test_output_that_finds_no_room_is_a_failure(desk):
    desk.write("web.yaml", WEB)
    for words in ("plan --json", "render"):
        done = shell(desk, f"reconcile {words} > /dev/full")
        assert done.returncode == 1 and "No space left" in done.stderr, (words, done.stderr)


def test_a_name_that_is_no_text_is_a_mistake_of_the_caller(desk):
    answer = desk.run("history", "\udcff")
    assert answer.status == 64 and "not UTF-8" in answer.err


def test_what_never_ends_is_neither_formatted_nor_included(desk):
    answer = desk.run("makejail", "format", "/dev/zero")
    assert answer.status == 66 and "16 MiB" in answer.err
    os.mkfifo(desk.folder / "pipe")
    for name in ("pipe", "/dev/zero"):
        (desk.folder / "Makejail").write_text(f"INCLUDE {name}\n")
        answer = desk.run("makejail", "compile", "Makejail")
        assert answer.status and "error[include-missing]" in answer.err, answer


def test_no_simulated_host_is_made_among_the_files_of_something_else(desk):
    other = desk.folder / "etc"
    other.mkdir()
    (other / "passwd").write_text("root")
    answer = desk.run("plan", "--host", f"sandbox:{other}")
    assert answer.status == 1 and "not-a-sandbox" in answer.err
    assert [path.name for path in other.iterdir()] == ["passwd"]
