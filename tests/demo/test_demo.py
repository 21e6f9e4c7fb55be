"""The demo claims nothing that is not so, and removes nothing that it did not make."""

import re
from pathlib import Path

import pytest

from reconciler.cli.main import main
from reconciler.hosts.open import open_runner
from reconciler.hosts.sandbox import rc
from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command

SPECS = Path(__file__).parents[2] / "specs"


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "demo"
    if (tmp_path / "demo" / "host").exists():
        rc.shutdown(Machine(tmp_path / "demo" / "host"))


def test_the_demo_does_what_it_says_and_leaves_the_host_to_look_at(folder, capfd):
    before = {path: path.read_bytes() for path in SPECS.rglob("*") if path.is_file()}

    assert main(["demo", str(folder), "--specs", str(SPECS)]) == 0

    said = capfd.readouterr().out
    commands = re.findall(r"^\$ ", said, re.MULTILINE)
    assert len(commands) == len(list((folder / "output").iterdir()))
    assert f"Done: {len(commands)} commands" in said
    running = open_runner(f"sandbox:{folder}/host").run(Command(("jls", "name"))).stdout.decode().split()
    assert sorted(running) == ["cache", "db", "monitor", "old", "proxy", "site", "worker"]
    assert {path: path.read_bytes() for path in SPECS.rglob("*") if path.is_file()} == before


def test_the_demo_removes_no_folder_that_it_did_not_make(folder):
    folder.mkdir()
    (folder / "mine").write_text("mine")

    assert main(["demo", str(folder), "--specs", str(SPECS)]) == 64
    assert (folder / "mine").read_text() == "mine"


def test_the_demo_wants_the_example_fleet(folder, tmp_path, capsys):
    assert main(["demo", str(folder), "--specs", str(tmp_path)]) == 64
    assert "does not hold the example fleet" in capsys.readouterr().err
    assert not folder.exists()


def test_what_does_not_come_out_as_claimed_fails_the_demo(folder, tmp_path, capfd):
    specs = tmp_path / "specs"
    specs.mkdir()
    for name in ("host.yaml", "releases.yaml"):
        (specs / name).write_text((SPECS / name).read_text())
    (specs / "site.yaml").write_text("kind: Jail\nname: Not A Name\n")

    assert main(["demo", str(folder), "--specs", str(specs)]) == 1
    assert "The demo failed: `reconcile plan" in capfd.readouterr().err
