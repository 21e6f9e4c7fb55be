"""How long it takes to read what changed: some files in a small tree, and as many in a large one.

    python bench/record.py [--files 20000] [--changed 50]

It runs on an embedded host, whose `zfs diff` and whose snapshots walk the whole tree, as OpenZFS does not. So what is
compared is what the tool asks of a host and reads from it: commands, and bytes that come back. Both should be the same
for both trees; the time is for curiosity. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from reconciler.build.reading import difference
from reconciler.model.command import Command, Completed, Output
from reconciler.wraps import Wrapper
from tests.packages.lab import Lab


class Watched(Wrapper):
    """Counts commands, and the bytes that they answer."""

    calls = answered = 0

    def run(self, command: Command) -> Completed:
        """Run it, and count what goes to its sink as well."""
        sink = command.sink
        if sink is not None:
            command = replace(command, sink=lambda data: self._pass(sink, data))
        done = self.inner.run(command)
        self.calls += 1
        self.answered += len(done.stdout)
        return done

    def _pass(self, sink: Output, data: bytes) -> None:
        self.answered += len(data)
        sink(data)


def measure(files: int, changed: int) -> dict[str, float]:
    """Plant a tree, snapshot it, change some files, and read what changed."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        lab.dataset("jail")
        root = Path(lab.path("/jail").decode())
        for number in range(files):
            place = root / f"usr/local/share/d{number % 200:03}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"file-{number}").write_bytes(b"x" * 2000)
        lab.snapshot("zroot/jail@a")
        root = Path(lab.path("/jail").decode())
        for number in range(changed):
            (root / f"usr/local/share/d{number % 200:03}/file-{number}").write_bytes(b"changed" * 300)
        lab.snapshot("zroot/jail@b")
        runner = Watched(lab.plain)
        site = lab.over(runner)
        runner.calls = runner.answered = 0
        began = time.perf_counter()
        found = difference(site, [("zroot/jail@a", "zroot/jail@b")])
        whole = time.perf_counter() - began
        assert len(found.change.entries) == changed
        lab.close()
    return {"commands": runner.calls, "bytes": runner.answered, "seconds": round(whole, 1)}


def main() -> int:
    """Both trees, in one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--changed", type=int, default=50)
    given = parser.parse_args()
    told = {}
    print(f"{'files':>8} {'commands':>9} {'bytes back':>11} {'seconds':>8}")
    for files in (given.changed * 4, given.files):
        told[files] = took = measure(files, given.changed)
        print(f"{files:>8} {took['commands']:>9} {took['bytes']:>11} {took['seconds']:>8}")
    print(json.dumps({"changed": given.changed, "trees": told}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
