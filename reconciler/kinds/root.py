"""A root: one generation of a jail, a clone of its chain's last layer, sealed by one snapshot.

A new generation is built beside the live one. Which one is live is the fstab's business (config.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar
from urllib.parse import quote

from reconciler.build.copied import carry, check_folders, copy, discard_copied
from reconciler.build.layers import located
from reconciler.build.levels import reach
from reconciler.build.patch import Patched, Wanted, lines
from reconciler.build.recorded import recordings
from reconciler.build.seal import seal
from reconciler.build.union import may_be_there
from reconciler.build.workspace import Workspace
from reconciler.kind import ROOT, Desired, Kind, Place, Seen, attributes, make_dataset
from reconciler.model.action import Action, Note, Phase, Site
from reconciler.model.diagnostic import Diagnostic, HostError, ReconcilerError, Span
from reconciler.model.quick import quick
from reconciler.model.value import Ref, Resource
from reconciler.spec.document import Jail
from reconciler.undeclared import undeclared

SHOWN = 5  # paths that the mark on a kept root names
LONGEST = 800  # bytes of each as it is written there: a property's value holds 8191


@quick
@dataclass(frozen=True, slots=True)
class Root(Resource):
    """A sealed generation by `JAIL/NUMBER`.

    `digest` covers the chain's tip and what sealing adds; `tip` is the layer (or release) cloned;
    `folders` are the mount points made in it; `attributes` are those of the dataset that a user can change.
    `written`: bytes since it was sealed; `left_for`: the generations that the jail was pointed at instead;
    `others`: somebody else's snapshots stand on it; `expired`: its
    destruction began; `kept`: what the jail wrote into it and nobody declared, so that it stays; `leaving`:
    more are there than its spec keeps; `past`: the jail went past it, and it never was good.
    `thick`: a whole copy, which has `release`, `level` and `chain` (what it was built of, whatever the level) written
    on it, for it has no origin that says so;
    `carried`: the level of the stopped root that it is copied from, -1 when it is built from its chain; `restart`:
    the jail runs again when that fails.
    """

    kind: ClassVar[str] = "root"
    jail: str = ""
    number: int = 0
    digest: str = ""
    tip: Ref = field(default=Ref("release", ""), compare=False)
    folders: tuple[str, ...] = field(default=(), compare=False)
    written: int = field(default=0, compare=False)
    former: int = field(default=0, compare=False)
    attributes: tuple[tuple[str, str], ...] = ROOT
    left_for: tuple[int, ...] = field(default=(), compare=False)
    others: bool = field(default=False, compare=False)
    expired: bool = field(default=False, compare=False)
    kept: str = field(default="", compare=False)
    leaving: bool = False
    past: bool = field(default=False, compare=False)
    spec: Jail | None = field(default=None, compare=False)
    thick: bool = field(default=False, compare=False)
    chain: str = field(default="", compare=False)
    release: str = field(default="", compare=False)
    level: int = field(default=-1, compare=False)
    sets: tuple[str, ...] = field(default=("base",), compare=False)
    carried: int = field(default=-1, compare=False)
    restart: bool = field(default=False, compare=False)

    @property
    def scope(self) -> str:
        """The jail."""
        return self.jail

    def needs(self) -> frozenset[Ref]:
        """The jail's dataset, the tip of the chain, and a clean place to work."""
        tip = {self.tip} if self.tip.name else set()
        return frozenset({Ref("dataset", f"jails/{self.jail}"), Ref("workplace", "build"), *tip})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        return {"digest": self.digest[:12], **dict(self.attributes)}


