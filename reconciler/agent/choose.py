"""Which commit the host should follow: the newest that the sources offer, and never one that goes back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.diagnostic import Diagnostic

Contains = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Offer:
    """What one source has: the commit at its branch or newest tag (`ref`), and at this host's testing branch."""

    source: str
    sha: str
    ref: str
    testing: str = ""
    testing_ref: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The commit to follow and the offer it comes from; without one, why there is none."""

    sha: str = ""
    offer: Offer | None = None
    testing: bool = False
    refused: Diagnostic | None = None


def choose(last: str, offers: Sequence[Offer], contains: Contains, stale: frozenset[str] = frozenset()) -> Choice:
    """The commit to follow. `last` is the last applied one, "" where there is none.

    `contains(newer, older)` says whether `older` is `newer` or an ancestor of it. Of several sources the first
    counts, unless another is ahead of it: one that lags is no reason to stand still. `stale` are testing commits
    that were there when the agent started.
    """
    forward = [offer for offer in offers if not last or contains(offer.sha, last)]
    if not forward:
        return Choice(refused=_backward(last, offers, contains)) if offers else Choice()
    best = forward[0]
    for offer in forward[1:]:
        if offer.sha != best.sha and contains(offer.sha, best.sha):
            best = offer
    for offer in offers:
        ahead = offer.testing and offer.testing not in stale and offer.testing != best.sha
        if ahead and contains(offer.testing, best.sha):
            return Choice(offer.testing, offer, testing=True)
    return Choice(best.sha, best)


def newest_below(tip: str, last: str, approved: Iterable[str], contains: Contains) -> str:
    """The newest of the approved commits between the last applied one and a tip that has to wait; "" without any."""
    found = ""
    for sha in approved:
        between = sha not in (tip, last) and contains(tip, sha) and (not last or contains(sha, last))
        if between and (not found or contains(sha, found)):
            found = sha
    return found


def _backward(last: str, offers: Sequence[Offer], contains: Contains) -> Diagnostic:
    """Why no offer will do: each is older than what was applied, or of another history."""
    first = offers[0]
    if contains(last, first.sha):
        return Diagnostic(
            "commit-downgrade",
            "The source goes back behind what was applied",
            f"{first.ref} of {first.source} is at {first.sha[:12]}, which is older than {last[:12]}, the last applied.",
            "Go back with a new commit: git revert. If the branch was set back on purpose: "
            f"reconcile approve {first.sha} --allow-rewrite",
        )
    return Diagnostic(
        "history-rewritten",
        "The history of the source was rewritten",
        f"{first.ref} of {first.source} is at {first.sha[:12]}, whose history lacks {last[:12]}, the last applied.",
        f"If that was on purpose: reconcile approve {first.sha} --allow-rewrite",
    )
