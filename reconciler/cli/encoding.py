"""Output that every locale can show: a character that a terminal or a log has no code for becomes plain ones."""

from __future__ import annotations

import codecs
import io
from typing import TextIO

PLAIN = {"\u2192": "->", "\u2190": "<-", "\u2026": "...", "\u2014": "-", "\u00ab": "<", "\u00bb": ">"}
"""What stands for signs of ours where a locale such as ISO8859-1 has none."""
_NAME = "reconciler-plain"


def never_refuse(*streams: TextIO) -> None:
    """Have these streams write what their encoding lacks as PLAIN says, or as Python would escape it.

    Otherwise a run under LANG=de_DE.ISO8859-1 ends at the first arrow of its own plan.
    """
    codecs.register_error(_NAME, _plain)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode() for char in text), error.end
