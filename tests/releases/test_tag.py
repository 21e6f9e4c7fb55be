"""A tag is believed when a pinned key signed it, it speaks of what was asked, and it is not older than one seen."""

from __future__ import annotations

import base64
import functools
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cache import Cache
from reconciler.download import DownloadError
from reconciler.hosts.sandbox.signing import SigningKey, make_key, tag_files, tag_line
from reconciler.model.diagnostic import FetchError
from reconciler.releases.rsa import KeyUnreadable, NotSigned, public_key, recover
from reconciler.releases.tag import KEY_LIMIT, SERVER, TAG_LIMIT, Tags, Updates, parse_tag, verify_tag

from .mirror import Fault, Mirror, serving

RELEASE, TODAY = "15.1-RELEASE", "2026-11-22"
EOL = 1806451200  # 2027-03-31
INDEX = "ab" * 32
KEY = make_key("c", 4096)
STRANGER = make_key("a", 2048)
LINE = tag_line(RELEASE, 3, INDEX, EOL)
SIGNATURE = KEY.sign(LINE)
FOLDER = f"/{RELEASE}/amd64"


@functools.cache
def files(patch: int, key: SigningKey, eol: int) -> dict[str, bytes]:
    return tag_files(key, RELEASE, patch, INDEX, eol)


def served(patch: int = 3, key: SigningKey = KEY, eol: int = EOL) -> dict[str, bytes]:
    return {f"/{path}": data for path, data in files(patch, key, eol).items()}


@pytest.fixture
def server() -> Iterator[Mirror]:
    with serving(served()) as running:
        yield running


def tags(server: Mirror, folder: Path, *keys: SigningKey) -> Tags:
    return Tags(Cache(folder), Updates(server.url, tuple(key.key_print for key in keys or (KEY,))))


def code_of(caught: pytest.ExceptionInfo[FetchError]) -> str:
    return caught.value.diagnostics[0].code


def test_a_tag_says_the_newest_level_and_the_end_of_life(server: Mirror, tmp_path: Path) -> None:
    found = tags(server, tmp_path).fetch(RELEASE, "amd64", TODAY)
    assert (found.tag.patch, found.tag.index, found.seen) == (3, INDEX, TODAY)
    assert str(found.tag.version) == "15.1-RELEASE-p3"
    assert found.tag.eol_date == date(2027, 3, 31)
    assert found.tag.dump() == LINE
    assert [path for path, _ in server.asked] == [f"{FOLDER}/pub.ssl", f"{FOLDER}/latest.ssl"]


def test_freebsds_own_server_and_key_are_the_default() -> None:
    updates = Updates()
    assert updates.url("15.1-RELEASE-p2", "arm64", "latest.ssl") == f"{SERVER}/15.1-RELEASE/arm64/latest.ssl"
    assert updates.key_prints[0].startswith("800651ef")


