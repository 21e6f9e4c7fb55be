"""`reconcile validate`: everything that is wrong with the specs, without looking at a host."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def validate(
    path: Annotated[Path, typer.Argument(help="A spec file, or a folder of them.")] = Path("specs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the diagnostics as a JSON list.")] = False,
) -> int:
    """Check the specs: syntax, fields, how documents fit together, and the Makejails they name.

    Looks at no host. Exit status: 0 valid (there may be warnings), 1 errors, 64 usage.
    """
    from reconciler.cache import default_folder
    from reconciler.cli import show
    from reconciler.cli.paper import many
    from reconciler.model.diagnostic import SpecError
    from reconciler.programs import makejail_problems, pinned_by
    from reconciler.spec.load import examine
    from reconciler.spec.lock import load_lock

    specs, problems = examine(path)
    if not any(problem.severity == "error" for problem in problems):
        # Documents first: a Makejail whose file is missing is already said there.
        try:
            pinned = pinned_by(load_lock(path), default_folder(os.environ), path)
            problems = (*problems, *makejail_problems(specs, pinned))
        except SpecError as error:
            problems = (*problems, *error.diagnostics)
    failed = any(problem.severity == "error" for problem in problems)
    if as_json:
        print(json.dumps([show.as_json(problem) for problem in problems], indent=2))
        return int(failed)
    show.show(problems, sys.stdout)
    if failed:
        print(f"\n{show.counted(problems)}")
    else:
        count = sum(1 for _ in specs.documents())
        extra = f" ({show.counted(problems)})" if problems else ""
        print(f"{many(count, 'document')} {'is' if count == 1 else 'are'} valid{extra}.")
    return int(failed)


COMMAND = validate
