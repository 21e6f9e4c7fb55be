"""The order in which pinned packages are installed: each after what it needs, whatever the needs look like."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.build.pins import Pins, turns
from reconciler.spec.lock import Pin

NAMES = [f"p{number}" for number in range(7)]
graphs = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4, unique=True), min_size=1)


def pins(graph: dict[str, list[str]]) -> Pins:
    return Pins("abi", {name: Pin("1", "ab" * 32, needs=tuple(needs)) for name, needs in graph.items()})


@given(graphs)
def test_each_comes_once_after_what_it_needs_unless_they_need_each_other(graph):
    whole = pins({**{need: [] for needs in graph.values() for need in needs}, **graph})
    word = min(graph)
    found = list(turns(whole, [word]))
    names = [turn.name for turn in found]
    assert len(names) == len(set(names)) and names[-1] == word
    assert [turn.name for turn in found if turn.asked] == [word]
    for turn in found:
        before = set(names[: names.index(turn.name)])
        assert set(turn.pin.needs) <= set(names)
        assert turn.early == (not set(turn.pin.needs) <= before)


def test_nothing_is_early_where_nothing_goes_in_a_circle():
    deep = pins({f"n{number}": [f"n{number + 1}"] for number in range(3000)} | {"n3000": []})
    found = list(turns(deep, ["n0"]))
    assert [turn.name for turn in found] == [f"n{number}" for number in range(3000, -1, -1)]
    assert not any(turn.early for turn in found)


def test_a_word_that_is_no_name_means_every_package_that_is_pinned_for_it():
    named = Pins("abi", {"a": Pin("1", named=("x/y",)), "b": Pin("1", needs=("a",), named=("x/y",)), "c": Pin("1")})
    assert [(turn.name, turn.asked) for turn in turns(named, ["x/y"])] == [("a", True), ("b", True)]


def test_only_archives_that_are_known_by_their_digest_can_be_kept():
    assert Pins("abi", {"a": Pin("1", "ab" * 32)}).keepable
    assert not Pins("abi", {"a": Pin("1", "ab" * 32), "b": Pin("1", "2$2$zz")}).keepable