@dataclass(frozen=True, slots=True)
class BuildRoot(Action):
    """Clone the tip, take out what clones must not share, make the mount points, seal."""

    @property
    def phase(self) -> Phase:
        """Beside what runs; after that stopped, where its root is copied."""
        root = self.subject
        return Phase.BUILD if isinstance(root, Root) and root.carried >= 0 else Phase.PREPARE

    def title(self) -> str:
        """A verb and its object."""
        root = self.subject
        assert isinstance(root, Root)
        if root.carried >= 0:
            patched = f", patched from -p{root.carried} to -p{root.level}" if root.carried < root.level else ""
            return f"root {root.former} → {root.number}  copied while stopped{patched}; {root.former} kept for rollback"
        if root.former:
            return f"root {root.former} → {root.number}  built beside; {root.former} kept for rollback"
        return f"root {root.number}"

    def apply(self, site: Site) -> None:
        """The generation exists once @sealed does. Where copying or patching fails, the jail runs as it did."""
        root = self.subject
        assert isinstance(root, Root)
        try:
            self._build(site, root)
        except ReconcilerError:
            if root.restart:
                conf = f"{site.mountpoint}/jails/{root.jail}/jail.conf"
                site.host.jails.start(conf, root.jail, site.output(root.ref))
            raise

    @staticmethod
    def _build(site: Site, root: Root) -> None:
        dataset = f"{site.pool}/jails/{root.name}"
        properties = {"reconciler:digest": root.digest}
        with Workspace(site, dataset) as room:
            if root.thick:
                properties |= {"reconciler:chain": root.chain, "reconciler:patch_level": str(root.level)}
                properties["reconciler:release"] = root.release
                discard_copied(site, dataset)
            room.discard_unfinished()
            _begin(site, root, dataset)
            room.mount()
            if 0 <= root.carried < root.level:
                patched = _patched(site, root, room)
                if patched.skipped:
                    properties["reconciler:skipped"] = " ".join(patched.skipped)[:LONGEST]
            room.start(network=False)
            seal(site, room, root.ref, root.folders, strip=root.carried < 0)
        site.host.datasets.snapshot([f"{dataset}@sealed"], properties)
        if root.carried >= 0:
            former = f"{site.pool}/jails/{root.jail}/{root.former}"
            site.host.datasets.set(former, {"reconciler:carried": str(root.number)})


def _begin(site: Site, root: Root, dataset: str) -> None:
    """The dataset: a clone, a copy, or a copy of the stopped root."""
    if root.carried >= 0:
        carry(site, root.jail, f"{site.pool}/jails/{root.jail}/{root.former}", dataset)
    elif root.thick:
        copy(site, _tip(site, root), dataset)
    else:
        make_dataset(site, dataset, {"mountpoint": "legacy", "canmount": "noauto"}, origin=_tip(site, root))


def _patched(site: Site, root: Root, room: Workspace) -> Patched:
    check_folders(site, room, root.tip.name)
    wanted = Wanted(root.release, root.level, root.carried, site.updates, root.sets)
    patched = reach(site, room, wanted, root.ref)
    for line in lines(patched, root.name):
        site.output(root.ref)(f"{line}\n".encode())
    return patched


def _tip(site: Site, root: Root) -> str:
    if root.tip.kind == "release":
        return f"{site.pool}/releases/{root.tip.name}@sealed"
    rows = site.observe("datasets", roots=(f"{site.pool}/layers",)).datasets
    return located(site, rows, root.tip.name).name


@dataclass(frozen=True, slots=True)
class SetRoot(Action):
    """Put the dataset's attributes right; what is in it is not touched."""

    def title(self) -> str:
        """A verb and its object."""
        return f"correct dataset jails/{self.subject.name}"

    def apply(self, site: Site) -> None:
        """Set what differs."""
        before, after = self.before, self.after
        assert isinstance(before, Root) and isinstance(after, Root)
        changed = sorted(set(after.attributes) - set(before.attributes))
        for name, value in changed:
            # A mountpoint cannot be taken from what a running jail uses; readonly counts only once it is remounted.
            site.host.datasets.set(f"{site.pool}/jails/{after.name}", {name: value}, remount=name == "readonly")


