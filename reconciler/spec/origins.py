"""What a root is made of beside its release: jail packages and a Makejail; and whose packages are believed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from reconciler.spec.fields import PACKAGE_NAME, Bool, Digest, Model, PublicKey, Size

PackageName = Annotated[str, StringConstraints(pattern=PACKAGE_NAME, max_length=128)]


class JailPackage(Model):
    """A jail package: the recorded difference of an installation, applied as one layer."""

    name: PackageName = Field(description="Name of the package, or of a `kind: Package` document.")
    version: str | None = Field(default=None, description="Version, for people and for the plan; the digest decides.")
    digest: Digest | None = Field(
        default=None, description="SHA256 of the archive; required unless a Package document has it."
    )
    source: str | None = Field(
        default=None,
        description="Where the archive lies: a path relative to this file, file: or http(s): URL.",
    )
    replaces: tuple[PackageName, ...] = Field(
        default=(), description="Packages before it whose files it may overwrite or delete; a conflict otherwise."
    )


class Makejail(Model):
    """How the root is built on top of the release: a Makejail, from a file or inline."""

    file: str | None = Field(default=None, description="Path of the Makejail, relative to this document.")
    text: str | None = Field(default=None, description="The Makejail itself, inline.")
    args: dict[str, str] = Field(default={}, description="Values of the Makejail's ARGs.")
    build_args: dict[str, str] = Field(default={}, description="Values of its build arguments, `%{NAME}`.")
    env: dict[str, str] = Field(default={}, description="Environment of RUN, as `-V`.")


class PackagePolicy(Model):
    """Which jail packages this host believes."""

    trusted_keys: tuple[PublicKey, ...] = Field(
        default=(), description="Public keys, as in ~/.ssh/id_ed25519.pub, that may sign packages; others are refused."
    )
    require_signature: Bool = Field(
        default=False, description="Refuse packages that none of `trusted_keys` has signed."
    )
    max_size: Size = Field(default=4 * 1024**3, description="Most bytes of an archive that is fetched, packed.")
