"""The files beside a jail that it starts from: jail.conf, fstab, hooks. The fstab's first line is the pointer
to the live root, the only one there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import ClassVar

from reconciler.kind import Desired, Kind, Place, Seen, digest
from reconciler.model.action import Action, Phase, Site
from reconciler.model.diagnostic import Span
from reconciler.model.quick import quick
from reconciler.model.value import Ref, Resource
from reconciler.runtime import fstab

# A jail.conf that jail(8) was asked about, and that did not take its place.
UNCHECKED = "jail.conf.new"
# Written by others than this kind: markers and what the jail itself leaves.
FOREIGN = frozenset(
    {"started", "suspended", "stopped-by-operator", "console.log", "console.log.0", "previous", "mounted"}
)


@quick
@dataclass(frozen=True, slots=True)
class Config(Resource):
    """A jail's files: path below its folder, SHA256 of the content.

    `content` is known when wanted, `bytes_` when seen. `save`: what it replaces was good and is set aside.
    `data`: datasets (whole names) of the root that is replaced and of the volumes, snapshotted before that.
    `upper`: the folder that a recording lays over the root; the line of the fstab that says so is no part of `files`.
    """

    kind: ClassVar[str] = "config"
    files: tuple[tuple[str, str], ...] = ()
    generation: int = field(default=0, compare=False)
    content: Mapping[str, tuple[int, str]] = field(default_factory=dict, compare=False)
    bytes_: Mapping[str, bytes] = field(default_factory=dict, compare=False)
    save: bool = field(default=False, compare=False)
    upper: str = field(default="", compare=False)
    data: tuple[str, ...] = field(default=(), compare=False)
    root: Ref | None = field(default=None, compare=False)
    volumes: frozenset[Ref] = field(default=frozenset(), compare=False)

    @property
    def scope(self) -> str:
        """The jail."""
        return self.name

    def needs(self) -> frozenset[Ref]:
        """The folder, the root it points at, and the volumes that it mounts."""
        return frozenset({Ref("dataset", f"jails/{self.name}"), *self.volumes, *([self.root] if self.root else [])})

    def facts(self) -> Mapping[str, str]:
        """The names of the files with short digests."""
        return {path: sha[:12] for path, sha in self.files}


@dataclass(frozen=True, slots=True)
class WriteConfig(Action):
    """Write what differs; jail.conf is checked by jail(8) before it takes its place, the fstab goes last."""

    @property
    def phase(self) -> Phase:
        """After the jail stopped: it is removed with the configuration it was started from."""
        return Phase.BUILD

    def title(self) -> str:
        """A verb and its object."""
        before, after = self.before, self.after
        assert isinstance(after, Config)
        if before is None:
            return "write jail.conf, fstab and hooks"
        assert isinstance(before, Config)
        was = dict(before.files)
        changed = [path for path, sha in after.files if was.get(path) != sha]
        changed += [path for path in was if path not in dict(after.files)]
        if before.generation and after.generation != before.generation:
            new = after.generation
            return f"snapshot @before-{new}, point fstab at root {new} (was {before.generation})"
        return "write " + ", ".join(sorted(changed))

    def apply(self, site: Site) -> None:
        """One file after the other, each by rename, once jail(8) has read the new jail.conf."""
        after = self.after
        assert isinstance(after, Config)
        folder = f"{site.mountpoint}/jails/{after.name}"
        was = dict(self.before.files) if isinstance(self.before, Config) else {}
        now = dict(after.files)
        if isinstance(self.before, Config) and self.before.generation not in (0, after.generation):
            self._snapshot(site, after, self.before.generation)
        if after.save and isinstance(self.before, Config):
            self._set_aside(site, folder, self.before)
        order = sorted((p for p in now if was.get(p) != now[p]), key=lambda p: (p == "fstab", p))
        content = {path: after.content[path] for path in order}
        checked = f"{folder}/jail.conf.new"
        if "jail.conf" in content:
            mode, text = content["jail.conf"]
            site.host.files.write(checked, text.encode(), mode)
            site.host.jails.check(checked)
        if content:
            site.host.files.write_all(folder, [(path, text.encode(), mode) for path, (mode, text) in content.items()])
        if "jail.conf" in content:
            site.host.files.remove(checked)
        for path in was:
            if path not in now:
                site.host.files.remove(f"{folder}/{path}")

    @staticmethod
    def _snapshot(site: Site, after: Config, former: int) -> None:
        """The root and the volumes at one moment, while nothing runs: what a new root does to data can be seen."""
        names = [f"{dataset}@before-{after.generation}" for dataset in after.data]
        there = {row.name for row in site.observe("datasets", roots=after.data).datasets}
        missing = [name for name in names if name not in there and name.partition("@")[0] in there]
        if missing:
            site.host.datasets.snapshot(missing, {"reconciler:replaced": str(former)})
            site.output(after.ref)(("snapshots: " + " ".join(missing) + "\n").encode())

    @staticmethod
    def _set_aside(site: Site, folder: str, good: Config) -> None:
        """Keep the files of the last good configuration, whole or not at all: the fstab goes last."""
        site.host.files.remove(f"{folder}/previous/fstab")
        site.host.files.clear(f"{folder}/previous")
        site.host.files.mkdir(f"{folder}/previous", 0o700)
        paths = sorted(set(good.bytes_) - {UNCHECKED}, key=lambda p: (p == "fstab", p))
        site.host.files.write_all(f"{folder}/previous", [(path, good.bytes_[path], 0o600) for path in paths])


def of(content: Mapping[str, tuple[int, str]]) -> tuple[tuple[str, str], ...]:
    """The compared form of a set of files."""
    return tuple(sorted((path, digest(text)) for path, (_mode, text) in content.items()))


def want(desired: Desired) -> Iterable[Config]:
    """As allocation rendered them."""
    for allocation in desired.allocated.values():
        yield allocation.config


def generation(fstab: bytes | None, place: Place, jail: str) -> int:
    """The generation that an fstab's first line mounts; 0 when it mounts none of ours."""
    first = (fstab or b"").decode("utf-8", "replace").split("\n", 1)[0].split()
    prefix = place.dataset(f"jails/{jail}/")
    if first and first[0].startswith(prefix) and first[0][len(prefix) :].isdigit():
        return int(first[0][len(prefix) :])
    return 0


