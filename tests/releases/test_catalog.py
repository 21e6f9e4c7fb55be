"""What a mirror lists is a list of names, whatever the page looks like; nothing else in it counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.download import DownloadError
from reconciler.model.diagnostic import FetchError
from reconciler.releases.catalog import NAMES_LIMIT, Offered, Source, folders, look, offers, sources

from .mirror import serving

NGINX = b"""<html><head><title>Index of /releases/amd64/amd64/</title></head><body>
<h1>Index of /releases/amd64/amd64/</h1><hr><pre><a href="../">../</a>
<a href="14.4-RELEASE/">14.4-RELEASE/</a>     10-Mar-2026 00:01       -
<a href="15.0-RELEASE/">15.0-RELEASE/</a>     02-Dec-2025 00:01       -
<a href="15.1-RELEASE/">15.1-RELEASE/</a>     16-Jun-2026 00:01       -
<a href="15.2-BETA1/">15.2-BETA1/</a>         06-Nov-2026 00:01       -
<a href="ISO-IMAGES/">ISO-IMAGES/</a>         16-Jun-2026 00:01       -
<a href="README.TXT">README.TXT</a>           16-Jun-2026 00:01     637
</pre></body></html>"""
APACHE = b"""<table><tr><td><a href='./15.1-RELEASE/'>x</a></td></tr><TR><TD><A HREF=15.10-RELEASE/>y</A>
<a href="?C=N;O=D">Name</a><a href="/pub/">Parent</a></table>"""
FANCY = b"""<table id="list"><tr><td class="link"><a href="13.5-RELEASE/" title="13.5-RELEASE">13.5-RELEASE/</a></td>
<tr><td><a href="/pub/FreeBSD/releases/amd64/amd64/14.3-RELEASE/">14.3</a><a href="//x.example/14.2-RELEASE/">"""
HARDENED = b'<a href="../">..</a><a href="14-stable/">a</a><a href="15-stable/">b</a><a href="current/"><a href="keys/"'
JENKINS = (
    b'<a href="HardenedBSD-13-STABLE-amd64-LATEST/">a</a><a href="HardenedBSD-12-STABLE-arm64-LATEST/">b</a>'
    b'<a href="HardenedBSD-13-STABLE-amd64-BUILD-7/">c</a>'
)
BSD, HBSD = Source("https://m.example/r/"), Source("https://h.example/pub", "HardenedBSD")


@pytest.mark.parametrize(
    ("page", "names"),
    [
        (NGINX, ["14.4-RELEASE", "15.0-RELEASE", "15.1-RELEASE", "15.2-BETA1"]),
        (APACHE, ["15.1-RELEASE", "15.10-RELEASE"]),
        (FANCY, ["13.5-RELEASE", "14.3-RELEASE"]),
        (b"", []),
        (b"\xff\xfe<a href=", []),
        (b'<a href="../15.1-RELEASE/"><a href="/pub/../15.1-RELEASE/">', []),
        (b'<a href="http://elsewhere.example/15.1-RELEASE/">', []),
        (b'<a href="15.1-RELEASE/../../x/">', []),
        (b'<a href="15.1-RELEASE-p3/">', []),
        (b'<a href="015.1-RELEASE/"><a href="15-RELEASE/"><a href="15.1-release/">', []),
        (b'<a href="15.1-RELEASE/">' * 3, ["15.1-RELEASE"]),
    ],
)
def test_releases_are_found_in_an_index(page: bytes, names: list[str]) -> None:
    found = offers(folders(page), BSD, "amd64", "amd64")
    assert [item.name for item in found] == names
    assert all(item.url == f"https://m.example/r/amd64/amd64/{item.name}" for item in found)


@pytest.mark.parametrize(
    ("page", "machine", "found"),
    [
        (HARDENED, "amd64", {
            "14-STABLE": "14-stable/amd64/amd64/installer/LATEST",
            "15-STABLE": "15-stable/amd64/amd64/installer/LATEST",
            "CURRENT": "current/amd64/amd64/installer/LATEST",
        }),
        (JENKINS, "amd64", {"13-STABLE": "HardenedBSD-13-STABLE-amd64-LATEST"}),
        (JENKINS, "arm64", {"12-STABLE": "HardenedBSD-12-STABLE-arm64-LATEST"}),
        (NGINX, "amd64", {}),
    ],
)  # fmt: skip
def test_hardenedbsds_builds_are_found_in_both_of_its_layouts(page: bytes, machine: str, found: dict[str, str]) -> None:
    listed = offers(folders(page), HBSD, machine, machine)
    assert {item.name: item.url for item in listed} == {k: f"https://h.example/pub/{v}" for k, v in found.items()}


@given(st.binary(max_size=2000))
def test_any_page_gives_plain_names(page: bytes) -> None:
    for name in folders(page):
        assert name.isascii() and "/" not in name and name not in (".", "..")


def test_an_index_without_end_is_cut() -> None:
    page = b"".join(b'<a href="%d/">' % number for number in range(3 * NAMES_LIMIT))
    assert len(folders(page)) == NAMES_LIMIT


def test_freebsd_is_looked_up_with_its_archive_and_a_mirror_given_alone() -> None:
    assert [source.archived for source in sources()] == [False, True]
    assert [source.mirror for source in sources("file:///m")] == ["file:///m"]
    assert sources(layout="HardenedBSD")[0].layout == "HardenedBSD"


def test_a_mirror_is_read_over_http() -> None:
    with serving({"/amd64/amd64/": NGINX}) as mirror:
        found = look(Source(mirror.url), "amd64", "amd64")
        assert found[0] == Offered("14.4-RELEASE", f"{mirror.url}/amd64/amd64/14.4-RELEASE")
        assert mirror.asked == [("/amd64/amd64/", "")]
        mirror.files["/amd64/amd64/"] = b"<html>Please log in to the hotel network</html>"
        with pytest.raises(FetchError, match="mirror-empty"):
            look(Source(mirror.url), "amd64", "amd64")
        mirror.files["/amd64/amd64/"] = NGINX + b" " * (1 << 20)
        with pytest.raises(DownloadError, match="download-too-large"):
            look(Source(mirror.url), "amd64", "amd64")


def test_a_mirror_on_disk_is_read_as_folders(tmp_path: Path) -> None:
    for name in ("15.1-RELEASE", "14.4-RELEASE", "ISO-IMAGES"):
        (tmp_path / "my mirror/amd64/amd64" / name).mkdir(parents=True)
    (tmp_path / "my mirror/amd64/amd64/15.0-RELEASE").write_text("a file")
    url = f"file://{tmp_path}/my%20mirror"
    assert [item.name for item in look(Source(url), "amd64", "amd64")] == ["14.4-RELEASE", "15.1-RELEASE"]
    with pytest.raises(FetchError, match="mirror-not-found"):
        look(Source(url), "arm64", "aarch64")
