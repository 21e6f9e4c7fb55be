"""A secret is on the jail's tmpfs and nowhere else: not in the pool, the state, a plan, or what a run prints."""

from __future__ import annotations

from pathlib import Path

from tests.fleet import Fleet, problems

CANARY = b"c4n4ry-0f-4-s3cr3t"
SPEC = """
kind: Jail
name: web
release: 15.1-RELEASE
secrets:
  - {name: file, from: {file: /root/token}, path: /run/secrets/token}
  - {name: linked, from: {file: /root/token}, path: /etc/app/token, owner: www, mode: "0440"}
  - {name: printed, from: {command: [/bin/cat, /root/token]}, path: /run/secrets/printed}
healthcheck: {command: [grep, -q, c4n4ry, /etc/app/token], interval: 0}
"""


def places(folder: Path) -> list[str]:
    """Files below a folder that hold the canary, by relative path."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and CANARY in path.read_bytes():
            found.append(str(path.relative_to(folder)))
    return sorted(found)


def test_a_secret_lies_on_the_tmpfs_only_and_is_gone_when_the_jail_stops(fleet: Fleet) -> None:
    fleet.runner.write("/root/token", CANARY)
    fleet.write(SPEC.replace("c4n4ry, /etc", "., /etc"))
    report = fleet.apply()
    assert problems(report) == []
    text = repr([(r.step, r.diagnostics, r.output) for r in report.results.values()]).encode()
    assert CANARY not in text
    running = places(fleet.folder / "host")
    assert [p for p in running if not p.startswith(("host/root/token", "tmpfs/"))] == []
    assert len([p for p in running if p.startswith("tmpfs/")]) == 3
    fleet.write(SPEC.replace("c4n4ry, /etc", "., /etc").replace("kind: Jail", "kind: Jail\nstate: stopped"))
    assert problems(fleet.apply()) == []
    assert places(fleet.folder / "host") == ["host/root/token"]
