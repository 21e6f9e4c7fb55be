"""Reads captures: what a real FreeBSD 15.1 answered, by file and command line."""

from pathlib import Path

from reconciler.model.command import Completed

DATA = Path(__file__).parent / "data"


def answers(file: str) -> list[tuple[str, Completed]]:
    """Every command line of a capture file with what it answered."""
    found = []
    for entry in (DATA / file).read_text().removeprefix("$ ").split("\n$ "):
        command, _, rest = entry.partition("\n")
        rest, _, status = rest.rpartition("--- rc=")
        stdout, _, stderr = rest.partition("--- stderr\n")
        stdout = stdout.partition("--- stdout\n")[2]
        done = Completed(tuple(command.split()), int(status), stdout.encode(), stderr.encode())
        found.append((command, done))
    return found


def answer(file: str, command: str, *, nth: int = 0) -> Completed:
    """What the nth run of one command line answered."""
    return [done for line, done in answers(file) if line == command][nth]
