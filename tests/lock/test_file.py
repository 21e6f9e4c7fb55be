"""The lock as a file: what is written is read again, and what is wrong has its place."""

import pytest

from reconciler.model.diagnostic import SpecError
from reconciler.spec.load import digest_of
from reconciler.spec.lock import Lock, Pin, load_lock, parse_lock, render_lock, write_lock

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FULL = Lock(
    git={"https://example.org/a.git#main": COMMIT, "../no": COMMIT},
    files={"https://example.org/Makejail?x=1&y=%20#z": "ab" * 32},
    packages={
        "FreeBSD:15:amd64": {
            "nginx": Pin("1.30_2,3", "cd" * 32, "FreeBSD", ("pcre2",)),
            "pcre2": Pin("10", named=("devel/pcre2", "devel/pcre2@static", "pcre2-10")),
            "no": Pin("1.10", repository="off"),
        }
    },
    releases={"15.1-RELEASE": 1},
)


def refused(data: bytes) -> list[str]:
    """What is said of a lock: places and codes."""
    with pytest.raises(SpecError) as error:
        parse_lock(data, "reconcile.lock")
    return [f"{found.span} {found.code}" for found in error.value.diagnostics]


def test_what_is_written_is_read_again_and_written_the_same():
    text = render_lock(FULL)
    again = parse_lock(text.encode(), "reconcile.lock")
    assert again == FULL
    assert render_lock(again) == text


def test_an_empty_lock_is_the_same_as_none(tmp_path):
    assert load_lock(tmp_path) == Lock()
    assert parse_lock(render_lock(Lock()).encode(), "reconcile.lock") == Lock()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("version: 2\n", "1:10"),
        ("git: {}\n", "1:1"),
        ("version: 1\ngit: {a: --upload-pack=x}\n", "2:10"),
        ("version: 1\ngit: [a]\n", "2:6"),
        ("version: 1\nfiles:\n  https://x/: 12\n", "3:15"),
        ("version: 1\nmore: {}\n", "2:7"),
        ("version: 1\npackages: {abi: {--help: {version: '1'}}}\n", "2:26"),
        ("version: 1\npackages: {abi: {a: {version: 1.10}}}\n", "2:31"),
        ("version: 1\npackages: {abi: {a: {version: '1', needs: [-y]}}}\n", "2:21"),
        ("version: 1\npackages: {abi: {a: {version: '1', named: ['../x']}}}\n", "2:21"),
        ("version: 1\nreleases: {15.1-RELEASE: true}\n", "2:26"),
        ("[]\n", ""),
    ],
)
def test_what_is_wrong_in_a_lock_is_said_with_its_place(text, place):
    assert refused(text.encode()) == [f"reconcile.lock{':' + place if place else ''} lock-invalid"]


@pytest.mark.parametrize("data", [b"\x00\xff", b"version: [", b"<<<<<<< HEAD\nversion: 1\n", b"a: &a [*a]\n"])
def test_a_damaged_lock_is_refused(data):
    assert refused(data)


def test_a_lock_that_is_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "specs").mkdir()
    (tmp_path / "elsewhere").write_text(render_lock(FULL))
    (tmp_path / "specs/reconcile.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpecError) as error:
        load_lock(tmp_path / "specs")
    assert error.value.diagnostics[0].code == "symlink-outside"


def test_writing_leaves_one_whole_file_and_changes_the_digest_of_the_specs(tmp_path):
    (tmp_path / "a.yaml").write_text("kind: Jail\nname: a\nrelease: 15.1-RELEASE\n")
    before = digest_of(tmp_path)
    write_lock(tmp_path, FULL)
    assert load_lock(tmp_path) == FULL == load_lock(tmp_path / "a.yaml")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.yaml", "reconcile.lock"]
    assert digest_of(tmp_path) != before


def test_a_folder_that_cannot_be_written_is_a_diagnostic(tmp_path):
    with pytest.raises(SpecError) as error:
        write_lock(tmp_path / "missing" / "a.yaml", FULL)
    assert error.value.diagnostics[0].code == "lock-unwritable"


def test_a_closure_holds_what_packages_need_and_is_none_when_one_is_not_pinned():
    assert set(FULL.closure("FreeBSD:15:amd64", ["nginx"]) or {}) == {"nginx", "pcre2"}
    assert FULL.closure("FreeBSD:15:amd64", ["redis"]) is None
    assert FULL.closure("FreeBSD:14:amd64", ["nginx"]) is None
