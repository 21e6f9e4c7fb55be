"""What is legal and rarely meant."""

from __future__ import annotations

from reconciler.makejail.compile import Compiled
from reconciler.makejail.include import Flat
from reconciler.makejail.macros import Expanded
from reconciler.model.diagnostic import Diagnostic


def lint(flat: Flat, expanded: Expanded, compiled: Compiled) -> tuple[Diagnostic, ...]:
    """Everything found."""
    return flat.warnings
