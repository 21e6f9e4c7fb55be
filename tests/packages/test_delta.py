"""What a difference of two trees says is all that is needed to make one of the other."""

from __future__ import annotations

import pytest
from hypothesis import given

from reconciler.packages.delta import Delta, apply, delta, differences, removals
from reconciler.packages.tree import Entry

from .trees import directory, examples, file, of, pairs, symlink, trees

Pair = tuple[dict[str, Entry], dict[str, Entry]]


@given(pairs())
@examples(25)
def test_applying_the_difference_of_two_trees_to_one_gives_the_other(pair: Pair) -> None:
    before, after = pair
    assert apply(before, delta(before, after)) == after


@given(trees())
@examples(25)
def test_a_tree_does_not_differ_from_itself(tree: dict[str, Entry]) -> None:
    assert not delta(tree, tree) and differences(tree, tree) == ()
    assert apply(tree, Delta()) == tree


@given(pairs())
@examples(25)
def test_a_difference_is_sorted_and_carries_whole_files(pair: Pair) -> None:
    before, after = pair
    change = delta(before, after)
    paths = [entry.path.encode("utf-8", "surrogateescape") for entry in change.entries]
    assert paths == sorted(set(paths))
    held = {entry.path for entry in change.entries}
    assert all(entry.links in held for entry in change.entries if entry.links)
    assert {d.path for d in differences(before, after)} <= held | set(change.deletions)


@given(pairs())
@examples(20)
def test_what_is_removed_first_is_below_before_above(pair: Pair) -> None:
    before, after = pair
    gone = removals(delta(before, after))
    seen: set[str] = set()
    for path in gone:
        assert path.rpartition("/")[0] not in seen
        seen.add(path)
    stays = {path for path in before if path in after and after[path] == before[path]}
    assert not {path for path in stays if not after[path].links} & seen


def test_other_names_of_a_file_go_along_when_one_of_them_changes() -> None:
    linked = {path: file(path, b"x", links="a") for path in ("a", "b")}
    three = {path: file(path, b"x", links="a") for path in ("a", "b", "c")}
    assert [entry.path for entry in delta(linked, three).entries] == ["a", "b", "c"]
    assert [entry.path for entry in delta(three, linked).entries] == []
    assert delta(three, linked).deletions == ("c",)


def test_a_name_that_changes_its_type_is_deleted_first() -> None:
    change = delta({"d": directory("d"), "d/x": file("d/x")}, {"d": symlink("d", "e")})
    assert (change.deletions, [entry.path for entry in change.entries]) == (("d", "d/x"), ["d"])
    assert removals(change) == ("d/x", "d")


def test_a_folder_that_is_deleted_must_be_empty_by_then() -> None:
    change = delta({"d": directory("d")}, {})
    with pytest.raises(ValueError, match="d/x lies below d"):
        apply({"d": directory("d"), "d/x": file("d/x")}, change)


def test_a_replaced_file_leaves_its_other_names_what_they_had() -> None:
    base = {path: file(path, b"old", links="x") for path in ("x", "y")}
    made = apply(base, of(*(file(path, b"new", links="x") for path in ("x", "z"))))
    assert {path: (entry.links, entry.size) for path, entry in made.items()} == {
        "x": ("x", 3),
        "y": ("", 3),
        "z": ("x", 3),
    }
    assert made["y"].sha256 == base["y"].sha256


def test_differences_say_what_differs_for_people() -> None:
    before = {p: file(p) for p in ("mode", "gone", "text")} | {"kind": file("kind")}
    after = {"mode": file("mode", mode=0o4755, flags=("schg",)), "text": file("text", b"b"), "kind": directory("kind")}
    said = [(d.sign, d.path, d.what) for d in differences(before, after | {"new": symlink("new", "x")})]
    assert said == [
        ("-", "gone", "file"),
        ("~", "kind", "file → directory"),
        ("m", "mode", "mode 0644 → 4755, flags none → schg"),
        ("+", "new", "symlink"),
        ("~", "text", "content"),
    ]
