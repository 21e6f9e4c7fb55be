"""Converge, killed for real (SIGKILL) at every changing host call, before and after its effect; then the next run.

A call that takes a while is also killed in its midst, with its child at work.

    python tests/crash/matrix.py [--fleet small|example] [--every N] [--part K/N] [--states] [--only WORDS] [--jobs N]

Exit status 1 when any next run does not converge, leaves anything behind, loses a volume, disturbs a jail that the
change was not about, or needs a lock to be removed by hand. The last line is the counts as JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import pkgutil
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import reconciler.kinds
import reconciler.makejail.instructions
from reconciler.hosts.sandbox.mirror import build
from tests.crash.fleets import FLEETS
from tests.crash.trial import Bench, Case, Result

LONG = 0.04  # seconds from which a call counts as a child at work that is worth killing the tool under
SHOWN = 6  # things said about one trial
PARTS = (0.3, 0.7)  # how far into it


def chosen(count: int, every: int, part: tuple[int, int]) -> list[int]:
    """The numbers of the calls to kill at: one of `every`, the first and the last among them; of a part, its share."""
    at, parts = part
    return [n for n in range(1, count + 1) if (n - 1) % parts == at - 1 and ((n - 1) % every == 0 or n == count)]


def cases(number: int, calls: list[tuple[str, float]], numbers: list[int], *, states: bool) -> Iterator[Case]:
    """Every kill of a scenario at these calls, counted from 1.

    With `states`, one kill for each state of the host: before a call it is as it was after the one before that.
    """
    for n in numbers:
        what, seconds = calls[n - 1]
        if n == 1 or not states:
            yield Case(number, n, "before", what)
        yield Case(number, n, "after", what)
        if seconds >= LONG:
            for part in PARTS:
                yield Case(number, n, "during", what, seconds * part)


def _shown(result: Result, name: str) -> str:
    case = result.case
    lines = [f"  {name}: killed {case.when} call {case.n}: {case.what}"]
    for word in ("failed", "orphans", "lost", "disturbed"):
        found = getattr(result, word)
        lines += [f"    {word}: {text}" for text in found[:SHOWN]]
        lines += [f"    {word}: … and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "\n".join(lines)


def counted(results: Iterable[Result], calls: int) -> dict[str, int]:
    """The counts of a scenario."""
    found = list(results)
    return {
        "calls": calls,
        "kills": sum(r.killed for r in found),
        "recovered": sum(r.killed and not r.failed and not r.unlocks for r in found),
        "orphans": sum(len(r.orphans) for r in found),
        "lost volumes": sum(len(r.lost) for r in found),
        "disturbed jails": sum(len(r.disturbed) for r in found),
        "manual unlocks": sum(r.unlocks for r in found),
    }


def _part(word: str) -> tuple[int, int]:
    at, _, parts = word.partition("/")
    if not 1 <= int(at) <= int(parts):
        raise ValueError(word)
    return int(at), int(parts)


def main(words: list[str]) -> int:
    """Run the matrix; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", choices=sorted(FLEETS), default="small")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="kill at one of N calls")
    parser.add_argument(
        "--part", type=_part, default=(1, 1), metavar="K/N", help="the K-th of N shares of the calls, for long runs"
    )
    parser.add_argument("--states", action="store_true", help="kill once for each state of the host: half the kills")
    parser.add_argument("--only", default="", metavar="WORDS", help="scenarios with these words in their name")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, metavar="N")
    asked = parser.parse_args(words)
    memory = Path("/dev/shm")
    quick = str(memory) if os.access(memory, os.W_OK) else None
    scratch = Path(tempfile.mkdtemp(prefix="crash-", dir=quick))
    try:
        return _run(asked, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(asked: argparse.Namespace, scratch: Path) -> int:
    began = time.monotonic()
    for package in (reconciler.kinds, reconciler.makejail.instructions):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)  # once, here: the runs are forks of this process
    build(scratch / "mirror")
    scenarios = tuple(s for s in FLEETS[asked.fleet]() if asked.only in s.name)
    bench = Bench(scratch, f"file:{scratch}/mirror/releases", scenarios)
    total: dict[str, int] = {}
    fork = multiprocessing.get_context("fork")
    print(f"{'scenario':<28}{'calls':>7}{'kills':>7}{'recovered':>11}{'orphans':>9}{'lost':>6}{'disturbed':>11}{'unlocks':>9}")
    good = True
    for number, scenario in enumerate(scenarios):
        calls = bench.calls(number)
        with ProcessPoolExecutor(asked.jobs, mp_context=fork) as pool:
            numbers = chosen(len(calls), asked.every, asked.part)
            results = list(pool.map(bench.trial, cases(number, calls, numbers, states=asked.states)))
        counts = counted(results, len(calls))
        shown = (f"{value:>{width}}" for value, width in zip(counts.values(), (7, 7, 11, 9, 6, 11, 9), strict=True))
        print(f"{scenario.name:<28}{''.join(shown)}", flush=True)
        for result in results:
            if not result.good:
                print(_shown(result, scenario.name), flush=True)
        good = good and all(result.good for result in results)
        total = {word: total.get(word, 0) + value for word, value in counts.items()}
    print(json.dumps({**total, "seconds": round(time.monotonic() - began), "ok": good}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
