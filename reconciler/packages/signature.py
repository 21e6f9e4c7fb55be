"""Signatures beside packages: those of ssh-keygen(1) -Y, which FreeBSD has in its base system.

`ARCHIVE.sig` signs the bytes of the archive in the namespace `reconciler-package`, so that nothing else that a key
signs (a commit, a mail) can stand for it. Anybody can check one without this tool:

    ssh-keygen -Y verify -f ALLOWED_SIGNERS -I NAME -n reconciler-package -s ARCHIVE.sig < ARCHIVE

This is the one door to ssh-keygen. Source: ssh-keygen(1), PROTOCOL.sshsig.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reconciler.cache import open_regular
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.write import unwritable

NAMESPACE = "reconciler-package"
SUFFIX = ".sig"
LIMIT = 64 * 1024
"""Bytes of a signature; that of an RSA key of 16384 bits has some 6 KiB."""
_KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com"
    r"|sk-ecdsa-sha2-nistp256@openssh\.com) ([A-Za-z0-9+/]{40,16384}={0,2})(?: [^\n]*)?"
)
_GOOD = re.compile(rf'Good "{NAMESPACE}" signature for {NAMESPACE} with [A-Z0-9-]+ key (SHA256:[A-Za-z0-9+/]{{43}})\n')
_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose packages are believed: public keys as OpenSSH writes them. With `required`, unsigned ones are refused.

    Where there are keys, a signature by any other is refused; where there are none, signatures are not looked at.
    """

    keys: tuple[str, ...] = ()
    required: bool = False

    @property
    def looks(self) -> bool:
        """Whether signatures matter at all."""
        return bool(self.keys) or self.required


def signature_file(path: Path) -> Path:
    """Where the signature of an archive lies: beside it."""
    return path.with_name(path.name + SUFFIX)


def read_signature(path: Path) -> bytes | None:
    """The signature that lies beside an archive; None where there is none. Raises FetchError (`package-signature`)."""
    place = signature_file(path)
    try:
        with open_regular(place, follow=True) as file:
            data = file.read(LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _wrong(path.name, f"{place} cannot be read: {error.strerror or error}") from error
    return data


def check_signature(path: Path, name: str, signature: bytes | None, trust: Trust) -> str:
    """The fingerprint of the trusted key that signed an archive; "" where it is unsigned and that will do.

    `name` is what the archive is called where it is refused. Raises FetchError: `package-unsigned`,
    `package-signature` for a signature that is damaged, of another archive, for another purpose or by another key,
    `signature-tool` where ssh-keygen cannot be run.
    """
    if not trust.looks:
        return ""
    if signature is None:
        if trust.required:
            raise FetchError(_unsigned(name))
        return ""
    if len(signature) > LIMIT:
        raise _wrong(name, f"the signature has more than {LIMIT} bytes")
    with tempfile.TemporaryDirectory(prefix="reconciler-") as folder:
        allowed, given = Path(folder, "allowed"), Path(folder, "signature")
        allowed.write_text(
            "".join(f'{NAMESPACE} namespaces="{NAMESPACE}" {key}\n' for key in map(bare_key, trust.keys))
        )
        given.write_bytes(signature)
        argv = ("ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", NAMESPACE, "-n", NAMESPACE, "-s", str(given))
        done = _run(argv, path)
    found = _GOOD.fullmatch(done.stdout.decode("utf-8", "replace"))
    if done.returncode or found is None:
        said = (done.stderr + done.stdout).decode("utf-8", "replace").strip()[:500].replace(folder, "")
        raise _wrong(name, said or f"ssh-keygen ended with status {done.returncode}")
    return found[1]


def sign(path: Path, key: Path) -> Path:
    """Sign an archive; gives where the signature lies. ssh-keygen may ask for a passphrase on the terminal, or use
    ssh-agent(1) when `key` is a public key.

    Raises FetchError: `package-signing`, `signature-tool`, `package-unwritable`.
    """
    done = _run(("ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE), path)
    if done.returncode or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----\n"):
        said = done.stderr.decode("utf-8", "replace").strip()[:500]
        raise FetchError(
            Diagnostic(
                "package-signing",
                "The package could not be signed",
                f"{path} with {key}: {said or f'ssh-keygen ended with status {done.returncode}'}.",
                "Name a private key of yours, or its public key while ssh-agent holds it: --key ~/.ssh/id_ed25519",
            )
        )
    place = signature_file(path)
    fresh = place.with_name(f".{place.name}.{os.getpid()}.partial")
    try:
        try:
            fresh.write_bytes(done.stdout)
            os.replace(fresh, place)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(place, error) from error
    return place


def bare_key(key: str) -> str:
    """A public key without its comment. Raises FetchError (`package-key`): options before a key would widen it."""
    found = _KEY.fullmatch(key.strip())
    if found is None:
        raise FetchError(
            Diagnostic(
                "package-key",
                "Not a public key",
                f"{key[:80]!a} is no public key as OpenSSH writes one, or has options before it.",
                'Write the line of a file such as ~/.ssh/id_ed25519.pub: "ssh-ed25519 AAAA... builder"',
            )
        )
    return f"{found[1]} {found[2]}"


def _run(argv: tuple[str, ...], path: Path) -> subprocess.CompletedProcess[bytes]:
    try:
        with open_regular(path, follow=True) as file:
            return subprocess.run(
                argv, stdin=file, capture_output=True, timeout=_TIMEOUT, check=False, env={**os.environ, "LC_ALL": "C"}
            )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise FetchError(
            Diagnostic(
                "signature-tool",
                "Signatures cannot be made or checked here",
                f"ssh-keygen over {path}: {error}.",
                "Install OpenSSH 8.2 or later where reconcile runs; FreeBSD has it in its base system.",
            )
        ) from error


def _unsigned(name: str) -> Diagnostic:
    return Diagnostic(
        "package-unsigned",
        "The package is not signed",
        f"{name} has no signature beside it ({name}{SUFFIX}), and policy.packages.require_signature is set.",
        "Have it signed by a key of policy.packages.trusted_keys: reconcile package sign FILE --key KEY",
    )


def _wrong(name: str, reason: str) -> FetchError:
    return FetchError(
        Diagnostic(
            "package-signature",
            "The package's signature is not good",
            f"{name}: {reason.rstrip('.')}. Nothing of it was used.",
            "Compare policy.packages.trusted_keys with who signed it; do not use the package otherwise.",
        )
    )
