"""The archives of jail packages: those that are fetched, and those that are made here from a package's own layers.

What was made lies in the cache of the machine where the tool runs, and its digest on the snapshot of the package's
last layer. The archive is a function of two snapshots, so that one that is lost is made again, and must come out the
same. So must one that another host builds: see `packages.times`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from reconciler import __version__
from reconciler.build.layers import located
from reconciler.build.reading import difference, line, windows
from reconciler.build.recipe import ApplyBuilt, ApplyPackage, Recipe
from reconciler.build.stage import digests
from reconciler.model.action import Site
from reconciler.model.diagnostic import Diagnostic, HostError, Span
from reconciler.model.ports import Facts
from reconciler.model.value import Ref
from reconciler.packages.conflict import Applied, conflicts, diagnostics
from reconciler.packages.layout import MANIFEST
from reconciler.packages.manifest import Manifest, parse
from reconciler.packages.times import settled
from reconciler.packages.write import write_package
from reconciler.spec.lock import abi_of

PROPERTY = "package"


def opened(site: Site, recipe: ApplyPackage | ApplyBuilt, ref: Ref) -> tuple[Manifest | None, Iterable[bytes]]:
    """A package's manifest, None for one of the first format, and what is to be unpacked.

    Raises FetchError as `site.archive`, and HostError (`package-not-as-locked`, `recording-empty`) for one that is
    made here.
    """
    if isinstance(recipe, ApplyBuilt):
        found = iter(site.archive(_made(site, recipe), ref))
    else:
        found = iter(site.archive(recipe.source, ref))
    name, chunks = next(found)
    if name != MANIFEST:
        return None, chunks
    return parse(b"".join(chunks)), next(found)[1]


def unfit(recipe: ApplyPackage | ApplyBuilt, manifest: Manifest, release: str, arch: str) -> str:
    """Why a package is not to be applied where it is listed; "" when it may be. `release` is as `15.1-RELEASE-p1`.

    An `arch` of "" is not known, and not compared. One that was built here may have been built under another name or
    version: what it holds follows from its layers alone.
    """
    name, _, level = release.rpartition("-p")
    told = (manifest.name, recipe.version and manifest.version)
    if isinstance(recipe, ApplyPackage) and (recipe.name, recipe.version) != told:
        return f"the spec says {recipe.name} {recipe.version}".rstrip() + ", and the archive of this digest is another"
    if reason := manifest.fits(name, int(level), arch or manifest.arch):
        return reason
    if arch and manifest.abi not in ("", abi_of(name, arch)):
        return f"it was made for {manifest.abi}, not {abi_of(name, arch)}"
    return ""


def misfit(manifest: Manifest, reason: str, span: Span | None = None) -> Diagnostic:
    """What is said of it."""
    detail = f"{manifest.name} {manifest.version}: {reason}. Nothing was made for it."
    hint = "Record it on this release, or give the jail the release that it is for."
    if "the spec says" in reason:
        hint = f"Write it as it is, name: {manifest.name}, version: '{manifest.version}'; or give another digest."
    return Diagnostic("package-does-not-fit", "A jail package does not fit where it is listed", detail, hint, span)


def admit(site: Site, recipes: Iterable[Recipe | None], release: str, ref: Ref) -> None:
    """Check the last of these packages before anything is made for it: that it is for this release, level and
    architecture, and that it leaves alone what those before it brought. `release` is as `15.1-RELEASE-p1`.

    Raises HostError (`package-does-not-fit`, `package-conflict`) and FetchError as `opened`.
    """
    packages = [recipe for recipe in recipes if isinstance(recipe, ApplyPackage | ApplyBuilt)]
    said = [(recipe, opened(site, recipe, ref)[0]) for recipe in packages]
    known = [Applied(one.name, manifest, one.replaces) for one, manifest in said if manifest is not None]
    recipe, last = said[-1] if said else (None, None)
    if recipe is None or last is None:
        return
    facts = site.observe("facts").facts
    if reason := unfit(recipe, last, release, facts.arch if isinstance(facts, Facts) else ""):
        raise HostError(misfit(last, reason))
    if found := diagnostics("The list of packages", (one for one in conflicts(known) if one.second == last.name)):
        error = HostError(found[0])
        error.diagnostics = found
        raise error


def _made(site: Site, recipe: ApplyBuilt) -> str:
    """The digest of the archive, which is in the cache."""
    rows = site.observe("datasets").datasets
    row = located(site, rows, recipe.tip) if recipe.tip else None
    known = row.user.get(PROPERTY, "") if row is not None else ""
    if known and site.has(known):
        _as_locked(recipe, known)
        return known
    if row is None:
        raise _empty(recipe)
    steps = line(rows, f"{site.pool}/releases/{recipe.base}@sealed", row.name)
    found = difference(site, steps)
    if not found.change:
        raise _empty(recipe)
    release, facts = recipe.base.rpartition("-p")[0], site.observe("facts").facts
    arch = facts.arch if facts is not None else ""
    change = settled(found.change, windows(site, steps), digests(recipe.copied), found.since)
    manifest = Manifest(
        recipe.name, recipe.version or "0", release, recipe.levels, arch, abi_of(release, arch),
        f"release/{recipe.base}", f"reconciler {__version__}", change,
    )  # fmt: skip

    def write(out: IO[bytes]) -> str:
        return write_package(out, manifest, found.captured.content)

    sha256 = site.keep(write)
    _as_locked(recipe, sha256)
    if sha256 != known:
        site.host.datasets.set(row.name, {f"reconciler:{PROPERTY}": sha256})
    return sha256


def _as_locked(recipe: ApplyBuilt, sha256: str) -> None:
    if recipe.pinned and sha256 != recipe.pinned:
        detail = f"{recipe.name} is pinned to sha256:{recipe.pinned}, and here it is sha256:{sha256}."
        hint = "See what differs: reconcile package diff ONE OTHER\nTake this one: reconcile lock --update"
        raise HostError(Diagnostic("package-not-as-locked", "A jail package is not as the lock says", detail, hint))


def _empty(recipe: ApplyBuilt) -> HostError:
    detail = f"The Makejail of {recipe.name} changes nothing that a package holds."
    hint = "Look at what it does: reconcile makejail compile FILE"
    return HostError(Diagnostic("recording-empty", "There is nothing to make a package of", detail, hint))
