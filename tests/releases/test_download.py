"""A download is whole and right, or it is an error that says what to do."""

from __future__ import annotations

import hashlib
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler import download
from reconciler.cache import Cache, default_folder, stream
from reconciler.download import DownloadError, Patience, fetch, fetch_bytes
from reconciler.model.diagnostic import FetchError

from .mirror import Fault, Mirror, serving

DATA = b"".join(hashlib.sha256(bytes([i % 251, i // 251])).digest() for i in range(8192))
SHA = hashlib.sha256(DATA).hexdigest()
HALF = len(DATA) // 2
MIB = 1024 * 1024
QUICK = Patience(connect=5.0, read=0.2, total=10.0)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serving({"/f": DATA}) as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def nothing_believed(cache: Cache) -> bool:
    return not cache.path(SHA).exists()


def test_a_download_lands_under_its_digest_in_a_private_folder(mirror: Mirror, cache: Cache) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(f"{mirror.url}/f", SHA, cache, limit=MIB, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == DATA
    assert path.name == SHA
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert seen[-1] == (len(DATA), len(DATA))


def test_what_is_in_the_cache_is_not_asked_for_again(mirror: Mirror, cache: Cache) -> None:
    for _ in range(2):
        fetch(f"{mirror.url}/f", "sha256:" + SHA, cache, limit=MIB)
    assert len(mirror.asked) == 1


def test_a_cached_file_that_rotted_is_fetched_again(mirror: Mirror, cache: Cache) -> None:
    path = fetch(f"{mirror.url}/f", SHA, cache, limit=MIB)
    path.write_bytes(DATA[:-1])
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA
    assert len(mirror.asked) == 2


@pytest.mark.parametrize(
    ("fault", "code", "transient"),
    [
        (Fault(cut=HALF), "download-truncated", True),
        (Fault(cut=0), "download-truncated", True),
        (Fault(cut=HALF, reset=True), "download-truncated", True),
        (Fault(length=len(DATA) + 9), "download-truncated", True),
        (Fault(length=HALF), "digest-mismatch", False),
        (Fault(no_length=True, cut=HALF), "digest-mismatch", False),
        (Fault(flip=0), "digest-mismatch", False),
        (Fault(flip=len(DATA) - 1), "digest-mismatch", False),
        (Fault(status=404), "mirror-not-found", False),
        (Fault(status=410), "mirror-not-found", False),
        (Fault(status=403), "download-failed", False),
        (Fault(status=500), "download-failed", True),
        (Fault(status=503), "download-failed", True),
        (Fault(status=429), "download-failed", True),
        (Fault(stall=HALF), "download-failed", True),
        (Fault(stall=0), "download-failed", True),
    ],
)
def test_a_fault_is_named_leaves_nothing_believed_and_the_next_attempt_works(
    mirror: Mirror, cache: Cache, fault: Fault, code: str, transient: bool
) -> None:
    mirror.faults["/f"] = [fault]
    with pytest.raises(DownloadError) as caught:
        fetch(f"{mirror.url}/f", SHA, cache, limit=MIB, patience=QUICK)
    assert (caught.value.diagnostics[0].code, caught.value.transient) == (code, transient)
    assert mirror.url in caught.value.diagnostics[0].detail
    assert nothing_believed(cache)
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA


def test_a_retry_goes_on_where_the_last_attempt_stopped(mirror: Mirror, cache: Cache) -> None:
    mirror.faults["/f"] = [Fault(cut=1000), Fault(cut=5000)]
    for _ in range(2):
        with pytest.raises(DownloadError):
            fetch(f"{mirror.url}/f", SHA, cache, limit=MIB)
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA
    assert [asked for _, asked in mirror.asked] == ["", "bytes=1000-", "bytes=6000-"]
    assert sorted(p.name for p in cache.folder.iterdir()) == [SHA, f"{SHA}.lock"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(ignore_range=True),
        Fault(content_range="bytes 0-9/10"),
        Fault(content_range="chunks"),
        Fault(status=416),
    ],
)
def test_a_server_that_does_not_resume_properly_ends_in_the_right_file(
    mirror: Mirror, cache: Cache, fault: Fault
) -> None:
    mirror.faults["/f"] = [Fault(cut=1000), fault]
    for _ in range(3):
        try:
            fetch(f"{mirror.url}/f", SHA, cache, limit=MIB)
        except DownloadError:
            assert nothing_believed(cache)
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA


def test_a_file_that_changed_in_between_is_taken_from_its_start(mirror: Mirror, cache: Cache) -> None:
    mirror.files["/f"] = b"older" * 5000
    mirror.faults["/f"] = [Fault(cut=1000)]
    with pytest.raises(DownloadError):
        fetch(f"{mirror.url}/f", SHA, cache, limit=MIB)
    mirror.files["/f"] = DATA
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA
    assert mirror.asked[1] == ("/f", "bytes=1000-")


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_validator_a_download_starts_over(mirror: Mirror, cache: Cache, etag: str) -> None:
    mirror.faults["/f"] = [Fault(cut=1000, etag=etag)]
    with pytest.raises(DownloadError):
        fetch(f"{mirror.url}/f", SHA, cache, limit=MIB)
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA
    assert mirror.asked[1] == ("/f", "")


def test_a_partial_that_is_already_whole_is_used_as_it_is(mirror: Mirror, cache: Cache) -> None:
    cache.prepare()
    cache.path(SHA, ".partial").write_bytes(DATA)
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA
    assert mirror.asked == []


@pytest.mark.parametrize("fault", [Fault(), Fault(no_length=True)])
def test_more_than_the_limit_is_refused_and_not_kept(mirror: Mirror, cache: Cache, fault: Fault) -> None:
    mirror.faults["/f"] = [fault]
    with pytest.raises(DownloadError) as caught:
        fetch(f"{mirror.url}/f", SHA, cache, limit=HALF)
    assert caught.value.diagnostics[0].code == "download-too-large"
    assert [path.name for path in cache.folder.iterdir()] == [f"{SHA}.lock"]
    with pytest.raises(DownloadError, match="download-too-large"):
        fetch_bytes(f"{mirror.url}/f", limit=HALF)


def test_of_a_server_that_does_not_say_how_much_comes_less_is_taken(
    mirror: Mirror, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "UNTOLD", HALF)
    mirror.faults["/f"] = [Fault(no_length=True)]
    with pytest.raises(DownloadError, match="does not say how many"):
        fetch(f"{mirror.url}/f", SHA, cache, limit=MIB)
    assert [path.name for path in cache.folder.iterdir()] == [f"{SHA}.lock"]
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA


def test_what_there_is_no_space_for_is_not_begun(mirror: Mirror, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    told = os.statvfs("/")
    few = os.statvfs_result((*told[:4], 1, *told[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _path: few)
    mirror.files["/f"] = bytes(few.f_frsize + 1)
    with pytest.raises(FetchError, match="cache-full"):
        fetch(f"{mirror.url}/f", SHA, cache, limit=1 << 30)
    assert [path.name for path in cache.folder.iterdir()] == [f"{SHA}.lock"]


def test_a_partial_that_cannot_be_gone_on_from_does_not_stay(mirror: Mirror, cache: Cache) -> None:
    for etag, left in (("", [f"{SHA}.lock"]), (None, [f"{SHA}.lock", f"{SHA}.partial", f"{SHA}.resume"])):
        mirror.faults["/f"] = [Fault(cut=1000, etag=etag)]
        with pytest.raises(DownloadError):
            fetch(f"{mirror.url}/f", SHA, cache, limit=MIB)
        assert sorted(path.name for path in cache.folder.iterdir()) == left


def test_partials_that_nobody_came_back_for_go_with_the_next_download(mirror: Mirror, cache: Cache) -> None:
    cache.prepare()
    old, new = cache.path("a" * 64, ".partial"), cache.path("b" * 64, ".partial")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    fetch(f"{mirror.url}/f", SHA, cache, limit=MIB)
    assert (old.exists(), new.exists()) == (False, True)
    made = cache.folder / "made.1.2.new"
    made.write_bytes(b"half of a package")
    os.utime(made, (1, 1))
    cache.take(lambda file: SHA if file.write(b"x") else "")
    assert not made.exists()


def test_a_redirect_is_followed_but_not_in_circles(mirror: Mirror, cache: Cache) -> None:
    mirror.faults["/f"] = [Fault(location="/f")]
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA
    mirror.faults["/f"] = [Fault(location="/f")] * 20
    with pytest.raises(DownloadError, match="redirects"):
        fetch_bytes(f"{mirror.url}/f", limit=MIB)
    assert len(mirror.asked) == 2 + 6


@pytest.mark.parametrize("location", ["http://mirror.example/f", "file:///etc/passwd", "ftp://127.0.0.1/f"])
def test_a_redirect_to_a_less_safe_place_is_refused(mirror: Mirror, location: str) -> None:
    mirror.faults["/f"] = [Fault(location=location)]
    with pytest.raises(DownloadError, match="less safe"):
        fetch_bytes(f"{mirror.url}/f", limit=MIB)


def test_a_trickle_ends_when_the_time_for_the_whole_is_over(mirror: Mirror) -> None:
    with pytest.raises(DownloadError, match="whole download"):
        fetch_bytes(f"{mirror.url}/f", limit=MIB, patience=Patience(total=0.0))


def test_a_small_file_is_given_less_time_than_a_release(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_SMALL", -1.0)
    with pytest.raises(DownloadError, match="whole download"):
        fetch_bytes(f"{mirror.url}/f", limit=1024)


def test_a_server_that_is_down_may_come_back(cache: Cache) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/f"
        with pytest.raises(DownloadError) as caught:
            fetch(url, SHA, cache, limit=MIB)
    assert (caught.value.diagnostics[0].code, caught.value.transient) == ("download-failed", True)


def test_a_name_that_does_not_resolve_means_offline(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DownloadError) as caught:
        fetch("http://mirror.invalid/f", SHA, cache, limit=MIB)
    assert (caught.value.diagnostics[0].code, caught.value.transient) == ("offline", True)


def test_the_proxy_of_the_environment_is_used_but_never_for_loopback(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", mirror.url)
    monkeypatch.setenv("no_proxy", "")
    mirror.files["http://mirror.example/f"] = b"by proxy"
    assert fetch_bytes("http://mirror.example/f", limit=MIB) == b"by proxy"
    assert fetch_bytes(f"{mirror.url}/f", limit=MIB) == DATA
    assert [path for path, _ in mirror.asked] == ["http://mirror.example/f", "/f"]


@pytest.mark.parametrize(("name", "value"), [("http_proxy", "gopher://x"), ("SSL_CERT_FILE", "/nonexistent")])
def test_an_environment_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv(name, value)
    with pytest.raises(DownloadError) as caught:
        fetch_bytes("http://mirror.invalid/f", limit=MIB)
    assert caught.value.diagnostics[0].code in ("download-failed", "offline")


def test_a_file_url_is_copied_and_verified_too(tmp_path: Path, cache: Cache) -> None:
    source = tmp_path / "a file"
    source.write_bytes(DATA)
    url = f"file://{tmp_path}/a%20file"
    assert fetch(url, SHA, cache, limit=MIB).read_bytes() == DATA
    assert fetch_bytes(url, limit=MIB) == DATA
    source.write_bytes(b"another")
    cache.drop(SHA)
    with pytest.raises(DownloadError, match="digest-mismatch"):
        fetch(url, SHA, cache, limit=MIB)


def test_a_file_url_must_name_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, code in (("fifo", "download-failed"), ("", "download-failed"), ("none", "mirror-not-found")):
        with pytest.raises(DownloadError) as caught:
            fetch_bytes(f"file://{tmp_path}/{name}", limit=MIB)
        assert caught.value.diagnostics[0].code == code


@pytest.mark.parametrize("url", ["http://[::bad/", "gopher://x/", "http://"])
def test_an_impossible_url_is_a_diagnostic(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        fetch_bytes(url, limit=MIB)
    assert caught.value.diagnostics[0].code == "download-failed"


def test_a_full_disk_is_a_clear_diagnostic_and_leaves_nothing_behind(mirror: Mirror, cache: Cache) -> None:
    program = (
        "import sys; from pathlib import Path; from reconciler.cache import Cache\n"
        "from reconciler.download import fetch; from reconciler.model.diagnostic import FetchError\n"
        "try: fetch(sys.argv[1], sys.argv[2], Cache(Path(sys.argv[3])), limit=1 << 20)\n"
        "except FetchError as error: print(error.diagnostics[0].code)\n"
    )

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, HALF))

    done = subprocess.run(
        [sys.executable, "-c", program, f"{mirror.url}/f", SHA, str(cache.folder)],
        preexec_fn=small_files, capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("cache-full\n", "")
    assert not cache.path(SHA).exists()
    assert not cache.path(SHA, ".partial").exists()
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA


def test_a_download_that_was_killed_goes_on_where_it_was(mirror: Mirror, cache: Cache) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from reconciler.cache import Cache\n"
        "from reconciler.download import fetch\n"
        "def die(done, total):\n"
        "    if done >= 100000: os.kill(os.getpid(), signal.SIGKILL)\n"
        "fetch(sys.argv[1], sys.argv[2], Cache(Path(sys.argv[3])), limit=1 << 20, progress=die)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, f"{mirror.url}/f", SHA, str(cache.folder)], check=False)
    assert done.returncode < 0
    assert nothing_believed(cache)
    assert fetch(f"{mirror.url}/f", SHA, cache, limit=MIB).read_bytes() == DATA
    assert mirror.asked[1][1].startswith("bytes=")


def test_two_who_want_the_same_download_it_once(mirror: Mirror, cache: Cache) -> None:
    with ThreadPoolExecutor() as pool:
        paths = list(pool.map(lambda _: fetch(f"{mirror.url}/f", SHA, cache, limit=MIB), range(4)))
    assert [path.read_bytes() for path in paths] == [DATA] * 4
    assert len(mirror.asked) == 1


def test_a_cache_that_cannot_be_made_is_a_diagnostic(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FetchError) as caught:
        fetch(f"{mirror.url}/f", SHA, Cache(tmp_path / "file" / "cache"), limit=MIB)
    assert caught.value.diagnostics[0].code == "cache-unusable"


def test_a_planted_symlink_is_not_written_through(mirror: Mirror, cache: Cache, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    cache.prepare()
    cache.path(SHA, ".partial").symlink_to(victim)
    with pytest.raises(FetchError):
        fetch(f"{mirror.url}/f", SHA, cache, limit=MIB)
    assert victim.read_bytes() == b"mine"


def test_a_digest_that_is_none_is_refused(cache: Cache) -> None:
    with pytest.raises(FetchError) as caught:
        cache.path("../../etc/passwd")
    assert caught.value.diagnostics[0].code == "digest-malformed"


def test_the_last_chunk_waits_for_the_digest(tmp_path: Path) -> None:
    path = tmp_path / SHA
    path.write_bytes(DATA)
    assert b"".join(stream(path, SHA)) == DATA
    path.write_bytes(DATA[:-1] + b"!")
    got: list[bytes] = []
    with pytest.raises(FetchError, match="digest-mismatch"):
        got.extend(stream(path, SHA))
    assert got == []


def test_the_cache_lies_where_xdg_says() -> None:
    assert default_folder({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/reconciler/downloads")
    assert default_folder({"XDG_CACHE_HOME": "rel", "HOME": "/h"}) == Path("/h/.cache/reconciler/downloads")