@dataclass(frozen=True, slots=True)
class ExpireRoot(Action):
    """Destroy an old generation beyond the spec's number, unless the jail wrote into it what `spec` does not cover.

    `past`: it is none of those that count, for it never was good.
    """

    spec: Jail | None = field(default=None, kw_only=True)
    past: bool = field(default=False, kw_only=True)

    @property
    def phase(self) -> Phase:
        """Last of all."""
        return Phase.CLEAR

    def title(self) -> str:
        """A verb and its object."""
        root = self.subject
        assert isinstance(root, Root)
        return f"destroy root {root.number}, which never was good" if self.past else f"destroy old root {root.number}"

    def apply(self, site: Site) -> None:
        """Mark it, so that a kill in between is gone on with; destroy our snapshot, then the dataset.

        Raises HostError (code `dataset-unexpected`) when snapshots of others stand on it; then nothing was touched.
        """
        root = self.subject
        assert isinstance(root, Root)
        dataset = f"{site.pool}/jails/{root.name}"
        rows = site.observe("datasets", roots=(dataset,)).datasets
        names = {row.name for row in rows}
        before = sorted(row.name for row in rows if _is_before(row.name, row.user))
        if strangers := sorted(names - {dataset, f"{dataset}@sealed", *before}):
            what = f"{', '.join(strangers)} stand on the old root {root.name}."
            hint = f"Look at it, then: zfs destroy -r {dataset}"
            raise HostError(Diagnostic("dataset-unexpected", "An old root has snapshots of somebody else", what, hint))
        if dataset in names and not root.expired:
            carried = any(row.name == dataset and row.user.get("carried") for row in rows)
            if root.written and not carried and (lost := self._lost(site, dataset)):
                site.host.datasets.set(dataset, {"reconciler:kept": " ".join(lost[:SHOWN])})
                return
            site.host.datasets.set(dataset, {"reconciler:pruned": site.today})
        self._forget_volumes(site, root)
        for name in (*before, *(n for n in names if n == f"{dataset}@sealed"), *(n for n in names if n == dataset)):
            site.host.datasets.destroy(name)

    @staticmethod
    def _forget_volumes(site: Site, root: Root) -> None:
        """The snapshots of volumes that were taken when this root was replaced; those in use by others stay."""
        for row in site.observe("datasets", roots=(f"{site.pool}/volumes/{root.jail}",)).datasets:
            if _is_before(row.name, row.user) and row.user.get("replaced") == str(root.number):
                try:
                    site.host.datasets.destroy(row.name)
                except HostError as error:
                    if error.diagnostics[0].code not in ("has-clones", "snapshot-held"):
                        raise

    def _lost(self, site: Site, dataset: str) -> tuple[str, ...]:
        """What would go with it; it is mounted read-only for that, where nobody else looks."""
        if self.spec is None:
            return ()
        with Workspace(site, dataset) as room:
            room.mount("ro")
            changes = site.host.datasets.diff(f"{dataset}@sealed", dataset)
            # As a property's value: no tab, no newline. A name of the jail may be no UTF-8.
            lost = (path.encode("utf-8", "surrogateescape") for path in undeclared(self.spec, changes, room.path))
            return tuple(quote(path)[:LONGEST] for path in lost)

    def done(self, now: Resource | None) -> bool:
        """Whether it is gone, or marked as kept."""
        return now is None or (isinstance(now, Root) and bool(now.kept))


def _is_before(name: str, user: Mapping[str, str]) -> bool:
    """Whether a snapshot is one of ours, taken before a root was replaced."""
    return "@before-" in name and bool(user.get("replaced"))


def want(desired: Desired) -> Iterable[Root]:
    """Each jail's root, and the older ones that it keeps; all of a jail that no spec names: it may come back."""
    by_jail: dict[str, list[Root]] = {}
    for root in have(desired.seen):
        by_jail.setdefault(root.jail, []).append(root)
    for name, allocation in desired.allocated.items():
        stay = (allocation.root, *allocation.kept)
        yield from stay
        numbers = {root.number for root in stay}
        spec = desired.specs.jails[name].doc
        leave = (root for root in by_jail.get(name, ()) if root.number not in numbers)
        yield from (replace(root, leaving=True, spec=spec, past=root.number in allocation.past) for root in leave)
    for jail, roots in by_jail.items():
        if jail not in desired.allocated:
            yield from roots


def have(seen: Seen) -> Iterable[Root]:
    """Every sealed generation, and those whose destruction was interrupted. One that is being built is none yet."""
    if "roots" not in seen.worked_out:
        seen.worked_out["roots"] = tuple(_have(seen))
    roots: tuple[Root, ...] = seen.worked_out["roots"]
    return roots


