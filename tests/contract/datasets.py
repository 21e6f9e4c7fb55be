"""What every Datasets facet promises: run over the sandbox, and over real OpenZFS in a guest.

Plain functions over a host and a dataset that is mounted and empty, so that they need no test runner.
Each works below a child of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from diffing import SCENARIOS, Scenario, told

from reconciler.model.command import Command, Runner
from reconciler.model.diagnostic import HostError
from reconciler.model.ports import Change, DatasetRow, Host, Observed, Request

CHECKS: list[Callable[[Place], None]] = []


@dataclass(frozen=True)
class Place:
    """Where a check may work: a dataset of this name, mounted there; `real` leads from a path to this machine's."""

    host: Host
    dataset: str
    mountpoint: str
    runner: Runner | None = None
    real: Callable[[str], Path] = Path

    def see(self, *roots: str) -> Observed:
        """Observe the datasets below the place, or below these children of it."""
        named = tuple(f"{self.dataset}/{name}" if name else self.dataset for name in roots)
        request = Request(self.dataset, self.mountpoint, frozenset({"datasets"}), roots=named)
        return self.host.parse(request, self.host.observe(request))

    def rows(self, name: str) -> dict[str, DatasetRow]:
        """The rows at and below a child, by the name after it."""
        whole = f"{self.dataset}/{name}"
        return {row.name.removeprefix(whole): row for row in self.see(name).datasets}

    def make(self, name: str, **properties: str) -> str:
        """A new child, by its whole name."""
        whole = f"{self.dataset}/{name}"
        self.host.datasets.create(whole, properties)
        return whole

    def put(self, name: str, data: bytes) -> None:
        """Write a file below the mountpoint."""
        self.host.files.write(f"{self.mountpoint}/{name}", data, 0o644)


def check(function: Callable[[Place], None]) -> Callable[[Place], None]:
    """Add a function to the suite."""
    CHECKS.append(function)
    return function


def refuses(code: str, action: Callable[[], None]) -> HostError:
    """The action must raise HostError of this code."""
    try:
        action()
    except HostError as caught:
        error = caught
    else:
        raise AssertionError(f"it was not refused as {code}")
    assert error.diagnostics[0].code == code, error
    assert error.argv, "the error does not say which command failed"
    return error


def user(**values: str) -> Mapping[str, str]:
    """User properties of ours."""
    return {f"reconciler:{name}": value for name, value in values.items()}


@check
def a_copy_needs_nothing_of_what_it_was_copied_from(place: Place) -> None:
    source, target = place.make("original"), f"{place.dataset}/copied"
    place.put("original/file", b"kept\n")
    place.host.datasets.snapshot([f"{source}@moment"], {})
    properties = {"mountpoint": "legacy", "canmount": "noauto", "reconciler:owner": "me"}
    refuses("zfs-failed", lambda: place.host.datasets.copy(f"{source}@none", f"{target}@copied", properties))
    assert not place.rows("copied")
    place.host.datasets.copy(f"{source}@moment", f"{target}@copied", properties)
    rows = place.rows("copied")
    assert set(rows) == {"", "@copied"}
    assert (rows[""].origin, rows[""].mountpoint, rows[""].mounted) == ("", "legacy", False)
    assert rows[""].user["owner"] == "me"
    place.host.datasets.destroy(f"{source}@moment")
    place.host.datasets.destroy(f"{target}@copied")
    place.host.datasets.destroy(target)


@check
def a_dataset_is_created_with_its_properties(place: Place) -> None:
    name = f"{place.dataset}/made"
    native = {"quota": "104857600", "compression": "lz4", "exec": "off"}
    place.host.datasets.create(name, {**native, **user(owner="web", digest="sha256:00")})
    row = place.rows("made")[""]
    assert (row.name, row.kind, row.mounted, row.origin) == (name, "filesystem", True, "")
    assert row.mountpoint == f"{place.mountpoint}/made"
    assert row.native["quota"] == "104857600"
    assert (row.native["compression"], row.native["exec"], row.native["setuid"]) == ("lz4", "off", "on")
    assert (row.user["owner"], row.user["digest"]) == ("web", "sha256:00")
    assert not row.jailed
    assert row.guid == place.host.datasets.guid(name)


@check
def a_snapshot_is_made_at_or_after_its_dataset(place: Place) -> None:
    name = place.make("dated")
    place.host.datasets.snapshot([f"{name}@first"], {})
    made = place.host.datasets.created([name, f"{name}@first"])
    assert set(made) == {name, f"{name}@first"}
    assert 1_000_000_000 < made[name] <= made[f"{name}@first"]
    refuses("dataset-missing", lambda: place.host.datasets.created([f"{name}@gone"]))


