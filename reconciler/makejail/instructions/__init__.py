"""The instructions, one file each, named as the user types them in small letters.

A file offers `INSTRUCTION`; dropping a file in here is all it takes to add one.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from reconciler.makejail.step import Instruction


@cache
def instructions() -> dict[str, Instruction]:
    """Every instruction found in this folder, by name."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        instruction: Instruction = importlib.import_module(f"{__name__}.{module.name}").INSTRUCTION
        found[instruction.name] = instruction
    return found
