"""How fast Makejails compile, from text to a Program with its segments' scripts and digests; and what of a build runs
again when its last step changed.

    python bench/makejail.py [--lines 100,1000,10000] [--steps 20] [--work 0.5]

Times of compiling are of the CPU, the best of several runs in this process. Times of builds are of the clock, from
`reconcile build` to its end in a sandbox: each step takes WORK seconds, as little as a small package or a few files
to compile would. `--steps 0` leaves builds out. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from reconciler.makejail.compile import compile_lines
from reconciler.makejail.include import flatten
from reconciler.makejail.lines import logical_lines
from reconciler.makejail.macros import expand_macros
from reconciler.makejail.program import compile_text

REACH_S = 0.05
"""Seconds in which the lines of `REACH_LINES` are to be compiled."""
REACH_LINES = 1000
REACH_SHARE = 0.1
"""Of the time of a full build: what a build may take whose last step changed."""
BLOCK = """\
# A block as real files have them.
PKG nginx "php$n"
SYSRC nginx_enable=YES "hostname=$APPJAIL_JAILNAME"
CMD echo "listening on ${port}" > /etc/motd; \\
    ls /usr/local
RAW if [ -n "$port" ]; then
CMD sed -i '' -e "s|%%PORT%%|${port}|" /usr/local/etc/nginx/nginx.conf
RAW fi
VAR --make-arg-env n=$port-1
RUN make -C /usr/src "install world"
"""


class OneFile:
    """Sources that hold one file."""

    def __init__(self, text: str) -> None:
        self.data = text.encode()

    def read(self, path: str) -> bytes:
        return self.data

    def realpath(self, path: str) -> str:
        return path

    def isdir(self, path: str) -> bool:
        return False

    def walk(self, path: str) -> None:
        return None


def best(run: Callable[[], object], times: int) -> float:
    """Seconds of CPU of the fastest of several runs."""
    found = []
    for _ in range(times):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def measured(lines: int) -> dict[str, float]:
    """Seconds of each stage of the way for a Makejail of that many lines."""
    text = "ARG port=80\n" + BLOCK * (lines // BLOCK.count("\n"))
    flat = flatten("/Makejail", OneFile(text), "/")
    expanded = expand_macros(flat)
    times = 3 if lines > 5000 else 7
    return {
        "lines": best(lambda: logical_lines(text, "Makejail"), times),
        "include": best(lambda: flatten("/Makejail", OneFile(text), "/"), times),
        "macros": best(lambda: expand_macros(flat), times),
        "compile": best(lambda: compile_lines(expanded, "/"), times),
        "all": best(lambda: compile_text(text), times),
    }


def built(steps: int, work: float) -> tuple[float, float]:
    """Seconds of a full build of that many steps, and of the same with another last step."""
    from reconciler.cli.main import main as reconcile
    from tests.fleet import mirror

    spec = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nmakejail: {file: web.makejail}\n"
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path(name)
        os.environ |= {
            "RECONCILER_HOST": f"sandbox:{folder}/box",
            "RECONCILER_JOURNAL": f"{folder}/journal.db",
            "RECONCILER_MIRROR": mirror(folder / "mirror", "15.1-RELEASE"),
            "XDG_CACHE_HOME": f"{folder}/cache",
        }
        (folder / "specs").mkdir()
        (folder / "specs/web.yaml").write_text(spec)
        found = []
        # The first build has one step: what it fetches and makes for all others is not the build's own time.
        for last, count in (("warm", 1), ("one", steps), ("other", steps)):
            lines = [f"CMD sleep {work}; echo {n} > /step-{n}" for n in range(1, count)]
            lines.append(f"CMD sleep {work}; echo {last} > /last\n")
            (folder / "specs/web.makejail").write_text("\n".join(lines))
            start, said = time.monotonic(), io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = reconcile(["build", "web"])
            found.append(time.monotonic() - start)
            if status:
                raise RuntimeError(f"the build ended with status {status}:\n{said.getvalue()}")
    return found[1], found[2]


def main() -> int:
    """Print tables and one JSON line; 1 where a reach is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", default="100,1000,10000")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--work", type=float, default=0.5)
    asked = parser.parse_args()
    compiled, rows = compiling([int(size) for size in asked.lines.split(",")])
    reached = compiled <= REACH_S
    said: dict[str, object] = {"bench": "makejail", "seconds": rows, "reach_s": REACH_S}
    if asked.steps:
        full, again = built(asked.steps, asked.work)
        print(f"build of {asked.steps} steps: {full:.2f} s; its last step changed: {again:.2f} s ({again / full:.1%})")
        said |= {"full_s": round(full, 3), "last_s": round(again, 3), "reach_share": REACH_SHARE}
        reached = reached and again <= full * REACH_SHARE
    print(json.dumps({**said, "reached": reached}))
    return 0 if reached else 1


def compiling(sizes: list[int]) -> tuple[float, dict[str, dict[str, float]]]:
    """Seconds of the compile of REACH_LINES lines, and of each stage by number of lines; printed as a table."""
    stages = ("lines", "include", "macros", "compile", "all")
    print("lines   " + "".join(f"{stage + ' ms':>12}" for stage in stages) + "   lines/s")
    rows = {}
    for size in sizes:
        found = measured(size)
        rows[size] = found
        print(f"{size:<8}" + "".join(f"{found[s] * 1000:>12.2f}" for s in stages) + f"{size / found['all']:>10.0f}")
    shown = {str(size): {stage: round(value, 6) for stage, value in found.items()} for size, found in rows.items()}
    return rows.get(REACH_LINES, {}).get("compile", 0.0), shown


if __name__ == "__main__":
    sys.exit(main())
