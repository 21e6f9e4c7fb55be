"""What a simulated command says: output as it is gathered, and refusals as exceptions."""

from __future__ import annotations

import errno
import getopt
import os
from collections.abc import Sequence

from reconciler.model.command import Command, Completed


class Refusal(Exception):
    """The command ends here, with these words on standard error and this exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        """`message` has no newline at its end."""
        super().__init__(message)
        self.message = message
        self.status = status


class Answer:
    """Standard output and error of one command as they grow."""

    def __init__(self) -> None:
        """Start with nothing said and status 0."""
        self.out: list[str] = []
        self.err: list[str] = []
        self.status = 0

    def say(self, text: str) -> None:
        """One line on standard output."""
        self.out.append(text + "\n")

    def warn(self, text: str, status: int = 1) -> None:
        """One line on standard error; the command goes on but will end with `status`."""
        self.err.append(text + "\n")
        self.status = status

    def completed(self, command: Command) -> Completed:
        """The answer as bytes."""
        return Completed(command.argv, self.status, encode("".join(self.out)), encode("".join(self.err)))


def encode(text: str) -> bytes:
    """Bytes of a text that may hold undecodable file names."""
    return text.encode("utf-8", "surrogateescape")


def options(argv: Sequence[str], short: str, usage: str, status: int = 2) -> tuple[dict[str, list[str]], list[str]]:
    """Parse as getopt(3) does on FreeBSD, which stops at the first operand.

    Returns the values of each letter that was given ("" for flags), and the operands.
    """
    try:
        found, operands = getopt.getopt(list(argv), short)
    except getopt.GetoptError as error:
        if "requires argument" in error.msg:
            raise Refusal(f"missing argument for '{error.opt}' option\n{usage}", status) from error
        raise Refusal(f"invalid option '{error.opt}'\n{usage}", status) from error
    given: dict[str, list[str]] = {}
    for letter, value in found:
        given.setdefault(letter.lstrip("-"), []).append(value)
    return given, operands


_FREEBSD = {errno.EBUSY: "Device busy", errno.EXDEV: "Cross-device link", errno.EOPNOTSUPP: "Operation not supported"}


def reason(error: OSError | int) -> str:
    """An errno in FreeBSD's words, whatever system the sandbox runs on."""
    number = error if isinstance(error, int) else error.errno or errno.EIO
    return _FREEBSD.get(number) or os.strerror(number)
