"""What all hook scripts begin with: strictness, names, messages that say what failed.

Programs are called by absolute path: at boot, jail(8) runs hooks with whatever PATH rc(8) has.
"""

from __future__ import annotations

from reconciler.runtime.quote import sh
from reconciler.runtime.runtime import Runtime


def script(runtime: Runtime, hook: str, what: str, body: str, *, strict: bool = True) -> str:
    """A whole script: its head defines those names that `body` uses; `what` is its comment.

    `strict`: it ends with the first command that fails.
    """
    folder = f"folder={sh(runtime.folder)}\n" if "$folder" in body or "${folder" in body else ""
    live = f"live={sh(runtime.live)}\n" if "$live" in body or "${live" in body else ""
    return f"""#!/bin/sh
# Made by reconciler; changes are overwritten.
# {what}
set -{"eu" if strict else "u"}
umask 022
jail={sh(runtime.name)}
{folder}{live}warn() {{ printf 'reconciler: %s: {hook}: %s\\n' "$jail" "$*" >&2; }}
fail() {{ warn "$*"; exit 1; }}
{body}"""
