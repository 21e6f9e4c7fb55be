"""`reconcile package sign`: says with a key of OpenSSH that a package comes from here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sign(
    packages: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Archives of packages.")],
    key: Annotated[
        Path, typer.Option("--key", help="A private key of OpenSSH; or a public one that ssh-agent holds the other of.")
    ],
) -> int:
    """Sign packages with a key of OpenSSH.

    Writes FILE.sig beside each, after checking the whole package. Hosts believe it that have the public key in
    policy.packages.trusted_keys. ssh-keygen may ask for the passphrase. Exit status: 0 signed, 1 failed, 64
    usage.
    """
    from reconciler.cli.packaging import verdict
    from reconciler.packages import signature

    for path in packages:
        found = verdict(path, "", signature.Trust())
        print(f"{signature.sign(path, key)}: signs {found.title}, sha256:{found.sha256}")
    return 0


VERB = sign
