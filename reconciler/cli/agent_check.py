"""`reconcile agent --check`: every setting with where it comes from, and what to think of all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.agent.caution import absent, cautions
from reconciler.agent.settings import load_settings
from reconciler.cli import show
from reconciler.cli.paper import table
from reconciler.url import redact


def told(file: Path | None, flags: Mapping[str, str]) -> int:
    """Print the configuration; answers the exit status. Raises SpecError with everything that is wrong."""
    config, settings = load_settings(file, os.environ, flags)
    rows = [(one.name, _words(one.value), one.origin) for one in settings]
    print("\n".join(table([("SETTING", "VALUE", "FROM"), *rows])))
    show.show((*cautions(config), *absent(config)))
    return 0


def _words(value: Any) -> str:
    """A value as YAML would have it, without the password of a URL."""
    if isinstance(value, str):
        return redact(value) if value else '""'
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    return redact(json.dumps(value, ensure_ascii=False, default=str))
