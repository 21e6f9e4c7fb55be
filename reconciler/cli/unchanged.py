"""A plan that finds nothing to do is remembered: the next one that sees the same says so without thinking again.

Nothing heavy is loaded here before the answer is known to be another one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler import verdicts
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.open import default_url, open_runner
from reconciler.model.ports import Observation, Request
from reconciler.wraps import ReadOnlyRunner

if TYPE_CHECKING:
    from reconciler.reconcile import Decided, Session


@dataclass
class Memory:
    """What one question is remembered by. `earlier` is what the host showed when it was asked in vain."""

    folder: Path
    question: verdicts.Question
    earlier: tuple[Request, Observation] | None = field(default=None, init=False)

    def recall(self) -> str | None:
        """The whole answer, where specs, Makejails, host and tool are as they were. Raises HostError."""
        held = verdicts.recall(self.folder, self.question)
        if held is None:
            return None
        url = self.question.url
        seen = FreeBSDHost(ReadOnlyRunner(open_runner(url)), url).observe(held.request)
        if seen.digest == held.seen:
            return held.text
        self.earlier = (held.request, seen)
        return None

    def remember(self, run: Session, decided: Decided, text: str) -> None:
        """Keep an answer that says nothing but that all is well."""
        if decided.plan.empty and not (decided.plan.notes or decided.refusals or run.specs.warnings):
            verdict = verdicts.Verdict(run.request, run.observation.digest, text)
            verdicts.remember(self.folder, self.question, run.specs.digest, run.sources.asked, verdict)


def memory(path: Path, host: str, labels: Mapping[str, str], only: list[str] | None) -> Memory | None:
    """Where this question's answer would be; None where there is no place for it."""
    from reconciler.cli.paper import paper

    folder = verdicts.folder_of(os.environ)
    if folder is None:
        return None
    question = verdicts.Question(
        path, host or default_url(), tuple(sorted(labels.items())), tuple(sorted(only or ())), str(paper())
    )
    return Memory(folder, question)
