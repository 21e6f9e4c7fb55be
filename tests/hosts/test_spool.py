"""Files in a spool are the same mapping as a dictionary, however they are packed and shared out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.spool import Below, Files, Spool, at, parted, sums

NAME = st.sampled_from(["a", "b", "web", "db", "x.sh"])
PATH = st.lists(NAME, min_size=1, max_size=3).map("/".join)
CONTENT = st.lists(st.tuples(PATH, st.binary(max_size=8)), max_size=12)


def spooled(pairs: list[tuple[str, bytes]]) -> Files:
    """These files in this order; of one path the last counts."""
    spool, index = Spool(), list[tuple[str, int]]()
    for path, data in pairs:
        index.append((path, at(spool.size, len(data))))
        spool.write(data)
    return Files(spool, lambda: index, "")


@given(CONTENT, st.lists(PATH))
def test_packed_files_are_those_that_were_put_in(pairs: list[tuple[str, bytes]], others: list[str]) -> None:
    files, plain = spooled(pairs), dict(pairs)
    assert dict(files.items()) == plain and set(files) == plain.keys() and len(files) == len(plain)
    for path in (*plain, *others):
        assert files.get(path) == plain.get(path) and (path in files) == (path in plain)


@given(CONTENT, CONTENT, st.dictionaries(NAME, st.integers(0, 2)))
def test_shares_have_every_file_once_and_what_is_beside_them_each(
    inside: list[tuple[str, bytes]], beside: list[tuple[str, bytes]], groups: dict[str, int]
) -> None:
    packed = Below([("jails", spooled(inside)), ("/etc", spooled(beside))])
    shares = parted(packed, "jails", groups, 3)
    assert [dict(s) for s in parted(dict(packed), "jails", groups, 3)] == [dict(share) for share in shares]
    assert [dict(s) for s in parted(Below([("jails", dict(inside)), ("/etc", dict(beside))]), "jails", groups, 3)] == [
        dict(share) for share in shares
    ]
    for number, share in enumerate(shares):
        for path in packed:
            folder = path.removeprefix("jails/").partition("/") if path.startswith("jails/") else None
            here = folder is None or (groups.get(folder[0], 3) if folder[1] else 3) == number
            assert share.get(path) == (packed[path] if here else None)


@given(st.sampled_from(["packed", "plain", "merged"]), CONTENT, CONTENT, st.data())
def test_a_folder_has_another_digest_when_a_file_of_it_has_changed(
    how: str, inside: list[tuple[str, bytes]], beside: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    """And when one came or went; nothing else has, in each way to hold files."""

    def held(jails: dict[str, bytes], others: dict[str, bytes]) -> dict[str, bytes]:
        if how == "merged":
            return sums(dict(Below([("jails", jails), ("/etc", others)])), "jails")
        make = (lambda files: spooled(list(files.items()))) if how == "packed" else dict
        return sums(Below([("jails", make(jails)), ("/etc", make(others))]), "jails")

    jails, others = dict(inside), dict(beside)
    before = held(jails, others)
    assert before == held(dict(jails), dict(others))
    path, content = data.draw(PATH), data.draw(st.none() | st.binary(max_size=8))
    where = data.draw(st.sampled_from([jails, others]))
    was = where.pop(path, None)
    if content is not None:
        where[path] = content
    after = held(jails, others)
    moved = {folder for folder in before.keys() | after.keys() if before.get(folder) != after.get(folder)}
    folder, slash, _ = path.partition("/")
    if was == content:  # put back at the end, it may stand in another order
        assert was is not None or not moved
    else:
        assert moved == {folder if slash and where is jails else ""}
