"""`reconcile package convert`: a package of the first format, made into one of format 2."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.package import options as made


def convert(
    package: Annotated[Path, typer.Argument(help="The archive of the first format, such as UUID.tar.xz.")],
    name: made.Name,
    version: made.Version,
    release: made.Release,
    patch_level: Annotated[int, typer.Option("--patch-level", min=0, max=10_000, help="The level it was recorded on.")],
    arch: made.Arch = "amd64",
    out: made.Out = Path("."),
    compression: made.Compress = "xz",
    bare_digest: made.Bare = False,
) -> int:
    """Make a package of a bare archive of the first format.

    Such archives were recorded by iocage's shell version. They do not say what they are for: you do. A .sha256
    beside one is checked. What the first format cannot say is printed as warnings. Exit status: 0 made, 1
    failed, 64 usage.
    """
    from reconciler import __version__
    from reconciler.cli import show
    from reconciler.cli.packaging import compression_named
    from reconciler.cli.paper import many
    from reconciler.packages import convert as converting
    from reconciler.packages.inspect import checked_digest
    from reconciler.packages.manifest import Manifest
    from reconciler.packages.write import build_package

    chosen = compression_named(compression)
    before = checked_digest(package)
    levels = (patch_level, patch_level)
    base, creator = f"converted from {before[:16]}", f"reconciler {__version__}"
    said = Manifest(name, version, release, levels, arch, "", base, creator)
    manifest, captured, warnings = converting.convert(package, said)
    written = build_package(out, manifest, captured.content, chosen, bare=bare_digest)
    show.show(warnings)
    print(f"{written.path}: {many(len(manifest.change.entries), 'name')}, sha256:{written.sha256}")
    return 0


VERB = convert
