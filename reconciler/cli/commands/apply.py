"""`reconcile apply`: makes a host be as its specs say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as given

REFUSED = 3
Saved = Annotated[
    Path | None, typer.Option("--plan", help="Apply exactly this saved plan, or nothing if it is out of date.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=64, help="How many steps may run at once.")]
AllowPrune = Annotated[
    bool, typer.Option("--allow-prune", help="Let many jails go at once that no spec names any more.")
]
AllowDataLoss = Annotated[
    list[str] | None,
    typer.Option("--allow-data-loss", help="A jail, or JAIL/VOLUME, whose undeclared data may be let go."),
]
AdoptSource = Annotated[
    bool, typer.Option("--adopt-source", help="Make this folder of specs the one that the pool belongs to.")
]


def apply(
    path: given.SpecPath = Path("specs"),
    plan: Saved = None,
    host: given.HostURL = "",
    label: given.Labels = None,
    only: given.Only = None,
    retry: given.Retry = None,
    mirror: given.Mirror = "",
    offline: given.Offline = False,
    jobs: Jobs = 4,
    allow_prune: AllowPrune = False,
    allow_data_loss: AllowDataLoss = None,
    adopt_source: AdoptSource = False,
) -> int:
    """Plan, show the plan, and carry it out, holding the pool's lock. What failed is tried again by the next run.

    Exit status: 0 done, 1 failed, 3 refused or the saved plan is out of date, 4 some jails failed and others
    did not, 64 usage, 130 or 143 stopped by a signal.
    """
    from reconciler.cli import applying, session, show
    from reconciler.guard import Consent
    from reconciler.model.diagnostic import Refused, StalePlan

    if plan is not None and (only or retry or label or path != Path("specs")):
        message = "--plan FILE brings its specs and options: leave out PATH, --only, --retry and --label."
        raise typer.BadParameter(message)
    consent = Consent(allow_prune, frozenset(allow_data_loss or ()))
    asked = session.options(
        path, given.labels(label), only=only, retry=retry, consent=consent, adopt_source=adopt_source, offline=offline
    )
    try:
        return applying.run(applying.Asked(asked, host, plan, mirror, jobs, offline))
    except (Refused, StalePlan) as error:
        show.show(error.diagnostics)
        return REFUSED


COMMAND = apply
