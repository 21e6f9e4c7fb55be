"""The laws on random pairs of spec sets: a converged fleet, and whatever it is changed to.

The same few examples each time; LAWS_EXAMPLES=200 in the environment looks for new ones.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.faults import FailRunner
from reconciler.hosts.sandbox import processes
from reconciler.model.diagnostic import ReconcilerError
from reconciler.wraps import ReadOnlyRunner
from tests.crash.invariants import orphans
from tests.fleet import Fleet, problems
from tests.laws.dead import Died, DyingRunner
from tests.laws.fleets import CONSENT, STEADY, fleets

ASKED = int(os.environ.get("LAWS_EXAMPLES", "0"))
few = settings(
    max_examples=ASKED or 2,
    deadline=None,
    derandomize=not ASKED,
    database=None,
    suppress_health_check=list(HealthCheck),
)
sides = st.sampled_from(["before", "after"])


@contextmanager
def host(mirror_url: str) -> Iterator[Fleet]:
    """An empty host for one example."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder), mirror_url)
        try:
            yield fleet
        finally:
            processes.kill_everything(fleet.machine)
            fleet.close()


def durable(fleet: Fleet) -> dict[str, str]:
    """Every volume's dataset and guid."""
    rows = fleet.session().observed.datasets
    return {r.name: r.guid for r in rows if r.kind != "snapshot" and r.name.count("/") == 4 and "/volumes/" in r.name}


def datasets_of(fleet: Fleet, jail: str) -> dict[str, str]:
    """Every dataset and snapshot of a jail, by guid."""
    return {r.name: r.guid for r in fleet.session().observed.datasets if f"/{jail}" in r.name}


def converged(fleet: Fleet, text: str) -> None:
    """Apply a spec set; it succeeds, and then rests."""
    fleet.write(text)
    assert problems(fleet.apply(consent=CONSENT)) == []
    assert fleet.titles() == []
    assert orphans(fleet) == []


@few
@given(before=fleets(), after=fleets())
def test_every_change_converges_and_rests_and_leaves_data_and_neighbours_alone(
    mirror_url: str, before: str, after: str
) -> None:
    with host(mirror_url) as fleet:
        converged(fleet, before)
        data, steady = durable(fleet), datasets_of(fleet, "steady")
        fleet.write(after)
        plan = fleet.decide().plan
        assert all(step.scope != "steady" for step in plan.steps)
        converged(fleet, after)
        assert data.items() <= durable(fleet).items()
        assert datasets_of(fleet, "steady") == steady


@few
@given(before=fleets(), after=fleets())
def test_a_plan_is_the_same_each_time_and_changes_nothing(mirror_url: str, before: str, after: str) -> None:
    with host(mirror_url) as fleet:
        converged(fleet, before)
        fleet.write(after)
        shown = [(s.number, s.scope, s.action.title(), s.reason, sorted(s.waits)) for s in fleet.decide().plan.steps]
        plan = fleet.session(ReadOnlyRunner(fleet.runner)).decide().plan
        assert [(s.number, s.scope, s.action.title(), s.reason, sorted(s.waits)) for s in plan.steps] == shown


@few
@given(before=fleets(), after=fleets(), n=st.integers(1, 60), side=sides)
def test_a_failed_call_is_recovered_by_the_next_run(
    mirror_url: str, before: str, after: str, n: int, side: str
) -> None:
    with host(mirror_url) as fleet:
        converged(fleet, before)
        data = durable(fleet)
        fleet.write(after)
        when = "before" if side == "before" else "after"
        with suppress(ReconcilerError):  # a call of the observation itself
            fleet.apply(FailRunner(fleet.runner, n, when, changing=True), consent=CONSENT)
        converged(fleet, after)
        assert data.items() <= durable(fleet).items()


@few
@given(before=fleets(), after=fleets(), n=st.integers(1, 60), side=sides)
def test_a_death_is_recovered_by_the_next_run(mirror_url: str, before: str, after: str, n: int, side: str) -> None:
    with host(mirror_url) as fleet:
        converged(fleet, before)
        data, steady = durable(fleet), datasets_of(fleet, "steady")
        fleet.write(after)
        with suppress(Died):
            fleet.apply(DyingRunner(fleet.runner, n, after=side == "after"), consent=CONSENT)
        converged(fleet, after)
        assert data.items() <= durable(fleet).items()
        assert datasets_of(fleet, "steady") == steady


@few
@given(before=fleets())
def test_a_volume_goes_only_with_consent_and_even_then_is_only_marked(mirror_url: str, before: str) -> None:
    with host(mirror_url) as fleet:
        converged(fleet, before)
        data = durable(fleet)
        fleet.write(json.dumps({key: value for key, value in STEADY.items() if key != "volumes"}) + "".join(
            f"\n---\n{text}" for text in before.split("\n---\n")[1:]
        ))  # fmt: skip
        refused = fleet.decide().refusals
        assert [d.code for d in refused] == ["volume-undeclared"]
        assert durable(fleet) == data
        agreed = type(CONSENT)(prune=True, data_loss=CONSENT.data_loss | {"steady/data"})
        assert problems(fleet.apply(consent=agreed)) == []
        assert durable(fleet) == data
        assert fleet.session().seen.rows["volumes/steady/data"].user["pruned"]
