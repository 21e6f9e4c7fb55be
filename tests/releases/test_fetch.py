"""A release is had whole, trusted and checked, or not at all."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cache import Cache
from reconciler.download import OFFLINE, DownloadError
from reconciler.model.diagnostic import FetchError
from reconciler.releases.fetch import FetchPlan, fetch, level_of, open_set, plan_fetch
from reconciler.spec.document import Release, Trust

from .mirror import Fault, Mirror, add, base_set, manifest_of, release_files, serving

BASE = base_set()
FOLDER = "/amd64/amd64/15.1-RELEASE"
SETS = {"base.txz": BASE, "lib32.txz": base_set(extra={"usr/lib32/x": b"x"})}


@pytest.fixture(scope="module")
def running() -> Iterator[Mirror]:
    with serving({}) as mirror:
        yield mirror


@pytest.fixture
def mirror(running: Mirror) -> Mirror:
    running.files = release_files(SETS)
    running.faults, running.asked = {}, []
    return running


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def plan_of(mirror: Mirror, sets: tuple[str, ...] = ("base",), trust: Trust | None = None) -> FetchPlan:
    release = Release(name="15.1-RELEASE", mirror=mirror.url, sets=sets, trust=trust or Trust())
    return plan_fetch(release, "amd64", "amd64")


def test_sets_are_fetched_verified_and_streamed(mirror: Mirror, cache: Cache) -> None:
    fetched = fetch(plan_of(mirror, ("base", "lib32")), cache)
    assert [found.name for found in fetched.sets] == ["base", "lib32"]
    assert fetched.level == 1
    base = fetched.sets[0]
    assert (base.sha256, base.size) == (hashlib.sha256(BASE).hexdigest(), len(BASE))
    assert base.summary is not None and base.summary.members == 12
    assert b"".join(base.chunks()) == b"".join(open_set(base.path)) == BASE
    assert fetched.manifest == hashlib.sha256(manifest_of(SETS)).hexdigest()


def test_a_second_fetch_asks_only_for_the_manifest(mirror: Mirror, cache: Cache) -> None:
    first = fetch(plan_of(mirror), cache)
    mirror.asked.clear()
    assert fetch(plan_of(mirror), cache) == first
    assert [path for path, _ in mirror.asked] == [f"{FOLDER}/MANIFEST"]


def test_the_level_of_a_cached_base_is_known_without_network(mirror: Mirror, cache: Cache) -> None:
    plan = plan_of(mirror)
    assert level_of(plan, cache) is None
    fetch(plan, cache)
    mirror.asked.clear()
    assert level_of(plan, cache) == 1
    assert mirror.asked == []
    cache.drop(hashlib.sha256(BASE).hexdigest())
    assert level_of(plan, cache) is None


def test_the_archive_is_checked_once_per_content(mirror: Mirror, cache: Cache) -> None:
    fetch(plan_of(mirror), cache)
    note = cache.path(hashlib.sha256(BASE).hexdigest(), ".checked")
    made = note.stat().st_mtime_ns
    fetch(plan_of(mirror), cache)
    assert note.stat().st_mtime_ns == made
    note.write_text("{}")
    assert fetch(plan_of(mirror), cache).level == 1


def test_a_set_that_stays_wrong_is_never_handed_out(mirror: Mirror, cache: Cache) -> None:
    mirror.faults[f"{FOLDER}/base.txz"] = [Fault(flip=100)] * 9
    with pytest.raises(DownloadError, match="digest-mismatch"):
        fetch(plan_of(mirror), cache)
    asked = [path.rpartition("/")[2] for path, _ in mirror.asked]
    assert asked == ["MANIFEST", "base.txz", "MANIFEST"]
    assert not cache.path(hashlib.sha256(BASE).hexdigest()).exists()
    assert level_of(plan_of(mirror), cache) is None


def test_a_mirror_in_the_middle_of_an_update_gets_a_second_try(mirror: Mirror, cache: Cache) -> None:
    fresh = base_set("15.1-RELEASE-p2")
    url = f"{FOLDER}/base.txz"
    mirror.files[url] = fresh

    class Moving(dict[str, bytes]):
        """The MANIFEST of the old files once, then that of the new ones."""

        old = True

        def get(self, key: str, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
            if key.endswith("MANIFEST") and self.old:
                self.old = False
                return manifest_of({"base.txz": BASE})
            return super().get(key, default)

    mirror.files = Moving({**mirror.files, f"{FOLDER}/MANIFEST": manifest_of({"base.txz": fresh})})
    assert fetch(plan_of(mirror), cache).level == 2


def test_a_pinned_release_believes_one_manifest_only(mirror: Mirror, cache: Cache) -> None:
    digest = "sha256:" + hashlib.sha256(manifest_of(SETS)).hexdigest()
    plan = plan_of(mirror, trust=Trust(policy="pinned", digest=digest))
    assert fetch(plan, cache).level == 1
    mirror.files[f"{FOLDER}/MANIFEST"] = manifest_of({"base.txz": base_set("15.1-RELEASE-p9")})
    with pytest.raises(FetchError) as caught:
        fetch(plan, cache)
    found = caught.value.diagnostics[0]
    assert found.code == "digest-mismatch"
    assert digest.removeprefix("sha256:") in found.detail


def test_a_pinned_release_without_a_digest_is_refused(mirror: Mirror) -> None:
    with pytest.raises(FetchError, match="trust-incomplete"):
        plan_of(mirror, trust=Trust(policy="pinned"))


def test_an_installed_manifest_decides_over_the_mirrors(mirror: Mirror, cache: Cache, tmp_path: Path) -> None:
    plan = plan_of(mirror, trust=Trust(policy="manifests-dir", directory=str(tmp_path)))
    with pytest.raises(FetchError) as caught:
        fetch(plan, cache)
    assert caught.value.diagnostics[0].code == "manifest-not-installed"
    (tmp_path / "amd64-amd64-15.1-RELEASE").write_bytes(manifest_of(SETS))
    mirror.files[f"{FOLDER}/MANIFEST"] = b"altered\n"
    assert fetch(plan, cache).level == 1
    mirror.files[f"{FOLDER}/base.txz"] = base_set("15.1-RELEASE-p9")
    cache.drop(hashlib.sha256(BASE).hexdigest())
    with pytest.raises(FetchError, match="digest-mismatch"):
        fetch(plan, cache)


def test_an_unknown_set_is_named_with_what_is_close(mirror: Mirror, cache: Cache) -> None:
    with pytest.raises(FetchError) as caught:
        fetch(plan_of(mirror, ("base", "lib23")), cache)
    assert [(d.code, d.hint) for d in caught.value.diagnostics] == [("set-unknown", "Did you mean lib32?")]


@pytest.mark.parametrize(
    ("base", "code"),
    [
        (base_set("14.4-RELEASE-p1"), "release-mismatch"),
        (base_set("what?"), "userland-version-unreadable"),
        (base_set(extra={"bin/freebsd-version": b""}), "userland-version-unreadable"),
        (b"not an archive", "archive-malformed"),
        (BASE[:-20], "archive-malformed"),
        (BASE + b"more", "archive-malformed"),
        (base_set(extra={"../../etc/passwd": b"root::0:0::/:/bin/sh\n"}), "archive-hostile"),
    ],
)
def test_a_mirror_that_signs_its_own_nonsense_is_refused(mirror: Mirror, cache: Cache, base: bytes, code: str) -> None:
    mirror.files = release_files({"base.txz": base})
    for _ in range(2):
        with pytest.raises(FetchError) as caught:
            fetch(plan_of(mirror), cache)
        assert caught.value.diagnostics[0].code == code
    assert level_of(plan_of(mirror), cache) is None


def test_a_large_set_is_checked_in_bounded_pieces(mirror: Mirror, cache: Cache) -> None:
    big = base_set(filler=2 * 1024 * 1024)
    mirror.files = release_files({"base.txz": big})
    mirror.faults[f"{FOLDER}/base.txz"] = [Fault(cut=len(big) // 3), Fault(status=500)]
    for _ in range(2):
        with pytest.raises(DownloadError) as caught:
            fetch(plan_of(mirror), cache)
        assert caught.value.transient
    fetched = fetch(plan_of(mirror), cache)
    assert fetched.sets[0].summary is not None and fetched.sets[0].summary.content > 2 * 1024 * 1024
    assert b"".join(fetched.sets[0].chunks()) == big


SPOILS = st.one_of(
    st.builds(Fault, cut=st.integers(0, len(BASE) - 1)),
    st.builds(Fault, cut=st.integers(0, len(BASE) - 1), no_length=st.just(True)),
    st.builds(Fault, flip=st.integers(0, len(BASE) - 1)),
)
MANIFEST_SPOILS = st.one_of(
    st.builds(Fault, cut=st.integers(0, len(manifest_of(SETS)) - 1), no_length=st.booleans()),
    st.builds(Fault, flip=st.integers(0, len(manifest_of(SETS)) - 1)),
)


def test_no_spoiled_set_is_ever_verified_and_a_retry_works(running: Mirror) -> None:
    @settings(max_examples=12, deadline=None, database=None)
    @given(SPOILS)
    def check(fault: Fault) -> None:
        running.files, running.faults = release_files(SETS), {f"{FOLDER}/base.txz": [fault]}
        with tempfile.TemporaryDirectory() as folder:
            cache = Cache(Path(folder))
            with pytest.raises(FetchError):
                fetch(plan_of(running), cache)
            assert not cache.path(hashlib.sha256(BASE).hexdigest()).exists()
            assert b"".join(fetch(plan_of(running), cache).sets[0].chunks()) == BASE

    check()


def test_no_spoiled_manifest_ever_gives_another_set(running: Mirror) -> None:
    @settings(max_examples=12, deadline=None, database=None)
    @given(MANIFEST_SPOILS)
    def check(fault: Fault) -> None:
        running.files, running.faults = release_files(SETS), {f"{FOLDER}/MANIFEST": [fault]}
        with tempfile.TemporaryDirectory() as folder:
            cache = Cache(Path(folder))
            try:
                fetched = fetch(plan_of(running), cache)
            except FetchError:
                fetched = fetch(plan_of(running), cache)
            assert b"".join(fetched.sets[0].chunks()) == BASE

    check()


def test_offline_a_release_that_was_fetched_is_had_again_and_no_other(mirror: Mirror, cache: Cache) -> None:
    with pytest.raises(DownloadError, match="download-denied"):
        fetch(plan_of(mirror), cache, patience=OFFLINE)
    assert mirror.asked == []
    fetch(plan_of(mirror), cache)
    mirror.asked.clear()
    assert fetch(plan_of(mirror), cache, patience=OFFLINE).level == 1
    with pytest.raises(DownloadError, match="download-denied"):
        fetch(plan_of(mirror, ("base", "lib32")), cache, patience=OFFLINE)
    trust = Trust(policy="pinned", digest="sha256:" + "0" * 64)
    with pytest.raises(FetchError, match="digest-mismatch"):
        fetch(plan_of(mirror, trust=trust), cache, patience=OFFLINE)
    assert mirror.asked == []


def test_offline_a_mirror_on_disk_is_used(cache: Cache, tmp_path: Path) -> None:
    for path, data in release_files(SETS).items():
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_bytes(data)
    plan = plan_fetch(Release(name="15.1-RELEASE", mirror=f"file://{tmp_path}"), "amd64", "amd64")
    assert fetch(plan, cache, patience=OFFLINE).level == 1


def unpacked(mirror: Mirror, cache: Cache) -> bytes:
    """What tar would get of the base set, as `unpacking` gives it."""
    return b"".join(fetch(plan_of(mirror), cache, unpacking=True).sets[0].chunks())


def test_for_unpacking_a_set_is_judged_on_its_way_and_once(mirror: Mirror, cache: Cache) -> None:
    first = fetch(plan_of(mirror), cache, unpacking=True)
    assert (first.level, first.sets[0].summary) == (1, None)
    assert b"".join(first.sets[0].chunks()) == BASE
    again = fetch(plan_of(mirror), cache, unpacking=True)
    assert again.sets[0].summary is not None and again.sets[0].summary.members == 12
    assert level_of(plan_of(mirror), cache) == 1


@pytest.mark.parametrize("expanded", [False, True])
def test_for_unpacking_tar_gets_the_same_archive_expanded_or_not(
    mirror: Mirror, cache: Cache, *, expanded: bool
) -> None:
    data = b"".join(fetch(plan_of(mirror), cache, unpacking=True).sets[0].chunks(expanded=expanded))
    assert data == (lzma.decompress(BASE) if expanded else BASE)


@pytest.mark.parametrize("member", [("../../etc/passwd", b"0", ""), ("dev/null", b"3", ""), ("x", b"2", "../../etc")])
def test_for_unpacking_nothing_of_a_hostile_set_is_given_on(
    mirror: Mirror, cache: Cache, member: tuple[str, bytes, str]
) -> None:
    mirror.files = release_files({"base.txz": hostile_behind(member, filler=0)})
    given: list[bytes] = []
    with pytest.raises(FetchError, match="archive-hostile"):
        given.extend(fetch(plan_of(mirror), cache, unpacking=True).sets[0].chunks())
    assert given == []
    with pytest.raises(FetchError, match="archive-hostile"):
        unpacked(mirror, cache)


@pytest.mark.parametrize("expanded", [False, True])
def test_for_unpacking_what_was_given_on_of_a_large_hostile_set_ends_before_the_hostile_member(
    mirror: Mirror, cache: Cache, *, expanded: bool
) -> None:
    whole = hostile_behind(("../../etc/passwd", b"0", ""), filler=2_600_000)
    mirror.files = release_files({"base.txz": whole})
    given: list[bytes] = []
    with pytest.raises(FetchError, match="archive-hostile"):
        given.extend(fetch(plan_of(mirror), cache, unpacking=True).sets[0].chunks(expanded=expanded))
    seen = b"".join(given) if expanded else lzma.LZMADecompressor().decompress(b"".join(given))
    assert b"../../etc/passwd" not in seen and len(seen) > 1024 * 1024


def hostile_behind(member: tuple[str, bytes, str], filler: int) -> bytes:
    """A base set with one member more at its end."""
    held = io.BytesIO(lzma.decompress(base_set("15.1-RELEASE-p1", filler=filler)))
    with tarfile.open(fileobj=held, mode="a") as tar:
        add(tar, member[0], member[1], member[2])
    return lzma.compress(held.getvalue(), preset=0)


@pytest.mark.parametrize("expanded", [False, True])
def test_for_unpacking_a_file_that_rotted_after_its_download_is_never_whole(
    mirror: Mirror, cache: Cache, *, expanded: bool
) -> None:
    chunks = fetch(plan_of(mirror), cache, unpacking=True).sets[0].chunks(expanded=expanded)
    path = cache.path(hashlib.sha256(BASE).hexdigest())
    path.write_bytes(BASE[:-9] + bytes([BASE[-9] ^ 1]) + BASE[-8:])
    with pytest.raises(FetchError):
        b"".join(chunks)


def test_a_build_of_hardenedbsd_is_fetched_from_its_layout(running: Mirror, cache: Cache) -> None:
    built = {"base.txz": base_set("15.1-STABLE-HBSD")}
    place = "/15-stable/arm64/aarch64/installer/LATEST"
    running.files = {f"{place}/MANIFEST": manifest_of(built), f"{place}/base.txz": built["base.txz"]}
    running.faults, running.asked = {}, []
    plan = plan_fetch(Release(name="15.1-STABLE-HBSD", mirror=running.url), "arm64", "aarch64")
    fetched = fetch(plan, cache)
    assert (fetched.level, fetched.version.release) == (0, "15.1-STABLE-HBSD")
    assert [path for path, _ in running.asked] == [f"{place}/MANIFEST", f"{place}/base.txz"]
    moved = plan_fetch(Release(name="15.0-STABLE-HBSD", mirror=running.url), "arm64", "aarch64")
    with pytest.raises(FetchError) as failed:
        fetch(moved, cache)
    found = failed.value.diagnostics[0]
    assert (found.code, found.hint) == ("release-mismatch", "Write `release: 15.1-STABLE-HBSD`.")
    own = plan_fetch(Release(name="16.0-CURRENT-HBSD"), "amd64", "amd64").url("MANIFEST")
    assert own == "https://installers.hardenedbsd.org/pub/current/amd64/amd64/installer/LATEST/MANIFEST"


@pytest.mark.parametrize("asked", ["15.1-STABLE", "15.1-STABLE-HBSD"])
def test_hardenedbsd_and_freebsd_are_not_taken_for_each_other(running: Mirror, cache: Cache, asked: str) -> None:
    built = {"15.1-STABLE": "15.1-STABLE-HBSD"}.get(asked, "15.1-STABLE")
    plan = plan_fetch(Release(name=asked, mirror=running.url), "amd64", "amd64")
    sets, folder = {"base.txz": base_set(built)}, plan.url("x").removeprefix(running.url).removesuffix("/x")
    running.files = {f"{folder}/MANIFEST": manifest_of(sets), f"{folder}/base.txz": sets["base.txz"]}
    with pytest.raises(FetchError) as failed:
        fetch(plan, cache)
    found = failed.value.diagnostics[0]
    assert (found.code, found.hint) == ("release-mismatch", "Use another mirror.")
