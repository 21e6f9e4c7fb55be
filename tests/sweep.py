"""How densely the slow flows try every call of something: all of them with EVERY=1, else one of so many."""

from __future__ import annotations

import os

EVERY = int(os.environ.get("EVERY", "7"))
"""Of so many calls in a row, one is tried. It has no divisor in common with the usual pairs and triples of calls."""
