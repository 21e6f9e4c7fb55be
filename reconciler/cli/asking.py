"""Ask the operator before something cannot be undone."""

from __future__ import annotations

import sys

from reconciler.model.diagnostic import Diagnostic, Refused


def type_the_name(name: str, *, yes: bool) -> None:
    """The name, typed by hand. Raises Refused (`not-confirmed`) for anything else."""
    if yes:
        return
    if not sys.stdin.isatty():
        detail = "Standard input is no terminal, so nobody can be asked. Nothing was changed."
        raise Refused(Diagnostic("not-confirmed", "Nobody said yes", detail, "Say it with --yes."))
    print(f"This cannot be undone. Type {name} to go on: ", end="", flush=True)
    if sys.stdin.readline().strip() != name:
        raise Refused(Diagnostic("not-confirmed", "Nobody said yes", "Another name was typed. Nothing was changed."))