def _have(seen: Seen) -> Iterable[Root]:
    heads = {
        path: row for path, row in seen.rows.items() if path.startswith("jails/") and "@" not in path and _number(path)
    }
    snapshots: dict[str, list[str]] = {path: [] for path in heads}
    left_for: dict[str, list[int]] = {path: [] for path in heads}
    since = {path: row.written for path, row in heads.items()}
    for path, row in seen.rows.items():
        name, at, snapshot = path.partition("@")
        if at and name in snapshots:
            if not _is_before(row.name, row.user):
                snapshots[name].append(snapshot)
            elif (later := snapshot.removeprefix("before-")).isdigit():
                left_for[name].append(int(later))
        if at and name in since and snapshot != "sealed":
            since[name] += row.written  # zfs counts from the latest snapshot, whosever it is
    for path, head in heads.items():
        sealed = seen.rows.get(f"{path}@sealed")
        expired = "pruned" in head.user
        if sealed is None and not expired:
            continue
        yield Root(
            path.removeprefix("jails/"),
            path.split("/")[1],
            _number(path),
            sealed.user.get("digest", "") if sealed else "",
            written=since[path],
            attributes=attributes(head),
            left_for=tuple(left_for[path]),
            others=snapshots[path] not in ([], ["sealed"]),
            expired=expired,
            kept=head.user.get("kept", ""),
            chain=sealed.user.get("chain", "") if sealed else "",
            level=_level(sealed.user.get("patch_level", "")) if sealed else -1,
        )


def _level(text: str) -> int:
    return int(text) if text.isdigit() else -1


def _number(path: str) -> int:
    """The generation that a dataset's path names; 0 for any other dataset."""
    parts = path.split("/")
    return int(parts[2]) if len(parts) == 3 and parts[0] == "jails" and parts[2].isdigit() else 0


def steps(before: Root | None, after: Root | None) -> Iterable[Action]:
    """Build beside; expire the old. What a sealed root holds is never changed."""
    if before is None:
        yield BuildRoot(before, after)
    elif after is not None and after.leaving:
        reason = "another took its place" if after.past else "more are kept than update.keep says"
        yield ExpireRoot(before, None, reason=reason, spec=after.spec, past=after.past)
    elif after is None:
        yield ExpireRoot(before, after)
    elif before.digest == after.digest:
        yield SetRoot(before, after)


def notes(desired: Desired) -> Iterable[Note]:
    """Jails that are recorded; and old roots that stay, for what the jail wrote into them."""
    for jail, found in recordings(desired.seen.rows).items():
        if jail in desired.allocated:
            verb = f"build {jail} --name NAME --version VERSION" if found.stopped else f"record stop {jail}"
            until = f" to {found.stopped}" if found.stopped else ""
            how = f" with unionfs, into {found.upper}" if found.upper else ""
            text = f"recorded from {found.started}{until}{how}. reconcile package {verb}"
            if found.upper and not may_be_there(desired.seen.observed.mounts, found.upper):
                text = f"what was recorded from {found.started} is lost: {found.upper} went with its file system. "
                text += f"reconcile package record discard {jail}"
            yield Note(jail, "recording", text)
    for path, row in desired.seen.rows.items():
        kept = row.user.get("kept", "") if row.user else ""
        number, jail = _number(path), path.split("/")[1] if kept else ""
        if number and jail in desired.allocated:
            text = f"old root {number} stays, for nothing declares what {jail} wrote into it: {kept}. "
            text += f"Declare it, and then: zfs inherit reconciler:kept {row.name}; or: zfs destroy -r {row.name}"
            yield Note(jail, "root-kept", text)


def narrow(resource: Root, place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its dataset."""
    return ((place.dataset(f"jails/{resource.name}"),), ())


def span(resource: Root, desired: Desired) -> Span | None:
    """The jail's release, the first thing that decides its root."""
    sourced = desired.specs.jails.get(resource.jail)
    return sourced.place(("release",)) if sourced else None


KIND = Kind(Root, want, have, steps, frozenset({"datasets"}), narrow, span=span, notes=notes)
