"""`reconcile schema`: the JSON Schemas that editors complete and check specs with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def schema(
    out: Annotated[Path | None, typer.Option(help="Folder to write them to; without it, spec.json is printed.")] = None,
    check: Annotated[bool, typer.Option(help="Write nothing; fail when a file in the folder differs.")] = False,
) -> int:
    """Write the JSON Schemas of all documents, and of the agent's configuration.

    Exit status: 0 done, 1 failed or a file differs (with --check), 64 usage.
    """
    from reconciler.agent.config import AgentConfig
    from reconciler.spec.schema import schema_of, schemas, text

    agent = schema_of(AgentConfig, "agent", "Configuration of reconcile agent")
    texts = {**schemas(), "agent.json": text(agent)}
    if out is None and not check:
        sys.stdout.write(texts["spec.json"])
        return 0
    folder = out or Path("schemas")
    stale = [name for name, text in texts.items() if _read(folder / name) != text]
    if check:
        for name in stale:
            print(f"{folder / name} differs; write it with: reconcile schema --out {folder}")
        return int(bool(stale))
    return _write(folder, {name: texts[name] for name in stale})


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _write(folder: Path, texts: dict[str, str]) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
            print(folder / name)
    except OSError as error:
        print(f"reconcile: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


COMMAND = schema
