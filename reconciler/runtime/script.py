"""What all hook scripts begin with: strictness, names, messages that say what failed.

Programs are called by absolute path: at boot, jail(8) runs hooks with whatever PATH rc(8) has.
"""

from __future__ import annotations

from reconciler.runtime.quote import sh
from reconciler.runtime.runtime import Runtime


def begin(runtime: Runtime, hook: str, what: str) -> str:
    """The head of a script; `what` is one or more comment lines' text."""
    comment = "".join(f"# {line}\n" for line in what.strip().splitlines())
    return f"""#!/bin/sh
# Made by reconciler; changes are overwritten.
{comment}set -eu
umask 022
jail={sh(runtime.name)}
folder={sh(runtime.folder)}
live={sh(runtime.live)}
warn() {{ printf 'reconciler: %s: {hook}: %s\\n' "$jail" "$*" >&2; }}
fail() {{ warn "$*"; exit 1; }}
"""


def finish(text: str) -> str:
    """The script without the definitions of its head that it does not use."""
    for name in ("folder", "live"):
        if f"${name}" not in text and f"${{{name}" not in text:
            start = text.find(f"\n{name}=") + 1
            if start:
                text = text[:start] + text[text.index("\n", start) + 1 :]
    return text
