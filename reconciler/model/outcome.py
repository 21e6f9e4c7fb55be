"""What became of each step, and of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reconciler.model.action import Plan, Step
from reconciler.model.diagnostic import Diagnostic

Outcome = Literal["applied", "already-done", "blocked", "moved", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Result:
    """One step's end. `seconds` is wall time; `output` the last lines its commands printed."""

    step: Step
    outcome: Outcome
    seconds: float = 0.0
    diagnostics: tuple[Diagnostic, ...] = ()
    output: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All results of a run, by step number."""

    plan: Plan
    results: Mapping[int, Result]

    @property
    def failed(self) -> tuple[Result, ...]:
        """Steps that did not reach their end, causes before those they blocked."""
        bad = [r for r in self.results.values() if r.outcome not in ("applied", "already-done")]
        return tuple(sorted(bad, key=lambda r: (r.outcome == "blocked", r.step.number)))

    @property
    def ok(self) -> bool:
        """Whether every step is where it should be."""
        return not self.failed and len(self.results) == len(self.plan.steps)
