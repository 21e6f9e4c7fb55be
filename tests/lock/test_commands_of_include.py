"""INCLUDE cmd+: run once, by who asks for it, where the lock is written; read ever after, and never from a stranger."""

from __future__ import annotations

import os
import select

import pytest

from reconciler.makejail import pinned as module
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.pinned import Pinned
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.program import compile_makejail

from .test_command import MAKEJAIL, lock_text
from .test_include import commit, git, include, refused

INCLUDE = "INCLUDE cmd+sh ./print one"


def told(desk, text: str) -> None:
    """The command of the Makejail prints this, and leaves a mark that it ran."""
    desk.write("print", f"touch ran\necho '{text}'\n")


def ran(desk) -> bool:
    mark = desk.folder / "specs/ran"
    found = mark.exists()
    mark.unlink(missing_ok=True)
    return found


def test_a_command_runs_only_where_it_is_asked_for_and_its_output_is_pinned(desk):
    desk.write("web.yaml", MAKEJAIL)
    desk.write("Makejail", f"{INCLUDE}\n")
    told(desk, "PKG nginx")
    for words in (["plan"], ["validate"], ["lock", "--check"], ["lock"]):
        answer = desk.run(*words)
        assert answer.status in (1, 2) and "include-unpinned" in answer.out + answer.err
    assert "reconcile lock --run-commands" in answer.err and not ran(desk)
    answer = desk.run("lock", "--run-commands")
    assert answer.status == 0 and "+ commands  sh ./print one" in answer.out and ran(desk), answer
    assert '"sh ./print one": ' in lock_text(desk) and "nginx" in lock_text(desk)
    before = desk.run("plan").out
    assert "PKG" in before and "nothing pins" not in before
    told(desk, "PKG redis")
    assert desk.run("plan").out == before and desk.run("validate").status == 0
    assert "Nothing moved" in desk.run("lock", "--run-commands").out
    assert "commands" not in desk.run("lock", "--update").out and not ran(desk)
    answer = desk.run("lock", "--update", "--run-commands")
    assert "~ commands  sh ./print one" in answer.out and ran(desk)
    assert len(list((desk.folder / "specs/reconcile.lock.d").iterdir())) == 1
    assert desk.run("plan").out != before


def test_what_was_printed_is_held_to_its_digest_and_goes_with_its_line(desk):
    desk.write("web.yaml", MAKEJAIL)
    desk.write("Makejail", f"{INCLUDE}\n")
    told(desk, "CMD true")
    assert desk.run("lock", "--run-commands").status == 0
    (kept,) = (desk.folder / "specs/reconcile.lock.d").iterdir()
    kept.write_text("RAW evil\n")
    answer = desk.run("plan")
    assert answer.status == 1 and "not there or not as it was" in answer.err
    desk.write("Makejail", "CMD true\n")
    assert desk.run("lock").status == 0
    assert not kept.parent.exists() and "commands" not in lock_text(desk)


@pytest.mark.parametrize("policy", ["deny", "listed"])
def test_policy_decides_too(desk, policy):
    host = f"---\nkind: Host\nname: here\nmatch: {{hostname: '*'}}\npolicy: {{host_code: {policy}}}\n"
    desk.write("web.yaml", MAKEJAIL + host)
    desk.write("Makejail", f"{INCLUDE}\n")
    told(desk, "CMD true")
    answer = desk.run("lock", "--run-commands")
    assert answer.status == 1 and f"policy.host_code is {policy}" in answer.err and not ran(desk)


def asking(folder, **fields: object) -> Pinned:
    """Pins of a person who lets commands run."""
    return Pinned({}, {}, folder / "cache", True, beside=folder / "reconcile.lock.d", held_back="", **fields)


def test_a_strangers_command_is_not_run(tmp_path):
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    commit(repository, {"Makejail": f"INCLUDE cmd+touch {tmp_path}/ran\n"})
    line = f"INCLUDE git+{repository}"
    assert refused(asking(tmp_path), tmp_path, line) == "include-method-unavailable"
    printed = f"INCLUDE cmd+echo INCLUDE cmd+touch {tmp_path}/ran"
    assert refused(asking(tmp_path), tmp_path, printed) == "include-method-unavailable"
    elsewhere = asking(tmp_path, area=tmp_path / "specs")
    assert refused(elsewhere, tmp_path, f"INCLUDE cmd+touch {tmp_path}/ran") == "include-method-unavailable"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "line",
    [
        "FROM --entrypoint 'cmd+touch {0}/ran' image",
        "EXEC --name other --file 'cmd+touch {0}/ran'",
        "EXEC --name other --file Own --before-include 'cmd+touch {0}/ran'",
        "EXEC --name other --file Own --after-include 'cmd+touch {0}/ran'",
    ],
)
def test_what_from_and_exec_name_is_no_command_since_a_stranger_may_have_written_the_line(tmp_path, line):
    (tmp_path / "Own").write_text("CMD true\n")
    (tmp_path / "Makejail").write_text(line.format(tmp_path) + "\n")
    with pytest.raises(MakejailError) as error:
        compile_makejail("Makejail", LocalFiles(), str(tmp_path), methods=asking(tmp_path).methods())
    assert error.value.diagnostics[0].code == "include-method-unavailable"
    assert not (tmp_path / "ran").exists()


def test_the_same_words_in_another_folder_are_another_command(tmp_path):
    (tmp_path / "a").mkdir()
    pinned = asking(tmp_path)
    assert include(pinned, tmp_path, "INCLUDE cmd+echo RAW x") == ["RAW x"]
    assert include(pinned, tmp_path / "a", "INCLUDE cmd+echo RAW x") == ["RAW x"]
    assert sorted(pinned.commands) == ["a: echo RAW x", "echo RAW x"]


def test_a_command_is_bounded_in_time_and_in_what_it_prints(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PRINTED", 1000)
    assert refused(asking(tmp_path), tmp_path, "INCLUDE cmd+yes") == "include-failed"
    assert refused(asking(tmp_path), tmp_path, "INCLUDE cmd+sh -c 'exit 3'") == "include-failed"
    assert refused(asking(tmp_path), tmp_path, "INCLUDE cmd+./is-not-there") == "include-failed"
    monkeypatch.setattr(module, "SECONDS", 0.1)
    # What it started ends with it: whatever holds the pipe open would keep the end from coming.
    os.mkfifo(tmp_path / "alive")
    (tmp_path / "slow").write_text("exec 9>alive; sleep 600 & wait\n")
    with open(os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK), "rb") as alive:
        assert refused(asking(tmp_path), tmp_path, "INCLUDE cmd+sh ./slow") == "include-failed"
        assert select.select([alive], [], [], 60)[0] and alive.read() == b""
    assert not (tmp_path / "reconcile.lock.d").exists()
