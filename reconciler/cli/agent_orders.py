"""Orders to the agent, from the command line or the page: approve a commit, leave all alone, go on."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.agent.config import AgentConfig
from reconciler.agent.orders import SUSPENDED, Approved, approve
from reconciler.agent.published import last_said, wake
from reconciler.cli import session, suspending
from reconciler.cli.lock import user
from reconciler.cli.record import noted
from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.model.ports import Host

_WHOLE = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def approve_commit(
    config: AgentConfig, given: str, *, prune: bool = False, loss: tuple[str, ...] = (), rewrite: bool = False
) -> str:
    """Let a commit go on, and wake the agent; answers what was done. Raises SpecError (`commit-unknown`, ...)."""
    run = Path(config.run)
    said = last_said(run) or {}
    sha = _meant(given, said)
    # An agent that runs may have been told of its folder by flags that are not known here.
    state = str(said.get("state") or config.state)
    url = session.host_url(config.host or os.environ.get("RECONCILER_HOST", ""))
    with noted(url, "", "", f"approve {sha}{_consents(prune=prune, loss=loss, rewrite=rewrite)}"):
        approve(Path(state), Approved(sha, user(), time.time(), prune, loss, rewrite))
    if wake(run):
        return f"{sha} is approved. The agent applies it with its next look, which has been asked for."
    return f"{sha} is approved. No agent runs with {run} now; the next one that keeps {state} applies it."


def _consents(*, prune: bool, loss: tuple[str, ...], rewrite: bool) -> str:
    """The options that go with an approval, for the journal."""
    given = ["--allow-prune"] * prune + ["--allow-rewrite"] * rewrite + [f"--allow-data-loss {one}" for one in loss]
    return "".join(f" {one}" for one in given)


def suspend_all(host: Host, pool: str, text: str) -> str:
    """Have the agent change nothing, whichever runs for this pool; answers the reason as it is kept."""
    why = suspending.reason(text)
    host.datasets.set(pool, {SUSPENDED: why})
    return why


def resume_all(host: Host, pool: str) -> None:
    """Let the agent go on."""
    host.datasets.unset(pool, SUSPENDED)


def suspended(host: Host, pool: str) -> str:
    """Why the agent changes nothing; "" where it does."""
    return host.datasets.local(pool, (SUSPENDED,)).get(SUSPENDED, "")


def _meant(given: str, status: Mapping[str, Any]) -> str:
    """The commit that is meant: by its beginning among those the agent knows, or the one that waits."""
    shown = [status[key]["commit"] for key in ("approval", "refused") if status.get(key)]
    shown += [status["tip"]] if status.get("tip") else []
    known = list(dict.fromkeys(str(commit["sha"]) for commit in shown))
    if not given and status.get("approval"):
        return known[0]
    found = [sha for sha in known if given and sha.startswith(given.lower())]
    if len(found) == 1:
        return found[0]
    if _WHOLE.fullmatch(given.lower()):
        return given.lower()
    detail = f"No commit that waits begins with {given!r}." if given else "No commit waits for approval."
    hint = "Write the whole commit, or see what waits: reconcile status"
    raise SpecError(Diagnostic("commit-unknown", "It is not clear which commit is meant", detail, hint))
