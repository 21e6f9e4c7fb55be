"""One observation: which commands read what, and what they say together.

At most nine commands, however many jails there are; a tenth (`zpool list`) only when the dataset
listing failed, to tell a pool that is not there from a dataset that is not there yet, and one more listing
where datasets are delegated to jails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from reconciler.hosts.freebsd import devfs, jail, mount, network, rctl, sysctl, zfs
from reconciler.hosts.freebsd.failure import failed, text, tool
from reconciler.model.command import Command, Completed, Runner
from reconciler.model.ports import FACETS, DatasetRow, Observation, Observed, Request
from reconciler.spool import Below

BELOW = ("jails", "/usr/local/etc/rc.d", "/etc/rc.conf.d")
"""The folders that are read when a request names none: relative ones lie below the mountpoint."""

_TIMEOUT = 900.0


def facets(request: Request) -> frozenset[str]:
    """The facets that a request asks for."""
    return request.facets or FACETS


def roots(request: Request) -> tuple[str, ...]:
    """The datasets to list: those named, or our dataset in each pool."""
    return request.roots or (request.pool, *request.extra_pools)


def _of_pools(request: Request) -> bool:
    """Whether our dataset in some pool is asked for; a look at what lies below it wants no second exchange."""
    return not {request.pool, *request.extra_pools}.isdisjoint(roots(request))


def commands(request: Request, *, jailed: bool) -> tuple[tuple[str, ...], ...]:
    """The argument vectors that answer a request."""
    wanted = facets(request)
    asked = (
        ({"datasets"}, zfs.listing(roots(request), jailed=jailed)),
        ({"jails"}, jail.listing(request.parameters)),
        ({"mounts"}, mount.listing()),
        ({"interfaces"}, network.interfaces()),
        ({"limits"}, rctl.listing()),
        ({"translation"}, network.rules()),
        ({"firewall"}, network.anchors()),
        ({"devices"}, devfs.listing()),
        ({"facts"}, sysctl.query()),
    )
    return tuple(argv for names, argv in asked if names & wanted)


def observe(runner: Runner, request: Request, *, jailed: bool) -> Observation:
    """Read everything asked for, in one round trip (one more when the listing of datasets or of jails fails)."""
    below = (request.below or BELOW) if "files" in facets(request) and request.mountpoint else ()
    mountpoint = request.mountpoint.rstrip("/")
    trees = [folder if folder.startswith("/") else f"{mountpoint}/{folder}" for folder in below]
    asked = [Command(argv, timeout=_TIMEOUT) for argv in commands(request, jailed=jailed)]
    raw, found = runner.gather(asked, trees) if trees else (runner.batch(asked), {})
    if _of_pools(request) and any(tool(done.argv) == "zfs" and done.status not in {0, 127} for done in raw):
        raw = [*raw, *runner.batch([Command(zfs.pools(), timeout=_TIMEOUT)])]
    if any(tool(done.argv) == "zfs" and zfs.doubtful(done.stdout, jailed=jailed) for done in raw):
        raw = [*raw, *runner.batch([Command(zfs.plain_listing(roots(request), jailed=jailed), timeout=_TIMEOUT)])]
    raw = [_known(runner, done) for done in raw]
    files = Below([(folder, found.get(tree, {})) for folder, tree in zip(below, trees, strict=True)])
    return Observation(digest(raw, found), tuple(raw), files)


def _known(runner: Runner, done: Completed) -> Completed:
    """The answer of jls, asked again without the parameters that this kernel does not know.

    One name that a spec got wrong, or whose module is not loaded, must not hide every jail.
    """
    while tool(done.argv) == "jls" and (name := jail.unknown(done)):
        argv = tuple(word for word in done.argv if word != name)
        done = runner.batch([Command(argv, timeout=_TIMEOUT)])[0]
    return done


def digest(raw: list[Completed], trees: Mapping[str, Mapping[str, bytes]]) -> str:
    """SHA-256 over all that was read, each part with its length; sizes of datasets are left out."""
    summed = hashlib.sha256()
    for done in raw:
        said = hashlib.sha256()
        for piece in zfs.steady_parts(done.stdout) if tool(done.argv) == "zfs" else (done.stdout,):
            said.update(piece)
        for part in ("\0".join(done.argv).encode(), str(done.status).encode(), said.digest(), done.stderr):
            summed.update(b"%d:" % len(part))
            summed.update(part)
    for folder, files in sorted(trees.items()):
        known = getattr(files, "digest", None) or _digest(files)
        summed.update(f"{len(folder)}:{folder}={known}".encode("utf-8", "surrogateescape"))
    return summed.hexdigest()


def _digest(files: Mapping[str, bytes]) -> str:
    summed = hashlib.sha256()
    for path in sorted(files):
        for part in (path.encode("utf-8", "surrogateescape"), files[path]):
            summed.update(b"%d:" % len(part))
            summed.update(part)
    return summed.hexdigest()


def rows(observation: Observation, wanted: Callable[[str], bool], *, jailed: bool) -> tuple[DatasetRow, ...]:
    """The datasets whose names are wanted; the lines of others are not parsed. Raises HostError."""
    listings = [done for done in observation.raw if tool(done.argv) == "zfs"]
    if len(listings) != 1:  # a jail may have written into lines of the first: they are held against the second
        found = zfs.settled(listings[0], listings[1], jailed=jailed) if listings else ()
        return tuple(row for row in found if wanted(row.name))
    lines = listings[0].stdout.split(b"\n")
    kept = [line for line in lines if line and wanted(text(line.partition(b"\t")[0]))]
    return zfs.parse_listing(replace(listings[0], stdout=b"\n".join([*kept, b""])), jailed=jailed)


def parse(request: Request, observation: Observation, *, jailed: bool) -> Observed:
    """Make values of an observation. Raises HostError for a command that failed or is not understood."""
    done = {tool(completed.argv): completed for completed in reversed(observation.raw)}
    plain = [completed for completed in observation.raw if tool(completed.argv) == "zfs"][1:]
    pf = {completed.argv: completed for completed in observation.raw if tool(completed.argv) == "pfctl"}
    words: dict[str, str] = {}
    jails = jail.parse_listing(_good(done["jls"])) if "jls" in done else ()
    mounts = mount.parse_listing(_good(done["mount"]), words) if "mount" in done else ()
    # Last, since its rows are most of all: the text of the others, decoded, never stands beside them.
    rows: tuple[DatasetRow, ...] = ()
    pools: dict[str, tuple[str, str]] = {}
    if listing := done.get("zfs"):
        rows = (
            zfs.settled(listing, plain[0], jailed=jailed, words=words)
            if plain
            else zfs.parse_listing(listing, jailed=jailed, words=words)
        )
        pools = pool_states(request, rows, listing, done.get("zpool"))
    state, reason = pools.pop(request.pool, ("ready", ""))
    return Observed(
        facts=sysctl.parse_query(done["sysctl"], _pf(pf.get(network.rules()))) if "sysctl" in done else None,
        pool_state=state,
        pool_reason=reason,
        pools=pools,
        datasets=rows,
        jails=jails,
        mounts=mounts,
        interfaces=network.parse_interfaces(_good(done["ifconfig"])) if "ifconfig" in done else (),
        limits=rctl.parse_listing(done["rctl"]) if "rctl" in done else frozenset(),
        firewall=_anchors(pf[network.anchors()]) if network.anchors() in pf else frozenset(),
        devices=devfs.parse_listing(_good(done["devfs"])) if "devfs" in done else frozenset(),
        files=observation.files,
    )


def _good(completed: Completed) -> Completed:
    if completed.status != 0:
        raise failed(completed)
    return completed


def _pf(completed: Completed | None) -> dict[str, bool]:
    if completed is None or network.unavailable(completed):
        return {"pf": False, "pf_anchor": False}
    return {"pf": True, "pf_anchor": network.parse_called(_good(completed))}


def _anchors(completed: Completed) -> frozenset[str]:
    return frozenset() if network.unavailable(completed) else network.parse_anchors(_good(completed))


def pool_states(
    request: Request, rows: tuple[DatasetRow, ...], listing: Completed, imported: Completed | None
) -> dict[str, tuple[str, str]]:
    """The state and its reason of our dataset in each pool, by its name: see `Observed`."""
    if listing.status == 127:
        reason = "there is no zfs command: kldload zfs, or install ZFS"
        return dict.fromkeys((request.pool, *request.extra_pools), ("refused", reason))
    if not _of_pools(request):
        if listing.status:
            _missing(listing)
        return dict.fromkeys((request.pool, *request.extra_pools), ("ready", ""))
    health = zfs.parse_pools(imported) if imported and imported.status == 0 else {}
    missing = _missing(listing) if listing.status else set()
    asked_for = {request.pool, *request.extra_pools}
    by_name = {row.name: row for row in rows if row.name in asked_for}
    states = {}
    for name in (request.pool, *request.extra_pools):
        asked = not request.roots or name in request.roots
        mountpoint = request.mountpoint if name == request.pool else None
        if name.split("/")[1:2] == ["ROOT"]:
            states[name] = ("refused", f"{name} is below ROOT, where boot environments live: choose another dataset")
        elif name in by_name:
            states[name] = _mounted(by_name[name], mountpoint)
        elif listing.status:
            states[name] = _absent(name, missing, health, asked=asked)
        else:
            states[name] = ("ready", "")
    return states


def _missing(listing: Completed) -> set[str]:
    """The names that the listing says do not exist. Raises HostError when it failed for any other reason."""
    names = set()
    for line in text(listing.stderr).splitlines():
        if line.startswith("cannot open '") and line.endswith("': dataset does not exist"):
            names.add(line[len("cannot open '") : -len("': dataset does not exist")])
        elif line.startswith("cannot open '") and "currently suspended" in line:
            names.add(line[len("cannot open '") :].partition("'")[0])
        elif line.strip() and "warning" not in line.lower():
            raise failed(listing)
    return names


def _mounted(row: DatasetRow, mountpoint: str | None) -> tuple[str, str]:
    # In an extra pool nothing of ours is read through a mountpoint (None), so none is needed.
    if row.keystatus == "unavailable":
        return (
            "waiting",
            f"the key of {row.encryptionroot} is not loaded: zfs load-key {row.encryptionroot}",
        )
    if mountpoint is not None and not row.mounted:
        return "waiting", f"{row.name} is not mounted: zfs mount {row.name}"
    if mountpoint and row.mountpoint != mountpoint.rstrip("/"):
        return "waiting", f"{row.name} is mounted on {row.mountpoint}, not on {mountpoint}"
    return "ready", ""


def _absent(name: str, missing: set[str], health: Mapping[str, str], *, asked: bool) -> tuple[str, str]:
    pool = name.split("/")[0]
    if pool not in health:
        others = ", ".join(sorted(health))
        others = f" (imported are: {others}; `pool:` of a Host document says which one to use)" if others else ""
        return "waiting", f"the pool {pool} is not imported: zpool import {pool}{others}"
    if health[pool] in {"SUSPENDED", "FAULTED", "UNAVAIL"}:
        return "waiting", f"the pool {pool} is {health[pool]}: zpool status {pool}"
    if not asked:
        return "ready", ""
    if name in missing:
        return "absent", f"{name} does not exist yet"
    return "waiting", f"{name} was not listed: zfs list {name}"
