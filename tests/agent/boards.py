"""A board with something of everything, for pages, metrics and news."""

# ruff: noqa: E501 (tables of values, one to a line)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reconciler.agent.board import (
    Approval,
    Board,
    Commit,
    Cycle,
    Jail,
    Planned,
    Refusal,
    Running,
    SourceHealth,
    Status,
)
from reconciler.agent.page_view import Records, Release, Shown
from reconciler.journal import RunRecord, StepRecord
from reconciler.model.diagnostic import Diagnostic, Span

NOW = 1_795_360_000.0  # 2026-11-22
GOOD = "3f2a91c4d0b8e7f6a5948372615f0e1d2c3b4a59"
BAD = "b7e1d9022f4c6a8b0d1e3f5a7c9b2d4e6f8a0b1c"
TIP = "91c03e5f7a2b4d6c8e0f1a3b5d7c9e1f2a4b6d80"
EVIL = '<script>alert("x")</script>'


def commit(sha: str = GOOD, **changes: Any) -> Commit:
    """A commit."""
    made = Commit(
        sha, "Ada Lovelace", "ada@example.org", "Raise the memory limit of web to 512M", NOW - 3600, branch="main"
    )
    return replace(made, **changes)


def step(number: int, scope: str, operation: str, title: str, reason: str, line: int, **more: Any) -> dict[str, Any]:
    """A step as plan.json has it."""
    return {
        "number": number,
        "address": f"layer/{number}",
        "kind": "layer",
        "name": str(number),
        "scope": scope,
        "operation": operation,
        "title": title,
        "reason": reason,
        "waits": [],
        "interrupts": False,
        "file": f"specs/{scope}.yaml",
        "line": line,
        "column": 1,
        "before": {},
        "after": {},
        **more,
    }


PLAN = {
    "version": 1,
    "steps": [
        step(1, "web", "create", "layer e0bec0a3  build segment 4 of 4: CMD", "its text changed", 12),
        step(2, "web", "create", "root 1 → 2", "built beside; 1 kept for rollback", 3),
        step(3, "web", "change", "restart jail", "its root changes", 1, interrupts=True),
        step(
            4,
            "mail",
            "change",
            "set quota of volume/mail/spool",
            "it was changed",
            21,
            before={"quota": "0", "owner": "mail"},
            after={"quota": "1G", "owner": "mail"},
        ),
        step(5, "old", "remove", "stop jail", "no spec names it", 0, file=""),
    ],
    "notes": [
        {"scope": "web", "code": "unpinned", "text": "PKG reads the network, and nothing pins it.", "failing": False},
        {"scope": "cache", "code": "root-held", "text": "held: the root failed its check.", "failing": True},
    ],
}
REFUSED = Diagnostic(
    "unknown-key",
    "There is no such key",
    "`memroyuse` is no key of limits; did you mean `memoryuse`?",
    "limits: {memoryuse: 512M}",
    Span("specs/web.yaml", 16, 11),
)


def jails() -> tuple[Jail, ...]:
    """One of each kind."""
    return (
        Jail("cache", "running", "running", "Held", "its new root failed the check; the last good one runs", NOW - 7200, 1,
             None, "15.1-RELEASE-p1", 4, 3),
        Jail("db", "running", "running", "Ready", "", NOW - 86400, 0, None, "15.1-RELEASE-p1", 2, 2),
        Jail("dns", "running", "running", "Ready", "", NOW - 86400 * 3, 0, None, "14.4-RELEASE-p6", 1, 1),
        Jail("mail", "running", "stopped", "Stalled", "jail-start-failed: exec.start ended with status 1", NOW - 600, 4,
             NOW + 240, "15.1-RELEASE-p1", 7, 7),
        Jail("old", "", "running", "Progressing", "in no spec", NOW - 60, 0, None, "13.5-RELEASE", 1, 1),
        Jail("proxy", "running", "running", "Suspended", "ada: debugging the certificate", NOW - 5400, 0, None,
             "15.1-RELEASE-p1", 3, 3),
        Jail("web", "running", "running", "Progressing", "restart because its root changes", NOW - 5, 0, None,
             "15.1-RELEASE-p1", 1, 1),
    )  # fmt: skip


