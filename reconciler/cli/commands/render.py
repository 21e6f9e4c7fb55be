"""`reconcile render`: the documents as they take effect, defaults and all."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Annotated

import typer


def render(
    path: Annotated[Path, typer.Argument(help="A spec file, or a folder of them.")] = Path("specs"),
    host_name: Annotated[
        str | None, typer.Option(help="For the machine of this name; without it, for this one. `-`: as written.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="A label of the machine, KEY=VALUE; may be repeated.")] = None,
) -> int:
    """Show the specs as they take effect, with every default and with what Makejails say of their jails.

    Comments mark what the documents do not say: `default`, or the place in a Makejail that a value comes from.
    Exit status: 0 done, 1 the specs have errors, 64 usage.
    """
    import os

    from reconciler.cache import default_folder
    from reconciler.cli import show
    from reconciler.effective import effective
    from reconciler.programs import compile_all, pinned_by
    from reconciler.spec import render as yaml
    from reconciler.spec.load import load
    from reconciler.spec.lock import load_lock
    from reconciler.spec.select import select

    specs = load(path)
    if host_name == "-":
        sys.stdout.write(yaml.render(yaml.of_all(specs)))
        return 0
    labels = dict(_pair(word) for word in label or [])
    selected = select(specs, host_name or socket.gethostname(), labels)
    pinned = pinned_by(load_lock(path), default_folder(os.environ), path)
    programs, _folders = compile_all(selected.jails, pinned=pinned)
    found = effective(selected, programs, specs)
    sys.stdout.write(yaml.render(yaml.of_host(found.selected)))
    show.show(warning for warnings in found.warnings.values() for warning in warnings)
    return 0


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise typer.BadParameter(f"{word!r} is not KEY=VALUE", param_hint="--label")
    return key, value


COMMAND = render
