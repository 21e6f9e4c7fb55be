"""What a `reconcile plan` costs that finds nothing to do, for fleets of several sizes: see README.md.

    python bench/noop.py [--sizes 100,1000,10000] [--cache DIR] [--no-terraform]

CPU is that of the tool's own process from its start to its exit, user and system. The simulated host answers
from a process of its own, whose CPU stands in a column of its own. The last line is JSON.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from reconciler.hosts.sandbox.served import ServedRunner

REACH = {"cold_cpu_s": 6.0, "warm_cpu_s": 1.0, "peak_mb": 200.0, "host_commands": 8}
"""What is to be reached at 10,000 jails; commands at any size."""


@dataclass(frozen=True, slots=True)
class Run:
    """One process: seconds of CPU and of the clock, peak resident MB, and what it printed."""

    cpu: float
    wall: float
    peak: float
    said: str


def measured(argv: list[str], environment: dict[str, str]) -> Run:
    """Run a process to its end. Raises RuntimeError when it fails."""
    with tempfile.TemporaryFile() as out:
        start = time.monotonic()
        child = subprocess.Popen(argv, env=environment, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode(errors="replace")
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with status {child.returncode}: {said[-2000:]}")
    scale = 1024 if sys.platform != "darwin" else 1024 * 1024
    return Run(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / scale, said)


class Host:
    """The server process of a seeded sandbox."""

    def __init__(self, box: Path) -> None:
        """Start it."""
        self.box = box
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reconciler.hosts.sandbox.serve", str(box), "--with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.asked = ServedRunner(box, start=False)

    def commands(self) -> int:
        """How many commands it has answered."""
        return int(self.asked.count())

    def cpu(self) -> float:
        """Its seconds of CPU so far."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:  # no /proc
            argv = ["ps", "-o", "time=", "-p", str(self.process.pid)]
            shown = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
            parts = [float(part) for part in shown.strip().replace("-", ":").split(":")]
            return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))

    def close(self) -> None:
        """End it."""
        self.asked.close()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def row(cache: Path, count: int) -> dict[str, Any]:
    """The measurements at one size. Raises RuntimeError when a plan finds anything to do."""
    # By a process of its own: a child's peak memory begins with that of the process that started it.
    seeding = [sys.executable, "-m", "bench.seed", str(cache), str(count)]
    top = Path(__file__).parent.parent
    folder = Path(subprocess.run(seeding, cwd=top, check=True, capture_output=True, text=True).stdout.strip())
    host = Host(folder / "box")
    home = Path(tempfile.mkdtemp(prefix="noop-"))
    environment = os.environ | {"XDG_CACHE_HOME": str(home), "XDG_STATE_HOME": str(home)}
    argv = [sys.executable, "-m", "reconciler.cli.main", "plan", str(folder / "specs"), "--host", f"sandbox:{host.box}"]
    try:
        before, spent = host.commands(), host.cpu()
        cold = measured(argv, environment)
        commands, host_cpu = host.commands() - before, host.cpu() - spent
        before = host.commands()
        times = 3 if count < 5000 else 1  # the simulation takes its time
        warm = min((measured(argv, environment) for _ in range(times)), key=lambda run: run.cpu)
        commands = max(commands, (host.commands() - before) // times)
    finally:
        host.close()
        shutil.rmtree(home)
    for run in (cold, warm):
        if not run.said.startswith(f"No changes. {count} jail"):
            raise RuntimeError(f"the plan was to find nothing to do: {run.said[-2000:]}")
    return {
        "n": count, "cold_cpu_s": round(cold.cpu, 2), "cold_wall_s": round(cold.wall, 2),
        "warm_cpu_s": round(warm.cpu, 2), "warm_wall_s": round(warm.wall, 2),
        "peak_mb": round(max(cold.peak, warm.peak)), "warm_peak_mb": round(warm.peak),
        "host_commands": commands, "host_cpu_s": round(host_cpu, 2),
    }  # fmt: skip


def startup() -> dict[str, float]:
    """Seconds of CPU of the two shortest command lines."""
    tool = [sys.executable, "-m", "reconciler.cli.main"]
    return {
        word: round(min(measured([*tool, word], dict(os.environ)).cpu for _ in range(3)), 3)
        for word in ("--version", "--help")
    }


def terraform(count: int) -> float | None:
    """CPU seconds of `terraform plan` on as many terraform_data objects that exist; None where it cannot run."""
    program = shutil.which("terraform")
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="noop-terraform-") as folder:
        (Path(folder) / "main.tf").write_text(
            f'resource "terraform_data" "jail" {{\n  count = {count}\n  input = "j${{count.index}}"\n}}\n'
        )
        environment = os.environ | {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        at = [program, f"-chdir={folder}"]
        try:
            measured([*at, "init", "-input=false", "-no-color"], environment)
            measured([*at, "apply", "-auto-approve", "-input=false", "-no-color"], environment)
            return round(measured([*at, "plan", "-input=false", "-no-color"], environment).cpu, 2)
        except RuntimeError as error:
            print(f"terraform does not run here: {str(error)[-300:]}")
            return None


def table(rows: list[dict[str, Any]]) -> str:
    """The measurements as people read them, and what is to be reached."""
    heads = list(rows[0])
    goal = {head: str(REACH.get(head, "")) for head in heads} | {"n": "reach"}
    lines = [dict(zip(heads, heads, strict=True)), *({h: str(r[h]) for h in heads} for r in rows), goal]
    width = {head: max(len(line[head]) for line in lines) for head in heads}
    return "\n".join("  ".join(line[head].rjust(width[head]) for head in heads) for line in lines)


def main() -> None:
    """Measure and print."""
    os.environ["PYTHONDONTWRITEBYTECODE"] = ""  # as installed: with its modules compiled
    parser = argparse.ArgumentParser(prog="bench/noop.py")
    parser.add_argument("--sizes", default="100,1000,10000", help="how many jails, separated by commas")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / f"reconciler-bench-{os.getuid()}")
    parser.add_argument("--no-terraform", action="store_true", help="leave the comparison out")
    given = parser.parse_args()
    # As installing does: else every process compiles the tool anew where Python may not write byte code.
    compileall.compile_dir(Path(__file__).parent.parent / "reconciler", quiet=1)
    rows = []
    for size in map(int, given.sizes.split(",")):
        rows.append(row(given.cache, size))
        if not given.no_terraform and (seconds := terraform(size)) is not None:
            rows[-1]["terraform_cpu_s"] = seconds
        print(table([{**dict.fromkeys(rows[0], "-"), **rows[-1]}]), flush=True)
    if not given.no_terraform and shutil.which("terraform") is None:
        print("terraform is not on PATH: nothing to compare with.")
    begun = startup()
    print(f"start: --version {begun['--version']} s CPU, --help {begun['--help']} s CPU\n")
    print(table([{head: r.get(head, "-") for head in rows[0]} for r in rows]))
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