@check
def creating_what_exists_or_has_no_parent_is_refused(place: Place) -> None:
    name = place.make("twice")
    refuses("dataset-exists", lambda: place.host.datasets.create(name, {}))
    refuses("dataset-missing", lambda: place.host.datasets.create(f"{name}/no/child", {}))
    refuses("dataset-missing", lambda: place.host.datasets.create("nosuchpool/x", {}))
    refuses("bad-property", lambda: place.host.datasets.create(f"{name}/bad", {"nosuch": "1"}))
    assert set(place.rows("twice")) == {""}


@check
def a_name_may_hold_a_space(place: Place) -> None:
    place.make("with space")
    assert place.rows("with space")[""].mountpoint == f"{place.mountpoint}/with space"


@check
def a_dataset_that_is_not_there_is_absent_and_others_are_still_seen(place: Place) -> None:
    place.make("here")
    seen = place.see("here", "not-here")
    assert [row.name for row in seen.datasets] == [f"{place.dataset}/here"]
    assert seen.pool_state == "ready", seen.pool_reason
    request = Request(f"{place.dataset}/none", "/nowhere", frozenset({"datasets"}))
    assert place.host.parse(request, place.host.observe(request)).pool_state == "absent"
    request = Request("nosuchpool/none", "/nowhere", frozenset({"datasets"}))
    assert place.host.parse(request, place.host.observe(request)).pool_state == "waiting"


@check
def user_properties_are_set_inherited_and_removed(place: Place) -> None:
    parent = place.make("inherits")
    place.make("inherits/child")
    place.host.datasets.set(parent, user(owner="a b", good="4"))
    rows = place.rows("inherits")
    assert rows[""].user["owner"] == rows["/child"].user["owner"] == "a b"
    place.host.datasets.set(f"{parent}/child", user(owner="own"))
    place.host.datasets.unset(parent, "reconciler:good")
    rows = place.rows("inherits")
    assert (rows[""].user["owner"], rows["/child"].user["owner"]) == ("a b", "own")
    assert "good" not in rows[""].user
    assert "good" not in rows["/child"].user


@check
def only_what_was_set_on_a_dataset_itself_is_local(place: Place) -> None:
    parent = place.make("marked")
    place.host.datasets.create(f"{parent}/child", {})
    place.host.datasets.set(parent, user(commit="0123abcd", note="a b"))
    asked = ("reconciler:commit", "reconciler:note", "reconciler:none")
    assert place.host.datasets.local(parent, asked) == {"reconciler:commit": "0123abcd", "reconciler:note": "a b"}
    assert place.host.datasets.local(f"{parent}/child", asked) == {}
    assert place.host.datasets.local(f"{parent}/none", asked) == {}


@check
def no_quota_is_given_as_it_is_listed(place: Place) -> None:
    for name, properties in (("free", {"quota": "0", "reservation": "0"}), ("bound", {"quota": "52428800"})):
        dataset = place.make(name, **properties)
        place.host.datasets.set(dataset, {"quota": "0", "reservation": "0"})
        row = place.rows(name)[""]
        assert (row.native["quota"], row.native["reservation"]) == ("0", "0")


@check
def a_native_property_is_set_and_a_bad_value_is_refused(place: Place) -> None:
    name = place.make("native")
    place.host.datasets.set(name, {"quota": "52428800", "readonly": "on"})
    row = place.rows("native")[""]
    assert (row.native["quota"], row.readonly) == ("52428800", True)
    refuses("bad-property", lambda: place.host.datasets.set(name, {"compression": "bogus"}))
    refuses("bad-property", lambda: place.host.datasets.set(name, {"quota": "1"}))
    refuses("dataset-missing", lambda: place.host.datasets.set(f"{name}/none", {"quota": "1G"}))


@check
def several_snapshots_are_all_taken_or_none(place: Place) -> None:
    first, second = place.make("one"), place.make("two")
    place.host.datasets.snapshot([f"{first}@s", f"{second}@s"], user(release="15.1"))
    assert place.rows("one")["@s"].user["release"] == place.rows("two")["@s"].user["release"] == "15.1"
    assert place.rows("one")["@s"].kind == "snapshot"
    refuses("dataset-exists", lambda: place.host.datasets.snapshot([f"{first}@t", f"{second}@s"], {}))
    assert "@t" not in place.rows("one"), "one of two snapshots was taken though the other was refused"
    refuses("dataset-missing", lambda: place.host.datasets.snapshot([f"{first}/none@s"], {}))


@check
def a_clone_starts_as_its_snapshot_and_goes_its_own_way(place: Place) -> None:
    origin = place.make("origin")
    place.put("origin/file", b"first")
    place.host.datasets.snapshot([f"{origin}@s"], {})
    place.put("origin/file", b"second")
    place.host.datasets.clone(f"{origin}@s", f"{place.dataset}/clone", user(owner="clone"))
    row = place.rows("clone")[""]
    assert (row.origin, row.mounted, row.user["owner"]) == (f"{origin}@s", True, "clone")
    assert place.host.files.read(f"{place.mountpoint}/clone/file") == b"first"
    assert place.host.files.read(f"{place.mountpoint}/origin/file") == b"second"
    refuses("dataset-exists", lambda: place.host.datasets.clone(f"{origin}@s", f"{place.dataset}/clone", {}))
    refuses("dataset-missing", lambda: place.host.datasets.clone(f"{origin}@none", f"{place.dataset}/x", {}))


