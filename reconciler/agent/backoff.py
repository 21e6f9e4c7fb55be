"""How long to wait after failures. Pure: chance is an argument."""

from __future__ import annotations


def wait_after(failures: int, first: float, longest: float, chance: float) -> float:
    """Seconds until the next try after so many failures in a row: `first`, doubled each time, at most `longest`.

    `chance` (0 to 1) spreads it over the upper half, so that many who failed together do not return together.
    """
    if failures <= 0:
        return 0.0
    whole = min(longest, first * 2.0 ** min(failures - 1, 60))
    return whole * (0.5 + chance / 2)
