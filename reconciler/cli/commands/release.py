"""`reconcile release`: which releases there are, and having them here before a jail needs them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.spec.document import Trust

COMMAND = typer.Typer(help="See which releases there are and how long they last; fetch them.", no_args_is_help=True)
REFUSED = 3
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="Fetch this set, such as base or lib32; may be given again.")
]
ManifestDigest = Annotated[
    str,
    typer.Option(
        "--manifest", metavar="sha256:HEX", help="Believe only a MANIFEST with this SHA256, whatever its way."
    ),
]
ManifestsDir = Annotated[
    str, typer.Option("--manifests-dir", metavar="DIR", help="Believe the MANIFESTs installed here, not the mirror's.")
]
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


@COMMAND.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Releases such as 15.1-RELEASE. Without one you are asked.")
    ] = None,
    specs: given.Specs = None,
    host: given.HostURL = "",
    label: given.Labels = None,
    mirror: given.Mirror = "",
    offline: given.Offline = False,
    sets: Sets = None,
    manifest: ManifestDigest = "",
    manifests_dir: ManifestsDir = "",
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, help="How many releases at once.")] = 4,
) -> int:
    """Download, verify and unpack releases, so that jails can be made from them. Nothing half is ever used.

    A Release document of the same name says where it comes from and what makes it trusted. An interrupted fetch
    goes on where it stopped. An apply fetches by itself what it needs; this is for having it before.
    Exit status: 0 done, 1 failed (the others were fetched), 3 refused by policy, 64 usage.
    """
    from reconciler.cli import releasing, show
    from reconciler.model.diagnostic import Refused

    trust = _trust(manifest, manifests_dir, len(names or ()))
    labels, chosen = given.labels(label), tuple(sets or ())
    asked = releasing.Asked(tuple(names or ()), specs, labels, host, mirror, chosen, trust, jobs, offline)
    try:
        return releasing.run(asked)
    except Refused as error:
        show.show(error.diagnostics)
        return REFUSED


def _trust(manifest: str, manifests_dir: str, names: int) -> Trust | None:
    """What the command line believes, None for what documents say. Raises typer.BadParameter (exit status 64)."""
    from reconciler.spec.document import Trust

    if manifest and manifests_dir:
        raise typer.BadParameter("--manifest and --manifests-dir are two ways to trust: give one.")
    if manifest and (not re.fullmatch("sha256:[0-9a-f]{64}", manifest) or names != 1):
        raise typer.BadParameter("--manifest takes sha256: and 64 hexadecimal digits, and is for one release.")
    if manifests_dir and not manifests_dir.startswith("/"):
        raise typer.BadParameter("--manifests-dir takes an absolute path.")
    if manifest:
        return Trust(policy="pinned", digest=manifest)
    return Trust(policy="manifests-dir", directory=manifests_dir) if manifests_dir else None