def test_openssl_reads_the_same_line(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl(1) is not installed here")
    (tmp_path / "pub.ssl").write_bytes(KEY.pem())
    (tmp_path / "latest.ssl").write_bytes(SIGNATURE)
    argv = [openssl, "pkeyutl", "-pubin", "-inkey", "pub.ssl", "-verifyrecover", "-in", "latest.ssl"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, timeout=30, check=True)
    assert done.stdout == LINE == recover(public_key(KEY.pem()), SIGNATURE)


def test_a_key_that_is_not_pinned_is_refused(server: Mirror, tmp_path: Path) -> None:
    server.files = served(key=STRANGER)
    with pytest.raises(FetchError) as caught:
        tags(server, tmp_path).fetch(RELEASE, "amd64", TODAY)
    assert code_of(caught) == "update-key-untrusted"
    assert STRANGER.key_print in caught.value.diagnostics[0].detail
    assert len(server.asked) == 1


def test_one_of_several_keys_may_sign(server: Mirror, tmp_path: Path) -> None:
    both = tags(server, tmp_path, STRANGER, KEY)
    assert both.fetch(RELEASE, "amd64", TODAY).tag.patch == 3
    server.files = served(4, STRANGER)
    assert both.fetch(RELEASE, "amd64", TODAY).tag.patch == 4
    known = both.known(RELEASE, "amd64")
    assert known is not None and known.tag.patch == 4


@pytest.mark.parametrize("level", [4, 9])
def test_a_tag_older_than_a_level_that_is_known_is_a_replay(server: Mirror, tmp_path: Path, level: int) -> None:
    with pytest.raises(FetchError) as caught:
        tags(server, tmp_path).fetch(RELEASE, "amd64", TODAY, level)
    assert code_of(caught) == "update-tag-replayed"


def test_a_tag_older_than_one_seen_is_a_replay_and_forgets_nothing(server: Mirror, tmp_path: Path) -> None:
    memory = tags(server, tmp_path)
    memory.fetch(RELEASE, "amd64", TODAY)
    server.files = served(2)
    with pytest.raises(FetchError) as caught:
        tags(server, tmp_path).fetch(RELEASE, "amd64", "2026-11-23")
    assert code_of(caught) == "update-tag-replayed"
    known = memory.known(RELEASE, "amd64")
    assert known is not None and (known.tag.patch, known.seen) == (3, TODAY)
    server.files = served(3, eol=EOL + 86400)
    assert memory.fetch(RELEASE, "amd64", TODAY).tag.eol == EOL + 86400


def test_a_memory_that_somebody_wrote_to_is_not_believed(server: Mirror, tmp_path: Path) -> None:
    memory = tags(server, tmp_path)
    memory.fetch(RELEASE, "amd64", TODAY)
    (path,) = tmp_path.glob("tag-*")
    whole = path.read_bytes()
    for data in (b"", b"[]", b"{}", b'{"key": 1, "signature": "", "seen": ""}', whole[:-9], whole.replace(b"0", b"1")):
        path.write_bytes(data)
        assert memory.known(RELEASE, "amd64") is None
    path.write_bytes(whole)
    assert memory.known(RELEASE, "amd64") is not None
    assert tags(server, tmp_path, STRANGER).known(RELEASE, "amd64") is None


@pytest.mark.parametrize(
    ("release", "machine"), [("15.0-RELEASE", "amd64"), (RELEASE, "arm64"), ("14.4-RELEASE", "arm64")]
)
def test_a_tag_of_something_else_is_refused(server: Mirror, tmp_path: Path, release: str, machine: str) -> None:
    server.files = {f"/{release}/{machine}/{path.rpartition('/')[2]}": data for path, data in served().items()}
    with pytest.raises(FetchError) as caught:
        tags(server, tmp_path).fetch(release, machine, TODAY)
    assert code_of(caught) == "update-tag-invalid"


FAULTS = [
    (Fault(status=404), {"mirror-not-found"}),
    (Fault(status=503), {"download-failed"}),
    (Fault(cut=100), {"download-truncated"}),
    (Fault(cut=100, no_length=True), {"update-tag-invalid", "update-key-untrusted"}),
    (Fault(flip=77), {"update-tag-invalid", "update-key-untrusted"}),
    (Fault(cut=0, no_length=True), {"update-tag-invalid", "update-key-untrusted"}),
]


@pytest.mark.parametrize("file", ["pub.ssl", "latest.ssl"])
@pytest.mark.parametrize(("fault", "codes"), FAULTS)
def test_a_file_that_is_missing_cut_or_altered_gives_no_tag_and_a_retry_works(
    server: Mirror, tmp_path: Path, file: str, fault: Fault, codes: set[str]
) -> None:
    server.faults[f"{FOLDER}/{file}"] = [fault]
    with pytest.raises(FetchError) as caught:
        tags(server, tmp_path).fetch(RELEASE, "amd64", TODAY)
    assert code_of(caught) in codes
    assert tags(server, tmp_path).known(RELEASE, "amd64") is None
    assert tags(server, tmp_path).fetch(RELEASE, "amd64", TODAY).tag.patch == 3


@pytest.mark.parametrize(("file", "limit"), [("pub.ssl", KEY_LIMIT), ("latest.ssl", TAG_LIMIT)])
def test_a_file_without_end_is_refused(server: Mirror, tmp_path: Path, file: str, limit: int) -> None:
    server.files[f"{FOLDER}/{file}"] = b"x" * (limit + 1)
    with pytest.raises(DownloadError, match="download-too-large"):
        tags(server, tmp_path).fetch(RELEASE, "amd64", TODAY)


@pytest.mark.parametrize(
    "line",
    [
        b"", LINE[:-1], LINE + LINE, LINE + b"x", b"x" + LINE, LINE.replace(b"|3|", b"|-3|"),
        LINE.replace(b"|3|", b"||"), LINE.replace(b"|3|", b"|123456|"), LINE.replace(INDEX.encode(), b"AB" * 32),
        LINE.replace(INDEX.encode(), b"../../etc"), LINE.replace(b"1806451200", b"180645120"),
        LINE.replace(b"freebsd-update", b"portsnap"), LINE.replace(b"|", b" "),
    ],
)  # fmt: skip
def test_a_line_that_is_not_exactly_a_tag_is_refused(line: bytes) -> None:
    with pytest.raises(FetchError) as caught:
        verify_tag(KEY.pem(), KEY.sign(line), (KEY.key_print,), RELEASE, "amd64")
    assert code_of(caught) == "update-tag-invalid"
    assert caught.value.diagnostics[0].detail.isprintable()


def signed_block(block: bytes) -> bytes:
    return pow(int.from_bytes(block), KEY.private, KEY.modulus).to_bytes(KEY.size)


def block(padding: bytes, message: bytes = LINE, start: bytes = b"\0\1", rest: bytes = b"") -> bytes:
    filled = padding * (KEY.size - len(start) - 1 - len(message) - len(rest))
    return (start + filled + b"\0" + message + rest)[: KEY.size]


BLOCKS = {
    "another block type": block(b"\xff", start=b"\0\2"),
    "no leading zero": block(b"\xff", start=b"\1\1"),
    "padding that is not FF": block(b"\xfe"),
    "padding cut short, as Bleichenbacher forged": block(b"", rest=b"\0" * (KEY.size - 3 - len(LINE))),
    "seven bytes of padding": b"\0\1" + b"\xff" * 7 + b"\0" + LINE.rjust(KEY.size - 10, b"x"),
    "no end of the padding": b"\0\1" + b"\xff" * (KEY.size - 2),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_with_room_for_a_forger_is_refused(name: str) -> None:
    with pytest.raises(NotSigned):
        recover(public_key(KEY.pem()), signed_block(BLOCKS[name]))


@pytest.mark.parametrize("signature", [b"", b"\0" * 512, b"\0" * 511 + b"\1", b"\xff" * 512, SIGNATURE[1:]])
def test_bytes_that_no_key_signed_are_refused(signature: bytes) -> None:
    with pytest.raises(NotSigned):
        recover(public_key(KEY.pem()), signature)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, KEY.size - 1), st.integers(1, 255))
