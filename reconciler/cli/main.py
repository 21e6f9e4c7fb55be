"""`reconcile`: finds the command that was asked for and loads only that one.

A command is a file of `commands/` (underscores are typed as dashes) that offers `COMMAND`: a function with
Typer's annotations that returns its exit status, or a `typer.Typer` with commands of its own.
Exit statuses: 0 done, 1 failed, 64 usage; a command may have more.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from reconciler.cli import encoding

USAGE = 64
INTERRUPTED = 130
COMPLETE = "_RECONCILE_COMPLETE"
"""The variable by which a shell's script of `reconcile completion` asks for what could follow."""

_REFUSALS = {
    errno.ENOSPC: "Make room on that file system (df -h), and run the same again; what was done stays done.",
    errno.EDQUOT: "Make room within the quota, and run the same again; what was done stays done.",
    errno.EACCES: "Run it as a user who may do this, or give the path to them.",
    errno.EPERM: "Run it as a user who may do this.",
    errno.EROFS: "That file system is mounted read-only.",
    errno.EMFILE: "Allow more open files: ulimit -n 4096",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; answers its exit status and never raises for what a user can cause."""
    args = list(sys.argv[1:] if argv is None else argv)
    for name in ("stdout", "stderr"):  # None where a caller closed the descriptor, as in `reconcile plan >&-`
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (as long as the process)
    encoding.never_refuse(sys.stdout, sys.stderr)
    if args[:1] == ["--version"]:
        from reconciler import __version__

        print(f"reconcile {__version__}")
        return 0
    return _run(args)


def names() -> dict[str, str]:
    """Every command with the name of its module."""
    folder = Path(__file__).parent / "commands"
    return {path.stem.replace("_", "-"): path.stem for path in sorted(folder.glob("[a-z]*.py"))}


def _run(args: list[str]) -> int:
    from reconciler.model.diagnostic import ReconcilerError

    try:
        return _dispatch(args)
    except ReconcilerError as error:
        from reconciler.cli.show import show

        show(error.diagnostics)
        return 1
    except BrokenPipeError:  # the reader of our output has gone, as in `reconcile plan | head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("reconcile: interrupted", file=sys.stderr)
        return INTERRUPTED
    except UnicodeEncodeError as error:
        if os.environ.get("RECONCILER_DEBUG") or not any("\udc80" <= char <= "\udcff" for char in "".join(args)):
            raise
        print(f"reconcile: {error.object!a}: an argument holds bytes that are not UTF-8 text", file=sys.stderr)
        return USAGE
    except OSError as error:
        if os.environ.get("RECONCILER_DEBUG"):
            raise
        _say_refused(error)
        return 1
    except Exception as error:  # the outermost edge: an operator gets a sentence, a developer the traceback
        if os.environ.get("RECONCILER_DEBUG"):
            raise
        _say_internal(error)
        return 1


def _say_refused(error: OSError) -> None:
    from reconciler.cli.show import show
    from reconciler.model.diagnostic import Diagnostic

    named = isinstance(error.filename, str | bytes)
    what = os.fsdecode(error.filename) if named else "standard output, or a file without a name"
    hint = _REFUSALS.get(error.errno or 0, "Look at the path, its permissions and its file system.")
    detail = f"{what}: {error.strerror or error}."
    show((Diagnostic("system-refused", "This machine refused something that was needed", detail, hint),))


def _say_internal(error: Exception) -> None:
    from traceback import extract_tb

    from reconciler.cli.show import show
    from reconciler.model.diagnostic import Diagnostic

    frame = extract_tb(error.__traceback__)[-1]
    detail = f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
    hint = "Run the same again with RECONCILER_DEBUG=1 in the environment and report what it prints."
    show((Diagnostic("internal-error", "This is a mistake in reconcile itself", detail, hint),))


def _dispatch(args: list[str]) -> int:
    import typer

    from reconciler.cli import examples, words

    command = typer.main.get_command(_app(args))
    words.put(command)
    examples.put(command)
    if COMPLETE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    usage_error: type[Any] = typer.BadParameter.__mro__[1]
    try:
        status = command.main(args=args or ["--help"], prog_name="reconcile", standalone_mode=False)
    except typer.Abort:
        return INTERRUPTED
    except typer.Exit as leave:
        return int(leave.exit_code)
    except usage_error as error:
        context = getattr(error, "ctx", None)
        if context is not None:
            print(context.get_usage(), file=sys.stderr)
        print(f"reconcile: {error.format_message()}", file=sys.stderr)
        return USAGE
    return status if isinstance(status, int) else 0


def _app(args: list[str]) -> Any:
    """The Typer app with the command that `args` name, or with all where they name none."""
    import typer

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(_options)
    known = names()
    chosen = next((word for word in args if word in known), None)
    for name in [chosen] if chosen else known:
        offered = import_module(f"reconciler.cli.commands.{known[name]}").COMMAND
        if isinstance(offered, typer.Typer):
            app.add_typer(offered, name=name)
        else:
            app.command(name)(offered)
    return app


def _options() -> None:
    """GitOps for FreeBSD jails: compare YAML specs with a host, plan, and converge."""


if __name__ == "__main__":
    sys.exit(main())
