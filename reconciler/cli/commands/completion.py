"""`reconcile completion`: the script that makes a shell complete our command lines."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """Shells that can be taught."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell: bash, zsh or fish.")]) -> int:
    """Print a script for your shell's startup file, such as: reconcile completion zsh > _reconcile.

    Exit status: 0 done, 64 usage.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    from reconciler.cli.main import COMPLETE

    print(get_completion_script(prog_name="reconcile", complete_var=COMPLETE, shell=shell.value))
    return 0


COMMAND = completion