@check
def what_is_still_needed_is_not_destroyed(place: Place) -> None:
    name, copy = place.make("needed"), f"{place.dataset}/copy"
    place.host.datasets.snapshot([f"{name}@s"], {})
    place.host.datasets.clone(f"{name}@s", copy, {})
    refuses("has-children", lambda: place.host.datasets.destroy(name))
    refuses("has-clones", lambda: place.host.datasets.destroy(f"{name}@s"))
    place.host.datasets.destroy(copy)
    place.host.datasets.destroy(f"{name}@s")
    place.host.datasets.destroy(name)
    refuses("dataset-missing", lambda: place.host.datasets.destroy(name))
    refuses("dataset-missing", lambda: place.host.datasets.destroy(f"{place.dataset}@none"))


@check
def a_held_snapshot_is_not_destroyed_until_released(place: Place) -> None:
    name = place.make("held")
    place.host.datasets.snapshot([f"{name}@s"], {})
    place.host.datasets.hold("reconciler", f"{name}@s")
    rows = place.rows("held")
    assert (rows[""].holds, rows["@s"].holds) == (0, 1)
    refuses("snapshot-held", lambda: place.host.datasets.destroy(f"{name}@s"))
    place.host.datasets.release("reconciler", f"{name}@s")
    place.host.datasets.destroy(f"{name}@s")
    assert set(place.rows("held")) == {""}


@check
def a_rename_keeps_the_guid_and_refuses_a_name_in_use(place: Place) -> None:
    name, other = place.make("before"), place.make("other")
    guid = place.host.datasets.guid(name)
    refuses("dataset-exists", lambda: place.host.datasets.rename(name, other))
    place.host.datasets.rename(name, f"{place.dataset}/after")
    assert place.host.datasets.guid(f"{place.dataset}/after") == guid
    assert place.rows("after")[""].mountpoint == f"{place.mountpoint}/after"
    refuses("dataset-missing", lambda: place.host.datasets.guid(name))


@check
def a_legacy_dataset_is_not_mounted_by_itself(place: Place) -> None:
    place.make("legacy", mountpoint="legacy", canmount="noauto")
    row = place.rows("legacy")[""]
    assert (row.mountpoint, row.canmount, row.mounted) == ("legacy", "noauto", False)


@check
def an_unmounted_dataset_is_mounted_once(place: Place) -> None:
    name = place.make("later", canmount="noauto")
    assert not place.rows("later")[""].mounted
    place.host.datasets.mount(name)
    assert place.rows("later")[""].mounted
    refuses("zfs-failed", lambda: place.host.datasets.mount(name))


@check
def a_diff_names_what_came_went_changed_and_moved(place: Place) -> None:
    name = place.make("differs")
    for file in ("goes", "stays", "changes"):
        place.put(f"differs/{file}", b"1")
    place.host.datasets.snapshot([f"{name}@s"], {})
    at = f"{place.mountpoint}/differs"
    place.host.files.remove(f"{at}/goes")
    place.put("differs/new ü", b"2")
    changes = set(place.host.datasets.diff(f"{name}@s", name))
    assert Change("-", "F", f"{at}/goes") in changes, changes
    assert Change("+", "F", f"{at}/new ü") in changes, changes
    assert Change("M", "/", f"{at}/") in changes, changes
    assert not any(change.path.endswith("stays") for change in changes), changes


def _diff(scenario: Scenario) -> Callable[[Place], None]:
    def compare(place: Place) -> None:
        name = place.make("diff")
        at = f"{place.mountpoint}/diff"
        scenario.before(str(place.real(at)).encode() + b"/")
        place.host.datasets.snapshot([f"{name}@a"], {})
        scenario.after(str(place.real(at)).encode() + b"/")
        place.host.datasets.snapshot([f"{name}@b"], {})
        assert place.runner is not None
        done = place.runner.run(Command(("zfs", "diff", "-FHt", f"{name}@a", f"{name}@b")))
        found = told(done.stdout, at)
        for row in (f"{name}@b", f"{name}@a", name):
            place.host.datasets.destroy(row)
        assert found == scenario.lines, (sorted(found - scenario.lines), sorted(scenario.lines - found))

    compare.__name__ = f"diff of {scenario.name}"
    return compare


CHECKS += map(_diff, SCENARIOS)


@check
def written_tells_whether_anything_changed_since_the_snapshot(place: Place) -> None:
    name = place.make("written")
    place.host.datasets.snapshot([f"{name}@s"], {})
    assert place.rows("written")[""].written == 0