def test_a_signature_with_any_byte_changed_is_refused(at: int, change: int) -> None:
    signature = bytearray(SIGNATURE)
    signature[at] ^= change
    with pytest.raises(FetchError):
        verify_tag(KEY.pem(), bytes(signature), (KEY.key_print,), RELEASE, "amd64")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**31), st.binary(max_size=3), st.booleans())
def test_any_key_is_read_as_written_or_refused(place: int, bytes_: bytes, cut: bool) -> None:
    whole = base64.b64decode(b"".join(KEY.pem().split(b"\n")[1:-2]))
    at = place % len(whole)
    data = whole[:at] if cut else whole[:at] + bytes_ + whole[at + len(bytes_) :]
    lines = base64.encodebytes(data)
    pem = b"-----BEGIN PUBLIC KEY-----\n" + lines + b"-----END PUBLIC KEY-----\n"
    try:
        key = public_key(pem)
    except KeyUnreadable:
        return
    assert len(data) == len(whole) and key.modulus % 2 == 1
    assert data != whole or recover(key, SIGNATURE) == LINE


@pytest.mark.parametrize("pem", [b"", KEY.pem()[:-1], KEY.pem() * 2, KEY.pem().replace(b"PUBLIC", b"PRIVATE"), b"\0"])
def test_what_is_no_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(KeyUnreadable):
        public_key(pem)


@given(st.builds(tag_line, st.just(RELEASE), st.integers(0, 99999), st.just(INDEX), st.integers(0, 10**10 - 1)))
def test_a_line_reads_back_as_written(line: bytes) -> None:
    assert parse_tag(line, RELEASE, "amd64").dump() == line
