"""`reconcile makejail`: what a Makejail means, stage by stage. Builds nothing, changes nothing on a host.

Exit statuses are those of the language: 0 done, 64 usage, 65 data, 66 missing, 69 unavailable, 74 a
second FROM, 1 a line that cannot be split into words; a failed `cmd+` has its command's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options as given

if TYPE_CHECKING:
    from reconciler.cli.makejailing import Run

COMMAND = typer.Typer(help="Read, check and format Makejails.", no_args_is_help=True)

File = Annotated[str, typer.Argument(help="The Makejail, named as INCLUDE names it: a path, or gh+OWNER/REPOSITORY.")]
Before = Annotated[list[str] | None, typer.Option("-B", "--before-include", help="Include this before the file.")]
After = Annotated[list[str] | None, typer.Option("-a", "--after-include", help="Include this after the file.")]
BuildArgs = Annotated[list[str] | None, typer.Option("-b", "--build-arg", help="NAME=VALUE of a build argument.")]
MoreOptions = Annotated[list[str] | None, typer.Option("-o", "--option", help="One more OPTION, at the end.")]
Env = Annotated[list[str] | None, typer.Option("-V", "--env", help="NAME=VALUE for the environment of RUN.")]
GoOn = Annotated[bool, typer.Option("-e", "--continue-with-errors", help="Do not stop at the first error.")]
Trace = Annotated[bool, typer.Option("-v", "--verbose", help="Trace what the scripts do.")]
Apply = Annotated[bool, typer.Option("-A", "--apply", help="Only the apply stage counts.")]
StopAfter = Annotated[str, typer.Option("--stop-after", help="Stop after: lines, include, macros, parse or compile.")]


@COMMAND.command("compile")
def compile_(
    file: File,
    after: After = None,
    before: Before = None,
    build_arg: BuildArgs = None,
    option: MoreOptions = None,
    env: Env = None,
    continue_with_errors: GoOn = False,
    verbose: Trace = False,
    apply: Apply = False,
    stop_after: StopAfter = "compile",
    as_json: given.AsJSON = False,
) -> int:
    """Show what a Makejail becomes at one stage of its way: its lines, or what each instruction does.

    Exit status: 0 done; 1, 64 to 78 as AppJail has them, which are those of sysexits(3).
    """
    from reconciler.cli.makejailing import STAGES, Asked, run

    if stop_after not in STAGES:
        raise typer.BadParameter(f"--stop-after takes one of {', '.join(STAGES)}, and {stop_after!r} is none.")
    asked = Asked(
        file,
        stop_after,
        tuple(before or ()),
        tuple(after or ()),
        tuple(build_arg or ()),
        tuple(option or ()),
        tuple(env or ()),
        continue_with_errors,
        verbose,
        apply,
    )
    return _show(run(asked), as_json)


@COMMAND.command()
def tokens(
    line: Annotated[str, typer.Argument(help="One line; write -- before it.")],
    as_json: given.AsJSON = False,
) -> int:
    """Split one line into words, as instructions do: without quotes, and as written.

    Exit status: 0 done, 1 it cannot be split, 64 usage.
    """
    from reconciler.cli.makejailing import split

    return _show(split(line), as_json)


@COMMAND.command()
def args(
    file: File,
    parameters: Annotated[list[str] | None, typer.Argument(help="Parameters as --NAME VALUE, after --.")] = None,
    as_json: given.AsJSON = False,
) -> int:
    """Show the values that the ARGs of the build stage have, given these parameters.

    Exit status: 0 done, 64 usage or a parameter is missing, others as for compile.
    """
    from reconciler.cli.makejailing import read_args

    return _show(read_args(file, tuple(parameters or ())), as_json)


@COMMAND.command()
def lint(file: File, as_json: given.AsJSON = False) -> int:
    """Warn about what is legal and rarely meant. Exit status: 0 nothing found, 1 warnings; or the language's."""
    from reconciler.cli.makejailing import check

    return _show(check(file), as_json)


@COMMAND.command("format")
def format_(
    file: Annotated[Path, typer.Argument(help="The Makejail.")],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit status 1 where it would.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Change the file instead of printing it.")] = False,
) -> int:
    """Print a Makejail with even spacing and continuation. Comments stay; nothing changes its meaning.

    Exit status: 0 done, 1 it would change (with --check), 66 it cannot be read, 64 usage.
    """
    from reconciler.cli.makejailing import tidy

    return tidy(file, check=check, write=write)


def _show(done: Run, as_json: bool) -> int:
    """Print a run: diagnostics on standard error, its result on standard output."""
    from reconciler.cli.makejailing import printed

    print(printed(done, as_json), end="")
    return done.status
