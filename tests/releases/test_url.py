"""Where files of a release lie, and which mirrors may be believed."""

from __future__ import annotations

import pytest

from reconciler.model.diagnostic import FetchError
from reconciler.releases.url import check_mirror, release_url
from reconciler.url import redact


def test_a_file_lies_below_machine_arch_and_release() -> None:
    assert (
        release_url(None, "arm64", "aarch64", "15.1-RELEASE", "base.txz")
        == "https://download.freebsd.org/releases/arm64/aarch64/15.1-RELEASE/base.txz"
    )
    assert release_url("file:///m/", "amd64", "amd64", "15.1-RELEASE", "MANIFEST").startswith("file:///m/amd64/")


@pytest.mark.parametrize(
    ("release", "folder"),
    [
        ("15.2-RC1", "releases"),
        ("15.2-BETA3", "releases"),
        ("15.1-STABLE", "snapshots"),
        ("16.0-CURRENT", "snapshots"),
        ("16.0-ALPHA2", "snapshots"),
    ],
)
def test_what_is_built_of_a_branch_lies_among_the_snapshots(release: str, folder: str) -> None:
    found = release_url(None, "amd64", "amd64", release, "MANIFEST")
    assert found == f"https://download.freebsd.org/{folder}/amd64/amd64/{release}/MANIFEST"


@pytest.mark.parametrize("part", ["", "..", ".", "a/b", "a b", "a?b", "a#b", "%2e%2e", "x" * 200])
def test_a_part_that_would_leave_the_folder_is_refused(part: str) -> None:
    with pytest.raises(FetchError) as caught:
        release_url(None, "amd64", "amd64", "15.1-RELEASE", part)
    assert caught.value.diagnostics[0].code == "mirror-url-malformed"


@pytest.mark.parametrize(
    "mirror",
    [
        "https://m.example/r",
        "file:///var/mirror",
        "http://127.0.0.1:8080/r",
        "http://[::1]/r",
        "http://localhost/r",
        None,
    ],
)
def test_the_https_policy_trusts_what_the_connection_protects(mirror: str | None) -> None:
    check_mirror(mirror, "https")


@pytest.mark.parametrize(
    "mirror",
    ["http://m.example/r", "http://127.0.0.1.example/", "http://10.0.0.1/", "http://127.0.0.1@m.example/"],
)
def test_plain_http_needs_a_digest_had_elsewhere(mirror: str) -> None:
    with pytest.raises(FetchError) as caught:
        check_mirror(mirror, "https")
    found = caught.value.diagnostics[0]
    assert found.code == "mirror-untrusted"
    assert "pinned" in found.hint
    check_mirror(mirror, "pinned")
    check_mirror(mirror, "manifests-dir")


@pytest.mark.parametrize(
    "mirror",
    [
        "ftp://m/r",
        "m.example/r",
        "https:///r",
        "file://host/r",
        "file:r",
        "https://m/r?x=1",
        "https://m/\n",
        "https://[::/",
        "",
    ],
)
def test_what_is_no_mirror_is_refused(mirror: str) -> None:
    with pytest.raises(FetchError) as caught:
        check_mirror(mirror, "pinned")
    assert caught.value.diagnostics[0].code == "mirror-url-malformed"


def test_a_password_in_a_url_is_never_shown() -> None:
    assert redact("http://me:secret@m.example/r") == "http://m.example/r"
    with pytest.raises(FetchError) as caught:
        check_mirror("http://me:secret@m.example/r", "https")
    assert "secret" not in str(caught.value)
