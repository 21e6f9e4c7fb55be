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


ABI = 'version: 1\npackages:\n  "FreeBSD:15:amd64":\n    '


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
        ("version: 1\nmore: {}\n", "2:1"),
        ("version: 1\npackages: {linux: {}}\n", "2:12"),
        (f"{ABI}--help: {{version: '1'}}\n", "4:5"),
        (f"{ABI}a: {{version: 1.10}}\n", "4:18"),
        (f"{ABI}a: {{version: '1', needs: [-y]}}\n", "4:8"),
        (f"{ABI}a: {{version: '1', needs: [b]}}\n", "4:30"),
        (f"{ABI}a: {{version: '1', named: ['../x']}}\n", "4:8"),
        (f"{ABI}a: {{version: '1', checksum: {'ab' * 31}}}\n", "4:33"),
        ("version: 1\nreleases: {15.1-RELEASE: true}\n", "2:26"),
        ("version: 1\nreleases:\n  ../x: 1\n", "3:3"),
        ("version: 1\nreleases: {15.1-RELEASE-p2: 2}\n", "2:12"),
        (f"version: 1\nfiles: {{a/b: {'ab' * 32}}}\n", "2:9"),
        (f"version: 1\nbuilt: {{../a: {{inputs: {'ab' * 32}, sha256: {'ab' * 32}}}}}\n", "2:9"),
        ("[]\n", ""),
    ],
)
def test_what_is_wrong_in_a_lock_is_said_with_its_place(text, place):
    assert refused(text.encode()) == [f"reconcile.lock{':' + place if place else ''} lock-invalid"]


def test_everything_that_is_wrong_is_said_at_once():
    text = "version: 1\nmore: {}\nless: {}\nreleases: {../x: 1, 15.1-RELEASE: 1000}\n"
    places = [f"reconcile.lock:{place} lock-invalid" for place in ("3:1", "2:1", "4:12", "4:35")]
    assert sorted(refused(text.encode())) == sorted(places)
    twice = "version: 1\nreleases:\n  15.1-RELEASE: 1\n  15.1-RELEASE: 2\n"
    assert refused(twice.encode()) == ["reconcile.lock:4:3 duplicate-key"]


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
