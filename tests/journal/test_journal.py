"""The journal remembers, and never stands in the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.journal import RUNS_KEPT, TAIL_LIMIT, Journal, open_journal
from reconciler.model.diagnostic import Diagnostic


def clock() -> Callable[[], float]:
    ticks = iter(range(1000, 10**9))
    return lambda: float(next(ticks))


@pytest.fixture
def warned() -> list[Diagnostic]:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def journal(path: Path, warned: list[Diagnostic]) -> Iterator[Journal]:
    opened = open_journal(path, warned.append, now=clock())
    yield opened
    opened.close()


def one_run(journal: Journal, scope: str = "web") -> int:
    run = journal.begin_run("abc", "apply", "h1", "sha256:1")
    journal.step(run, f"jail:{scope}", scope, "StartJail", "applied", 1.5, "because its root changes", b"ok\n")
    journal.end_run(run, "done")
    return run


def test_a_run_and_its_steps_are_told_newest_first(journal: Journal) -> None:
    first, second = one_run(journal), one_run(journal, "db")
    runs = journal.history()
    assert [run.id for run in runs] == [second, first]
    assert (runs[1].commit, runs[1].command, runs[1].host, runs[1].specs) == (
        "abc",
        "apply",
        "h1",
        "sha256:1",
    )
    assert (runs[1].status, runs[1].ended is not None) == ("done", True)
    step = runs[1].steps[0]
    assert (step.ref, step.scope, step.action, step.outcome) == ("jail:web", "web", "StartJail", "applied")
    assert (step.seconds, step.detail, step.tail) == (1.5, "because its root changes", "ok\n")


def test_the_history_of_a_jail_has_its_runs_and_steps_only(journal: Journal) -> None:
    one_run(journal, "db")
    both = journal.begin_run("", "apply", "h1", "s")
    for scope in ("web", "db", "web"):
        journal.step(both, f"jail:{scope}", scope, "StopJail", "applied", 0.1)
    assert [(run.id, len(run.steps)) for run in journal.history(jail="web")] == [(both, 2)]
    assert len(journal.history(1, jail="db")) == 1
    assert journal.history(jail="none") == ()


def test_a_run_that_was_killed_stays_open_and_keeps_its_steps(path: Path, warned: list[Diagnostic]) -> None:
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom reconciler.journal import open_journal\n"
        "journal = open_journal(Path(sys.argv[1]), print)\n"
        "run = journal.begin_run('c', 'apply', 'h', 's')\n"
        "journal.step(run, 'jail:web', 'web', 'StopJail', 'applied', 0.5)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    journal = open_journal(path, warned.append)
    run = journal.history()[0]
    assert (run.status, run.ended, [step.action for step in run.steps]) == (None, None, ["StopJail"])
    assert warned == []
    journal.close()


def test_the_file_is_for_its_owner_only(journal: Journal, path: Path) -> None:
    one_run(journal)
    assert {p.stat().st_mode & 0o777 for p in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_secrets_and_passwords_never_get_in(journal: Journal, path: Path) -> None:
    journal.conceal(["canary-one", "canary-one-longer", "first-line\nsecond-line", "a"])
    run = journal.begin_run("canary-one", "apply https://me:canary-pass@git.example/x", "h", "s")
    output = b"x canary-one-longer y canary-one second-line" + b"." * (TAIL_LIMIT - 8)
    journal.step(run, "jail:canary-one", "web", "canary-one", "failed", 0.1, "first-line\nsecond-line", output)
    journal.end_run(run, "canary-one")
    journal.close()
    stored = b"".join(p.read_bytes() for p in path.parent.iterdir())
    for secret in (b"canary", b"longer", b"first-line", b"second-line"):
        assert secret not in stored


def test_output_is_kept_as_a_short_tail_of_any_bytes(journal: Journal) -> None:
    run = journal.begin_run("", "apply", "h", "s")
    journal.step(run, "r", "web", "a", "failed", 0.1, "d" * 10_000, b"\xff\x00" * 10_000 + b"end")
    step = journal.history()[0].steps[0]
    assert (len(step.tail), step.tail.endswith("end"), len(step.detail)) == (TAIL_LIMIT, True, 2048)
    journal.step(run, "\ud800", "web", "a", "failed", 0.1)
    assert len(journal.history()[0].steps) == 2


def test_threads_share_a_journal(journal: Journal) -> None:
    run = journal.begin_run("", "apply", "h", "s")
    threads = [
        threading.Thread(target=lambda i=i: [journal.step(run, f"r{i}", "web", "a", "applied", 0.0) for _ in range(20)])
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.history()[0].steps) == 80


def test_two_journals_on_one_file_see_each_others_runs(journal: Journal, path: Path, warned: list[Diagnostic]) -> None:
    other = open_journal(path, warned.append)
    one_run(journal)
    one_run(other)
    assert len(journal.history()) == len(other.history()) == 2
    other.close()
    assert warned == []


def test_old_runs_make_room(journal: Journal, path: Path) -> None:
    one_run(journal)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'run'", (RUNS_KEPT + 5,))
    db.close()
    one_run(journal)
    last = one_run(journal)
    assert [run.id for run in journal.history()] == [last, last - 1]


@settings(max_examples=25, deadline=None, database=None)
@given(st.data())
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.db"
    warned: list[Diagnostic] = []
    journal = open_journal(path, warned.append, now=clock())
    for _ in range(30):
        one_run(journal)
    journal.close()
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=600))
    path.write_bytes(whole[:at] + junk + (whole[at + len(junk) :] if data.draw(st.booleans()) else b""))
    again = open_journal(path, warned.append, now=clock())
    one_run(again)
    again.history(100)
    one_run(again)
    assert len(again.history(1000)) >= 1 or warned
    assert {d.code for d in warned} <= {"journal-damaged", "journal-off"}
    again.close()


def test_damage_that_sqlite_quotes_in_bytes_that_are_no_text_is_damage(path: Path, warned: list[Diagnostic]) -> None:
    journal = open_journal(path, warned.append, now=clock())
    one_run(journal)
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"CREATE TABLE", b"CREATE \x80ABLE"))
    again = open_journal(path, warned.append, now=clock())
    one_run(again)
    assert [d.code for d in warned] == ["journal-damaged"]
    again.close()


def test_what_is_no_database_is_kept_beside_the_new_one(path: Path, warned: list[Diagnostic]) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    path.chmod(0o600)
    journal = open_journal(path, warned.append, now=lambda: 7.0)
    one_run(journal)
    assert len(journal.history()) == 1
    assert [(d.code, d.severity) for d in warned] == [("journal-damaged", "warning")]
    assert (path.parent / "journal.db.damaged-7").read_bytes().startswith(b"not a database")
    journal.close()


def test_a_lost_file_loses_nothing_but_history(path: Path, journal: Journal, warned: list[Diagnostic]) -> None:
    one_run(journal)
    journal.close()
    for file in path.parent.iterdir():
        file.unlink()
    again = open_journal(path, warned.append)
    assert (again.history(), warned) == ((), [])
    one_run(again)
    again.close()


@pytest.mark.parametrize("place", ["/proc/journal.db", "/dev/null/x/journal.db", "FOLDER", "LINK"])
def test_without_a_place_to_write_the_journal_is_off_and_work_goes_on(
    tmp_path: Path, warned: list[Diagnostic], place: str
) -> None:
    (tmp_path / "LINK").symlink_to(tmp_path / "victim")
    (tmp_path / "FOLDER").mkdir()
    journal = open_journal(tmp_path / place, warned.append)
    assert not journal.on
    assert one_run(journal) == 0
    assert journal.history() == ()
    assert [(d.code, d.severity) for d in warned] == [("journal-off", "warning")]
    assert not (tmp_path / "victim").exists()


def test_a_file_of_a_newer_program_is_left_alone(path: Path, warned: list[Diagnostic]) -> None:
    open_journal(path, warned.append).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    journal = open_journal(path, warned.append)
    assert one_run(journal) == 0
    assert "format 99" in warned[0].detail
    assert [name for name in os.listdir(path.parent) if "damaged" in name] == []


def test_another_connection_of_this_process_does_not_take_away_the_locks_of_one(tmp_path):
    """Or the next process to close the file takes itself for the last, and the log away from whoever writes to it."""
    path = tmp_path / "journal.db"
    first = open_journal(path, lambda problem: pytest.fail(problem.detail))
    first.begin_run("", "one", "host", "")
    open_journal(path, lambda problem: pytest.fail(problem.detail)).close()
    other = f"import sqlite3; db = sqlite3.connect({str(path)!r}); db.execute('SELECT * FROM run'); db.close()"
    subprocess.run([sys.executable, "-c", other], timeout=60, check=True)
    assert path.with_name("journal.db-wal").exists()
    first.close()


@pytest.mark.parametrize("name", ["passwd", "id_ed25519", "pkg.sqlite", "other.db"])
def test_a_file_of_somebody_else_stays_where_it_is_and_as_it_is(tmp_path: Path, name: str) -> None:
    """RECONCILER_JOURNAL may name anything by mistake."""
    path = tmp_path / name
    if name == "pkg.sqlite":
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE packages (name TEXT)")
            db.commit()
    else:
        path.write_bytes(b"root:*:0:0::/root:/bin/sh\n" * 100)
    path.chmod(0o600 if name == "id_ed25519" else 0o644)
    before, warned = path.read_bytes(), []
    journal = open_journal(path, warned.append)
    journal.begin_run("", "apply", "local", "")
    journal.close()
    assert [d.code for d in warned] == ["journal-off"]
    assert path.read_bytes() == before and os.listdir(tmp_path) == [name]
