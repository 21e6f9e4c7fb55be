"""Whether a commit may be applied now, or what it waits for. Pure: the clocks are arguments."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from reconciler.agent.config import ApprovalConfig, WindowsConfig
from reconciler.agent.windows import is_open, next_open


@dataclass(frozen=True, slots=True)
class Gate:
    """`open`: go on. Else `seconds` until it opens by itself, None when only a hand opens it; `why` in words.

    `window` is the local time at which the window that is waited for opens.
    """

    open: bool
    seconds: float | None = None
    window: datetime | None = None
    why: str = ""


def gate(
    approval: ApprovalConfig,
    windows: WindowsConfig,
    sha: str,
    approved: Collection[str],
    waited: float,
    local: datetime,
) -> Gate:
    """The gate for commit `sha`, which has waited for so many seconds. An approval opens windows as well."""
    if sha in approved:
        return Gate(open=True)
    if approval.mode == "manual":
        return Gate(open=False, why=f"it waits for: reconcile approve {sha[:12]}")
    left = approval.after - waited if approval.mode == "delayed" else 0.0
    if left > 0:
        return Gate(open=False, seconds=left, why=f"it waits for {left:.0f} s, or: reconcile approve {sha[:12]}")
    if is_open(windows, local):
        return Gate(open=True)
    opens = next_open(windows, local)
    if opens is None:
        return Gate(open=False, why=f"no maintenance window opens within nine days; reconcile approve {sha[:12]}")
    when = opens.strftime("%a %H:%M")
    return Gate(
        open=False,
        seconds=max(1.0, _between(local, opens)),
        window=opens,
        why=f"it waits for the maintenance window on {when}, or: reconcile approve {sha[:12]}",
    )


def _between(local: datetime, opens: datetime) -> float:
    """Seconds between two times of a wall's clock, on which an hour comes twice a year and another one is left out."""
    seconds = opens.timestamp() - local.timestamp()
    return seconds if seconds > 0 else opens.replace(fold=1).timestamp() - local.timestamp()
