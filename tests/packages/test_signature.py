"""A package is believed when a trusted key signed these very bytes as a package, and by nothing less."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from reconciler.cache import Cache
from reconciler.model.diagnostic import FetchError
from reconciler.packages.signature import LIMIT, Trust, check_signature, read_signature, sign
from reconciler.packages.verify import verify

from .trees import file, of, package

PACKAGE = package(of(file("etc/x", b"text")))


def keygen(folder: Path, kind: str = "ed25519") -> str:
    """A new key pair; gives the line of its public key."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "of a test", "-f", str(folder / kind)], check=True, timeout=60
    )
    return (folder / f"{kind}.pub").read_text().strip()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder with two keys, and their public ones."""
    folder = tmp_path_factory.mktemp("keys")
    return folder, keygen(folder), keygen(folder, "ecdsa")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "p.tar.xz"
    path.write_bytes(PACKAGE)
    return path


def check(path: Path, trust: Trust) -> str:
    return check_signature(path, path.name, read_signature(path), trust)


def refused(path: Path, trust: Trust) -> str:
    with pytest.raises(FetchError) as caught:
        check(path, trust)
    assert "reconciler-" not in caught.value.diagnostics[0].detail.replace("reconciler-package", "")
    return caught.value.diagnostics[0].code


def test_a_signature_by_any_trusted_key_is_good(archive: Path, keys: tuple[Path, str, str]) -> None:
    folder, one, other = keys
    assert sign(archive, folder / "ed25519") == archive.with_name("p.tar.xz.sig")
    signer = check(archive, Trust((other, one), required=True))
    told = subprocess.run(
        ["ssh-keygen", "-lf", str(folder / "ed25519.pub")], capture_output=True, check=True, timeout=60
    )
    assert signer in told.stdout.decode()
    sign(archive, folder / "ecdsa")
    assert check(archive, Trust((other, one))) not in ("", signer)


def test_another_key_another_archive_or_another_purpose_is_refused(archive: Path, keys: tuple[Path, str, str]) -> None:
    folder, one, other = keys
    sign(archive, folder / "ecdsa")
    assert refused(archive, Trust((one,))) == "package-signature"
    sign(archive, folder / "ed25519")
    archive.write_bytes(PACKAGE + b"\0")
    assert refused(archive, Trust((one,))) == "package-signature"
    argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(folder / "ed25519")]
    done = subprocess.run(argv, input=PACKAGE, capture_output=True, check=True, timeout=60)
    archive.write_bytes(PACKAGE)
    archive.with_name("p.tar.xz.sig").write_bytes(done.stdout)
    assert refused(archive, Trust((one, other))) == "package-signature"


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"-----BEGIN SSH SIGNATURE-----\n", b"x" * (LIMIT + 1)])
def test_a_signature_that_is_none_is_refused(archive: Path, keys: tuple[Path, str, str], data: bytes) -> None:
    archive.with_name("p.tar.xz.sig").write_bytes(data)
    assert refused(archive, Trust(keys[1:])) == "package-signature"
    assert check(archive, Trust()) == ""


def test_an_unsigned_package_is_refused_where_signatures_are_asked_for(
    archive: Path, keys: tuple[Path, str, str]
) -> None:
    assert check(archive, Trust(keys[1:])) == ""
    assert refused(archive, Trust(keys[1:], required=True)) == "package-unsigned"
    assert refused(archive, Trust(required=True)) == "package-unsigned"


@pytest.mark.parametrize("key", ["", "ssh-ed25519", "cert-authority ssh-ed25519 AAAA", "*", "ssh-ed25519 AAAA\n* "])
def test_a_line_that_would_trust_more_than_a_key_is_refused(archive: Path, key: str) -> None:
    archive.with_name("p.tar.xz.sig").write_bytes(b"x")
    assert refused(archive, Trust((key,))) == "package-key"


def test_what_cannot_sign_says_so(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="package-signing"):
        sign(archive, tmp_path / "none")
    assert [p.name for p in tmp_path.iterdir()] == ["p.tar.xz"]


def test_signatures_need_openssh(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match="signature-tool"):
        sign(archive, tmp_path / "none")


def test_a_package_is_verified_with_its_signature_and_from_the_cache_without_its_server(
    archive: Path, tmp_path: Path, keys: tuple[Path, str, str]
) -> None:
    folder, one, other = keys
    digest = "sha256:" + hashlib.sha256(PACKAGE).hexdigest()
    cache, trust = Cache(tmp_path / "cache"), Trust((one,), required=True)

    def again(trust: Trust) -> str:
        found = verify("p.tar.xz", digest, tmp_path, cache, trust=trust)
        assert found.manifest is not None and found.manifest.name == "nginx"
        assert b"".join(found.chunks()) == PACKAGE[found.package.payload_at if found.package else 0 :]
        return found.signer

    with pytest.raises(FetchError, match="package-unsigned"):
        again(trust)
    sign(archive, folder / "ed25519")
    signer = again(trust)
    assert signer.startswith("SHA256:") and again(Trust()) == ""
    with pytest.raises(FetchError, match="package-signature"):
        again(Trust((other,)))
    archive.with_name("p.tar.xz.sig").unlink()
    with pytest.raises(FetchError, match="package-unsigned"):
        again(trust)
