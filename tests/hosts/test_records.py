"""What two looks differ in, found without parsing either, is what differs in the rows that parsing gives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reconciler.hosts.freebsd import jail, mount, network, observe, rctl, records, zfs
from reconciler.model.command import Completed
from reconciler.model.diagnostic import HostError
from reconciler.model.ports import FACETS, DatasetRow, Observation, Observed, Request

REQUEST = Request("zroot/reconciler", "/reconciler", FACETS)
NAMES = ("web", "db", "a", "web2")
# What a jail may have had a say in: the marks of every listing, quotes, and names of others.
HOSTILE = st.sampled_from(
    ['},{', '}, {', '"}, {"jid":"7', '"},{"special":"x', "}]", "[{", '\\"', "web", '","node":"/y', "]}}", "é", "\\"]
)
_word = st.sampled_from(NAMES)
_path = st.builds(lambda name, rest: f"/reconciler/live/{name}/{''.join(rest)}", _word, st.lists(HOSTILE, max_size=3))
_last = st.sampled_from(["", "/1", "/2", "@s"])
_datasets = st.dictionaries(
    st.builds(lambda name, last: f"zroot/reconciler/jails/{name}{last}", _word, _last),
    st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 2)),
    max_size=6,
)
_mounts = st.lists(st.tuples(_path, _path), max_size=5, unique=True)
_jails = st.dictionaries(_word, st.tuples(st.integers(1, 5), st.lists(HOSTILE, max_size=2)), max_size=4)
_limits = st.lists(st.builds(lambda name, n: f"jail:{name}:maxproc:deny={n}", _word, st.integers(1, 3)), unique=True)
WORLDS = st.tuples(_datasets, _mounts, _jails, _limits, st.sampled_from(["", "lo0: flags=1<UP> metric 0 mtu 1500\n"]))
_COLUMNS = zfs.columns(jailed=True)


def libxo(container: str, name: str, records_: list[dict[str, Any]], between: str) -> bytes:
    """JSON as libxo prints it."""
    said = between.join(json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in records_)
    return f'{{"{container}":{{"{name}":[{said}]}}}}\n'.encode()


def dataset(name: str, guid: int, holds: int, used: int) -> bytes:
    """A row of the listing; its sizes are the last columns."""
    usual: dict[str, object] = dict.fromkeys(_COLUMNS, "-")
    said = {"name": name, "jailed": "off", "type": "filesystem", "guid": guid, "mounted": "yes"}
    sizes = {"userrefs": holds, "written": used, "used": used, "available": used}
    return "\t".join(str(value) for value in (usual | said | sizes).values()).encode() + b"\n"


def answer(world: Any) -> Observation:
    """What a host like this answers."""
    datasets, mounts, jails, limits, interfaces = world
    mounted = [{"special": source, "node": target, "fstype": "nullfs", "opts": ["local"]} for source, target in mounts]
    running = [
        {"jid": str(number), "name": name, "path": f"/reconciler/live/{name}", "dying": "false", "meta": "".join(meta)}
        for name, (number, meta) in jails.items()
    ]
    raw = (
        Completed(zfs.listing([REQUEST.pool]), 0, b"".join(dataset(name, *row) for name, row in datasets.items())),
        Completed(jail.listing(), 0, libxo("jail-information", "jail", running, ", ")),
        Completed(mount.listing(), 0, libxo("mount", "mounted", mounted, ",")),
        Completed(network.interfaces(), 0, interfaces.encode()),
        Completed(rctl.listing(), 0, "".join(f"{rule}\n" for rule in limits).encode()),
    )
    return Observation("", raw, {})


def parsed(observation: Observation) -> Observed:
    """Its rows."""
    return observe.parse(REQUEST, observation, jailed=True)


def rows(observed: Observed) -> list[object]:
    """All rows as they compare, datasets without their sizes."""
    steady = [(row.name, row.guid, row.holds > 0) for row in observed.datasets]
    return [*steady, *map(repr, observed.jails), *map(repr, observed.mounts), *sorted(observed.limits)]


def without(one: Iterable[object], others: Iterable[object]) -> list[object]:
    """What only the one has."""
    known = list(others)
    return [row for row in one if row not in known]


@given(WORLDS, WORLDS)
def test_what_is_left_of_two_answers_is_what_their_rows_differ_in(one: Any, other: Any) -> None:
    before, after = answer(one), answer(other)
    found = records.differing(before, after)
    if found is None:
        return
    was, now = rows(parsed(before)), rows(parsed(after))
    try:
        gone, came = (rows(parsed(part)) for part in found)
    except HostError:
        return  # whoever asks reads the whole then
    assert sorted(map(str, gone)) == sorted(map(str, without(was, now)))
    assert sorted(map(str, came)) == sorted(map(str, without(now, was)))
    assert without(was, gone) == without(now, came)


@given(WORLDS, st.data())
def test_a_few_changes_are_always_told(world: Any, data: st.DataObject) -> None:
    """Without anything hostile in it, no answer has to be read whole because a jail came, went or changed."""
    datasets, _mounts, jails, limits, interfaces = world
    jails = {name: (number, []) for name, (number, _meta) in jails.items()}
    before = (datasets, [], jails, limits, interfaces)
    after = (
        {k: v for k, v in datasets.items() if data.draw(st.booleans())} | {"zroot/reconciler/jails/new": (9, 0, 0)},
        [],
        {k: v for k, v in jails.items() if data.draw(st.booleans())} | ({"a": (7, [])} if "a" in jails else {}),
        [rule for rule in limits if data.draw(st.booleans())],
        interfaces,
    )
    assume(jails and after[2])
    assert records.differing(answer(before), answer(after)) is not None


@given(WORLDS, st.sets(_word))
def test_what_concerns_some_names_has_every_row_that_says_them(world: Any, names: set[str]) -> None:
    whole = answer(world)
    try:
        found = rows(parsed(records.concerning(whole, names)))
    except HostError:
        return
    every = rows(parsed(whole))
    assert [row for row in every if any(name in str(row) for name in names)] == [
        row for row in found if any(name in str(row) for name in names)
    ]
    assert all(row in every for row in found)


def test_order_other_commands_and_failures_are_not_told() -> None:
    """An upper mount hides a lower one, so their order counts."""
    two = [("/x", "/reconciler/live/a"), ("/y", "/reconciler/live/a")]
    assert records.differing(answer(({}, two, {}, [], "")), answer(({}, two[::-1], {}, [], ""))) is None
    assert records.differing(answer(({}, [], {}, [], "")), answer(({}, [], {}, [], "lo0: flags=1\n"))) is None
    one = answer(({}, [], {}, [], ""))
    failed = Observation("", (Completed(one.raw[0].argv, 1, b"", b"no"), *one.raw[1:]), {})
    assert records.differing(one, failed) is None
    assert records.differing(one, one) is not None


@pytest.mark.parametrize("holds", [(0, 1), (1, 0)])
def test_sizes_say_nothing_and_a_hold_does(holds: tuple[int, int]) -> None:
    """As in the digest of an answer."""
    name = "zroot/reconciler/jails/web"
    one, other = ({name: (1, hold, size)} for hold, size in zip(holds, (5, 6), strict=True))
    empty: tuple[Any, ...] = ([], {}, [], "")
    found = records.differing(answer((one, *empty)), answer((other, *empty)))
    assert found is not None and len(parsed(found[0]).datasets) == len(parsed(found[1]).datasets) == 1
    found = records.differing(answer((one, *empty)), answer(({name: (1, holds[0], 9)}, *empty)))
    assert found is not None and parsed(found[0]).datasets == ()
    assert isinstance(parsed(answer((one, *empty))).datasets[0], DatasetRow)


_record = st.text("ab}{,", min_size=1, max_size=4).map(str.encode)
_few = st.lists(_record, max_size=4)


@given(st.sampled_from([b"\n", b"},{", b"}, {"]), _few, _few, _few, _few)
def test_only_whole_records_that_both_have_are_cut_away_at_either_end(
    between: bytes, first: list[bytes], one: list[bytes], other: list[bytes], last: list[bytes]
) -> None:
    mine, theirs = ((between.join([*first, *part, *last])) for part in (one, other))
    whole, others = (body.split(between) if body else [] for body in (mine, theirs))
    left, left_over = records._middles(mine, theirs, between)
    assert len(whole) - len(left) == len(others) - len(left_over)
    assert any(
        whole[:at] == others[:at]
        and whole == [*whole[:at], *left, *whole[at + len(left) :]]
        and others == [*others[:at], *left_over, *whole[at + len(left) :]]
        for at in range(len(whole) - len(left) + 1)
    )
