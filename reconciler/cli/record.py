"""Where the journal lies, and a run's way into it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli import show
from reconciler.hosts.open import identity
from reconciler.journal import Journal, Warn, open_journal
from reconciler.model.action import Step
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.outcome import Result


def journal_path(environ: Mapping[str, str], uid: int) -> Path:
    """RECONCILER_JOURNAL; else /var/db/reconciler for root, and the user's own state folder for others."""
    if named := environ.get("RECONCILER_JOURNAL", ""):
        return Path(named)
    if uid == 0:
        return Path("/var/db/reconciler/journal.db")
    base = environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(environ.get("HOME") or "/var/empty", ".local/state")
    return Path(base) / "reconciler" / "journal.db"


def _shown(problem: Diagnostic) -> None:
    show.show([problem])


def journal(warn: Warn = _shown) -> Journal:
    """The journal of this user; what goes wrong with it is a warning."""
    return open_journal(journal_path(os.environ, os.geteuid()), warn)


@dataclass
class Record:
    """One run in the journal."""

    journal: Journal
    number: int

    @classmethod
    def begin(cls, host: str, specs: str, commit: str = "", command: str = "", warn: Warn = _shown) -> Record:
        """Record that a run begins: of a commit, where specs come from one; `command` is what was typed."""
        opened = journal(warn)
        typed = command or " ".join(["reconcile", *sys.argv[1:]])
        return cls(opened, opened.begin_run(commit, typed, identity(host), specs))

    def step(self, step: Step, result: Result, tail: bytes) -> None:
        """Record the end of a step."""
        detail = "; ".join(f"{problem.code}: {problem.detail}" for problem in result.diagnostics)
        self.journal.step(
            self.number,
            str(step.action.ref),
            step.scope,
            step.action.title(),
            result.outcome,
            result.seconds,
            detail,
            tail,
        )

    def end(self, status: str) -> None:
        """Record how the run ended."""
        self.journal.end_run(self.number, status)
        self.journal.close()


@contextmanager
def noted(host: str, specs: str, jail: str, action: str, warn: Warn = _shown) -> Iterator[None]:
    """Record one thing that a command does outside a plan, such as `suspend web`, and how it ended.

    `host` is its URL, `specs` the digest of the specs, `jail` the jail it concerns, or "".
    """
    opened = journal(warn)
    number = opened.begin_run("", f"reconcile {action}", identity(host), specs)
    began, outcome = time.monotonic(), "failed"
    try:
        yield
        outcome = "applied"
    finally:
        ref = f"jail/{jail}" if jail else "pool"
        opened.step(number, ref, jail, action, outcome, time.monotonic() - began)
        opened.end_run(number, "done" if outcome == "applied" else "failed")
        opened.close()
