"""Scripted command lines: `$ reconcile ...` with all it prints and `[status]` where that is not 0.

`@ FILE` followed by lines that begin with `| ` writes a file; lines that begin with `#` are comments.
Times, dates and digests are left out of the comparison. `python -m tests.sessions.replay FILE` writes a
session anew with what is printed now, for a person to look at.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEADY = (
    (re.compile(r"\(\d+\.\d s\)"), "(T s)"),
    (re.compile(r"after \d+\.\d s"), "after T s"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC"), "DATE"),
    # Whether a release is past its end of life depends on the day on which the session goes.
    (re.compile(r"SUPPORT +"), "SUPPORT  "),
    (re.compile(r"(EOL )?\d{4}-\d\d-\d\d +"), "DAY  "),
    (re.compile(r"\b(?=[0-9]*[a-f])[0-9a-f]{8,64}\b"), "DIGEST"),
)


def replay(text: str, folder: Path) -> str:
    """The session as it goes in `folder` now."""
    out, lines = [], text.splitlines()
    while lines:
        line = lines.pop(0)
        if line.startswith("@ "):
            content = []
            while lines and lines[0].startswith("|"):
                content.append(lines.pop(0))
            path = folder / line[2:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{item[2:]}\n" for item in content))
            out += [line, *content]
        elif line.startswith("$ "):
            out += [line, *run(line[2:], folder)]
        elif line.startswith("#"):
            out += ["", line] if out else [line]
    return "\n".join(out) + "\n"


def run(command: str, folder: Path) -> list[str]:
    """What one command line prints, and its status."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RECONCILER_HOST": f"sandbox:{folder}/box",
        "RECONCILER_JOURNAL": f"{folder}/journal.db",
        "XDG_CACHE_HOME": f"{folder}/cache",
    }
    name, *argv = shlex.split(command)
    program = [sys.executable, "-m", "reconciler.cli.main"] if name == "reconcile" else [name]
    done = subprocess.run(
        [*program, *argv], cwd=folder, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    said = (done.stdout + done.stderr).replace(str(folder), "FOLDER")
    for pattern, word in STEADY:
        said = pattern.sub(word, said)
    lines = [line for line in said.splitlines() if line]
    return lines + ([f"[{done.returncode}]"] if done.returncode else [])


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as made:
            file.write_text(replay(file.read_text(), Path(made)))
            run("reconcile sandbox shutdown", Path(made))
