"""`reconcile package`: looks at jail packages, makes them, and moves them about."""

from __future__ import annotations

import typer

import reconciler.cli.package as verbs
from reconciler.registry import offered

COMMAND = typer.Typer(help="Make, check, compare and move jail packages.", no_args_is_help=True)

for _module, _verb in offered(verbs, "VERB").items():
    _name = _module.rstrip("_").replace("_", "-")
    if isinstance(_verb, typer.Typer):
        COMMAND.add_typer(_verb, name=_name)
    else:
        COMMAND.command(_name)(_verb)
