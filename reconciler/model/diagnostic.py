"""Errors as documents: what happened, why, where, and what to do now.

A `Diagnostic` is data: it is collected, sorted and rendered once, by the command line.
`summary` holds fixed words (the same problem always reads the same); the user's own names
stand in `detail`; `hint` is the next command or the corrected line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a user's file. `line` and `column` count from 1; 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem. `code` is kebab-case, unique, and has a page: `reconcile explain CODE`."""

    code: str
    summary: str
    detail: str = ""
    hint: str = ""
    span: Span | None = None
    severity: Severity = "error"

    def sort_key(self) -> tuple[str, int, int, str, str]:
        """Order by place, then code, so that a run always reports in the same order."""
        span = self.span or Span("")
        return (span.file, span.line, span.column, self.code, self.detail)


class ReconcilerError(Exception):
    """The one family of errors; carries every diagnostic found, never only the first."""

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        """Take one diagnostic or many; many are sorted by place."""
        if isinstance(diagnostics, Diagnostic):
            diagnostics = (diagnostics,)
        self.diagnostics = tuple(sorted(diagnostics, key=Diagnostic.sort_key))
        super().__init__("; ".join(f"{d.code}: {d.detail or d.summary}" for d in self.diagnostics))


class SpecError(ReconcilerError):
    """The specs are not valid; nothing was observed or changed."""


class StalePlan(ReconcilerError):
    """A saved plan no longer fits what the host shows."""


class Refused(ReconcilerError):
    """The guard, a policy or a lock said no; nothing was changed."""


class FetchError(ReconcilerError):
    """Something from a mirror, a store or a remote could not be had or did not verify."""


class HostError(ReconcilerError):
    """A host command failed. `transient` says whether trying again may help."""

    def __init__(
        self,
        diagnostic: Diagnostic,
        *,
        argv: tuple[str, ...] = (),
        status: int | None = None,
        stderr: str = "",
        transient: bool = False,
    ) -> None:
        """Keep the whole command line, exit status and standard error beside the diagnostic."""
        super().__init__(diagnostic)
        self.argv = argv
        self.status = status
        self.stderr = stderr
        self.transient = transient