def busy() -> Status:
    """An agent with much to tell."""
    failed = Diagnostic(
        "jail-start-failed", "The jail did not start", "mail: exec.start ended with status 1.", "reconcile why-not mail"
    )
    return Status(
        host="jails1.example.org",
        started=NOW - 86400 * 12,
        version="0.1.0",
        pid=731,
        cycle=5120,
        phase="applying",
        phase_since=NOW - 9,
        why=("webhook",),
        commit=commit(verified="ada@example.org (ED25519)"),
        tip=commit(TIP, subject="Move mail to 15.1", date=NOW - 120),
        applied=NOW - 3500,
        refused=Refusal(commit(BAD, subject=f"Add limits {EVIL}", author="Charles"), (REFUSED,), NOW - 300),
        approval=Approval(commit(TIP, subject="Move mail to 15.1", date=NOW - 120), NOW - 100, NOW + 500, NOW + 3600),
        plan=Planned(GOOD, NOW - 8, 2, 2, 1, ("web",), PLAN),
        jails=jails(),
        steps=(
            Running(1, "layer/e0bec0a3", "web", "layer e0bec0a3  build segment 4 of 4: CMD", NOW - 7,
                    "Updating FreeBSD repository catalogue...\n\x1b[32mFetching nginx-1.28.pkg\x1b[0m: 41%\n"),
            Running(4, "volume/mail/spool", "mail", "set quota of volume/mail/spool", NOW - 1, ""),
        ),
        cycles=(
            Cycle(5120, NOW - 80, NOW - 70, "failed", GOOD, ("timer",), {"applied": 3, "failed": 1, "blocked": 2}, (failed,)),
            Cycle(5119, NOW - 140, NOW - 139.6, "unchanged", GOOD, ("timer",)),
            Cycle(5118, NOW - 200, NOW - 188, "applied", GOOD, ("webhook",), {"applied": 12}),
        ),
        problems=(failed,),
        sources=(
            SourceHealth("origin", "ssh://git@git.example.org/fleet.git", "main", TIP, NOW - 30, NOW - 30),
            SourceHealth("mirror", "https://mirror.example.net/fleet.git", "main", GOOD, NOW - 20, NOW - 9000, 12, NOW + 300,
                         Diagnostic("git-failed", "The remote does not answer", "mirror.example.net: connection refused.")),
        ),
        next_wake=NOW + 42,
    )  # fmt: skip


def calm() -> Status:
    """An agent with nothing to do."""
    known = tuple(replace(j, condition="Ready", declared="running", observed="running", reason="", next_try=None, failures=0)
                  for j in jails() if j.name != "old")  # fmt: skip
    known = tuple(replace(jail, good=jail.root) for jail in known)
    before = busy()
    return replace(before, phase="waiting", phase_since=NOW - 20, refused=None, approval=None, problems=(), steps=(),
                   jails=known, plan=Planned(GOOD, NOW - 20), sources=before.sources[:1], cycles=before.cycles[1:])  # fmt: skip


RUNS = (
    RunRecord(12, NOW - 80, NOW - 70, "failed", GOOD, "reconcile agent", "local", "abc", (
        StepRecord("layer/e0bec0a3", "web", "layer e0bec0a3  build segment 4 of 4: CMD", "applied", 6.2, "", "41%\n100%\n", NOW),
        StepRecord("jail/mail", "mail", "start jail", "failed", 1.4, "jail-start-failed: exec.start ended with status 1",
                   "Starting postfix.\npostfix: fatal: no such user\n" + EVIL, NOW),
        StepRecord("verdict/mail", "mail", "health check", "blocked", 0.0, "", "", NOW),
    )),
    RunRecord(11, NOW - 9000, NOW - 8990, "done", "0" * 40, "reconcile apply", "local", "abc", ()),
    RunRecord(10, NOW - 99999, None, None, "", f"reconcile apply --only {EVIL}", "local", "abc", ()),
)  # fmt: skip
DIFF = """diff --git a/specs/web.yaml b/specs/web.yaml
index 1111111..2222222 100644
--- a/specs/web.yaml
+++ b/specs/web.yaml
@@ -14,3 +14,3 @@ volumes:
 healthcheck: {command: [test, -s, /index.html]}
-limits: {memoryuse: 256M}
+limits: {memoryuse: 512M}
+# <b>bold</b>
"""


def records() -> Records:
    """A journal and a repository."""

    def runs(limit: int, jail: str | None) -> Sequence[RunRecord]:
        return [run for run in RUNS if jail is None or any(s.scope == jail for s in run.steps)][:limit]

    return Records(
        runs,
        lambda number: next((run for run in RUNS if run.id == number), None),
        lambda sha: Shown(commit(), DIFF) if GOOD.startswith(sha) else None,
        lambda _: (
            Release("15.1-RELEASE", ("cache", "db", "mail", "proxy", "web"), "supported", "2027-03-31", "tag", "p1"),
            Release("14.4-RELEASE", ("dns",), "supported", "2026-12-31", "tag", "p7", ("dns",)),
            Release("13.5-RELEASE", ("old",), "eol", "2026-04-30", "table"),
        ),
    )


def board(status: Status | None = None) -> Board:
    """A board with this status, or the busy one."""
    return Board(status or busy())
