"""`reconcile release`: which releases there are, and having them here before a jail needs them."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import options as given

COMMAND = typer.Typer(help="See which releases there are and how long they last; fetch them.", no_args_is_help=True)
REFUSED = 3
Hardened = Annotated[
    bool, typer.Option("--hardenedbsd", help="List HardenedBSD's builds instead of FreeBSD's releases.")
]


@COMMAND.command("list")
def list_(
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
    mirror: given.Mirror = "",
    offline: given.Offline = False,
    everything: Annotated[bool, typer.Option("--all", help="Also show releases that lie only in the archive.")] = False,
    hardenedbsd: Hardened = False,
    as_json: given.AsJSON = False,
) -> int:
    """Show what the mirror offers, what is here at which patch levels, until when it is supported, and who uses it.

    The newest patch level and the end of life come from freebsd-update's signed tag; where it cannot be had,
    ends of life come from a dated table in this program. What nobody knows is "unknown". Changes nothing.
    Exit status: 0 done (what could not be looked up is said on standard error), 1 failed, 64 usage.
    """
    import json
    import sys

    from reconciler.cli import catalogue, session, show
    from reconciler.cli.mirrors import offered, patience_of
    from reconciler.cli.paper import table

    run = session.pool_session(session.reading(host), specs, given.labels(label))
    patience = patience_of(run.document, offline=offline)
    with offered(mirror, run.host.url, run.document, patience) as offer:
        source = catalogue.distribution(run, offer, "HardenedBSD" if hardenedbsd else "FreeBSD")
        found = catalogue.rows(run, source)
    if as_json:
        print(json.dumps(catalogue.as_json(found, source.problems), indent=2))
        return 0
    show.show(catalogue.once(source.problems))
    shown = [row for row in found if everything or row.matters]
    print("\n".join(table(catalogue.as_table(shown))) if shown else "No releases are known.")
    if len(found) > len(shown):
        print(f"{len(found) - len(shown)} more in the archive: reconcile release list --all", file=sys.stderr)
    return 0
