"""The whole demo, some 45 seconds on two idle cores: `make test-demo`."""

import re

from reconciler.cli.main import main
from reconciler.hosts.open import open_runner
from reconciler.model.command import Command

from .conftest import SPECS


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
