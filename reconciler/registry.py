"""The one extension mechanism: what the modules of a folder offer, found by walking it."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any


def offered(package: ModuleType, attribute: str) -> dict[str, Any]:
    """`attribute` of every module in `package` that has it, by module name, in name order."""
    found: dict[str, Any] = {}
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        if hasattr(loaded, attribute):
            found[module.name] = getattr(loaded, attribute)
    return found
