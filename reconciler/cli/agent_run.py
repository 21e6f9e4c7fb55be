"""How `reconcile agent` runs: for ever, or for one turn that tells what it came to."""

from __future__ import annotations

from reconciler.agent import logs
from reconciler.agent.board import Cycle, Status
from reconciler.agent.config import AgentConfig
from reconciler.agent.loop import Agent
from reconciler.agent.run import Part, Reread, heeding, serve
from reconciler.agent.wake import Wake
from reconciler.cli import show
from reconciler.cli.agency import make_agent
from reconciler.cli.agent_eyes import watched

PARTS: tuple[Part, ...] = (watched,)
"""What runs beside the loop."""
REFUSED = 3
SOME_FAILED = 4


def run(config: AgentConfig, reread: Reread, *, once: bool, adopt: bool) -> int:
    """Serve until stopped, or do one turn; answers the exit status. `reread` reads the configuration again."""
    logs.configure(config.log.format, config.log.level)
    agent = make_agent(config, adopt=adopt)
    if once:
        return _once(agent)

    def make(other: AgentConfig, before: Agent) -> Agent:
        logs.configure(other.log.format, other.log.level)
        return make_agent(other, adopt=adopt, before=before)

    serve(agent, Wake(), PARTS, reread, make)
    return 0


def _once(agent: Agent) -> int:
    with heeding(agent.stop, Wake()):  # `reconcile approve` and its like wake whoever runs, which nothing else survives
        agent.cycle(("once",))
    status = agent.board.now()
    show.show(status.problems)
    last = status.last
    if last is None:
        return 1
    print(sentence(status, last))
    if status.commit is None and status.problems:
        return REFUSED if status.refused is not None else 1
    if last.outcome == "waiting" and any(problem.severity == "error" for problem in status.problems):
        return 1  # another run holds the lock, or the pool is not ready
    if last.outcome == "failed":
        done = last.counts.get("applied", 0) + last.counts.get("already-done", 0)
        return SOME_FAILED if done else 1
    return REFUSED if last.outcome == "refused" or status.refused is not None else 0


def sentence(status: Status, last: Cycle) -> str:
    """What a turn came to, in a line."""
    commit = status.commit
    at = f"{commit.sha[:12]} {commit.subject!r} by {commit.author}" if commit is not None else "no commit"
    counts = ", ".join(f"{count} {word}" for word, count in sorted(last.counts.items()))
    waiting = status.approval.commit.sha[:12] if status.approval is not None else ""
    waits = f"; {waiting} awaits approval: reconcile approve {waiting}" if waiting else ""
    refused = f"; {status.refused.commit.sha[:12]} is refused" if status.refused is not None else ""
    return show.visible(f"{last.outcome}: {at}{f' ({counts})' if counts else ''}{waits}{refused}")
