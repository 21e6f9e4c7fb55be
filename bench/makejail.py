"""How fast Makejails compile: from text to a Program with its segments' scripts and digests.

    python bench/makejail.py [--lines 100,1000,10000]

Times are of the CPU, the best of several runs in this process. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
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


def main() -> int:
    """Print a table and one JSON line; 1 where the reach is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", default="100,1000,10000")
    sizes = [int(size) for size in parser.parse_args().lines.split(",")]
    stages = ("lines", "include", "macros", "compile", "all")
    print("lines   " + "".join(f"{stage + ' ms':>12}" for stage in stages) + "   lines/s")
    rows = {}
    for size in sizes:
        found = measured(size)
        rows[size] = found
        print(f"{size:<8}" + "".join(f"{found[s] * 1000:>12.2f}" for s in stages) + f"{size / found['all']:>10.0f}")
    compiled = rows.get(REACH_LINES, {}).get("compile", 0.0)
    reached = compiled <= REACH_S
    shown = {str(size): {stage: round(value, 6) for stage, value in found.items()} for size, found in rows.items()}
    print(json.dumps({"bench": "makejail", "seconds": shown, "reach_s": REACH_S, "reached": reached}))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
