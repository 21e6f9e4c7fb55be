"""Command lines on a sandbox of their own, with cache and journal beside it."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from reconciler.cli.main import main

WEB = """kind: Jail
name: web
release: 15.1-RELEASE
volumes:
  - {name: www, mountpoint: /usr/local/www}
"""
DB = """kind: Jail
name: db
release: 15.1-RELEASE
"""


class Answer(NamedTuple):
    """What a command line left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


class Desk:
    """A folder with specs and a sandbox; `run` is one command line in it."""

    def __init__(self, folder: Path, capsys, monkeypatch):
        self.folder = folder
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.env = {
            "RECONCILER_HOST": f"sandbox:{folder}/box",
            "RECONCILER_JOURNAL": f"{folder}/journal.db",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        (folder / "specs").mkdir(exist_ok=True)

    def write(self, name: str, text: str) -> None:
        (self.folder / "specs" / name).write_text(text)

    def run(self, *argv: str, stdin: bytes = b"") -> Answer:
        self._capsys.readouterr()
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = main(argv)
        said = self._capsys.readouterr()
        return Answer(status, said.out, said.err)

    def start(self, *argv: str) -> subprocess.Popen:
        root = str(Path(__file__).parents[2])
        env = {**os.environ, **self.env, "PYTHONPATH": root}
        return subprocess.Popen(
            [sys.executable, "-m", "reconciler.cli.main", *argv],
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def zfs(self, *argv: str) -> str:
        """What an administrator does by hand on the host."""
        from reconciler.hosts.open import open_runner
        from reconciler.model.command import Command

        done = open_runner(self.env["RECONCILER_HOST"]).run(Command(("zfs", *argv)))
        assert done.status == 0, done.stderr
        return done.stdout.decode()


class Shelf:
    """Desks that were made ready once, each put back as it was, at the same place, for every test that takes it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def take(self, name: str, capsys, monkeypatch, prepare: Callable[[Desk], None]) -> Desk:
        place, kept = self.folder / name / "desk", self.folder / name / "kept"
        if not kept.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            prepare(Desk(place, capsys, monkeypatch))
            shutil.copytree(place, kept, symlinks=True)
        monkeypatch.chdir(self.folder)
        shutil.rmtree(place)
        shutil.copytree(kept, place, symlinks=True)
        return Desk(place, capsys, monkeypatch)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    return Shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def desk(tmp_path, capsys, monkeypatch):
    return Desk(tmp_path, capsys, monkeypatch)


def converge_two(desk: Desk) -> None:
    """Two jails, applied; then the machine is turned off, for no process outlives a test."""
    desk.write("web.yaml", WEB)
    desk.write("db.yaml", DB)
    answer = desk.run("apply")
    assert answer.status == 0, answer
    assert desk.run("sandbox", "shutdown").status == 0


@pytest.fixture
def running(shelf, capsys, monkeypatch):
    """A desk whose two jails run."""
    desk = shelf.take("running", capsys, monkeypatch, converge_two)
    booted = desk.run("sandbox", "reboot")
    assert booted.status == 0, booted
    yield desk
    desk.run("sandbox", "shutdown")