class Held(Mapping[str, bytes]):
    """The files of one jail as they were seen; read when asked for, since most are only compared by digest."""

    __slots__ = ("_files", "_jail", "_names")

    def __init__(self, files: Mapping[str, bytes], jail: str, names: tuple[str, ...]) -> None:
        """Those of `names` among all the files that were seen."""
        self._files, self._jail, self._names = files, jail, names

    def __getitem__(self, path: str) -> bytes:
        if path not in self._names:
            raise KeyError(path)
        data = self._files[f"jails/{self._jail}/{path}"]
        return _told(data)[0] if path == "fstab" else data

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def have(seen: Seen) -> Iterable[Config]:
    """The files in the folder of every jail's dataset of ours."""
    if "config" not in seen.worked_out:
        seen.worked_out["config"] = tuple(_have(seen))
    found: tuple[Config, ...] = seen.worked_out["config"]
    return found


def _told(data: bytes) -> tuple[bytes, str]:
    """An fstab as it was written from the spec, and the upper folder that a recording has added to it."""
    if b" unionfs " not in data:
        return data, ""
    text = data.decode("utf-8", "surrogateescape")
    return fstab.plain(text).encode("utf-8", "surrogateescape"), fstab.upper(text)


def _have(seen: Seen) -> Iterable[Config]:
    sums: dict[str, dict[str, str]] = {}
    uppers: dict[str, str] = {}
    live: dict[str, int] = {}
    same: dict[str, str] = {}  # jails have many files in common
    for path, data in seen.observed.files.items():
        if path.startswith("jails/"):
            jail, _, rest = path[len("jails/") :].partition("/")
            if rest and rest.partition("/")[0] not in FOREIGN and (rest == UNCHECKED or not rest.endswith(".new")):
                if rest == "fstab":
                    live[jail] = generation(data, seen.place, jail)
                    data, uppers[jail] = _told(data)
                sha = digest(data)
                sums.setdefault(jail, {})[intern(rest)] = same.setdefault(sha, sha)
    names: dict[tuple[str, ...], tuple[str, ...]] = {}
    for jail, files in sums.items():
        paths = tuple(sorted(files))
        paths = names.setdefault(paths, paths)
        held, upper = Held(seen.observed.files, jail, paths), uppers.get(jail, "")
        yield Config(jail, tuple((path, files[path]) for path in paths), live.get(jail, 0), bytes_=held, upper=upper)


def steps(before: Config | None, after: Config | None) -> Iterable[Action]:
    """Write; the files of a pruned jail stay, so that it can come back."""
    if after is not None:
        yield WriteConfig(before, after)


def narrow(resource: Config, _place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its folder."""
    return ((), (f"jails/{resource.name}",))


def span(resource: Config, desired: Desired) -> Span | None:
    """The jail."""
    sourced = desired.specs.jails.get(resource.name)
    return sourced.place(()) if sourced else None


KIND = Kind(Config, want, have, steps, frozenset({"files"}), narrow, span=span)
