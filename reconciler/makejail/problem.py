"""What is wrong with a Makejail: a diagnostic together with AppJail's exit status.

Statuses (sysexits(3) names): 64 usage, 65 data, 66 missing file, instruction or stage,
69 something is not available, 74 a second FROM, 1 a line that cannot be tokenized; and of sh(1):
1 a variable that must be set is not, 2 a script that cannot be read, 126 what is no program.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.model.diagnostic import Diagnostic, Span, SpecError

TOKENIZER = 1
UNSET = 1
SYNTAX = 2
USAGE = 64
DATA = 65
MISSING = 66
UNAVAILABLE = 69
IO = 74
NOT_EXECUTABLE = 126


class MakejailError(SpecError):
    """A Makejail that cannot be compiled. `status` is what AppJail would have exited with."""

    def __init__(self, diagnostics: Diagnostic | tuple[Diagnostic, ...], status: int) -> None:
        """Keep the status of the first problem met, which is where AppJail stops."""
        super().__init__(diagnostics)
        self.status = status


def problem(
    status: int, code: str, summary: str, detail: str = "", hint: str = "", span: Span | None = None
) -> MakejailError:
    """Build the error for one problem; the caller raises it."""
    return MakejailError(Diagnostic(code, summary, detail, hint, span), status)


def warning(code: str, summary: str, detail: str = "", hint: str = "", span: Span | None = None) -> Diagnostic:
    """Build a diagnostic for something legal that rarely does what its author meant."""
    return Diagnostic(code, summary, detail, hint, span, "warning")


@dataclass(slots=True)
class Problems:
    """Collects every problem of a run; the first one gives the status."""

    errors: list[Diagnostic] = field(default_factory=list)
    status: int = 0

    def add(self, error: MakejailError) -> None:
        """Keep the diagnostics of `error` and go on."""
        self.status = self.status or error.status
        self.errors.extend(error.diagnostics)

    def raise_any(self) -> None:
        """Raise MakejailError with everything found, if anything was."""
        if self.errors:
            raise MakejailError(tuple(self.errors), self.status)
