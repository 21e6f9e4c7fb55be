"""Lays a Makejail out evenly without changing what it means: the logical lines stay the same, letter by letter.

Indentation goes, continued pieces are indented by four spaces, runs of blank lines become one, CRLF becomes
LF. Comments stay where they are. Spaces at the end of an instruction are data and stay; text after the
last newline is lost to the language, and is left as it stands.
"""

from __future__ import annotations

import re

from reconciler.makejail.lines import SPACES

INDENT = "    "
_END = re.compile(r"\\ +\Z")
_JOINS = re.compile(r"(?<!\\)\\\Z")


def format_text(text: str) -> str:
    """Return the text laid out evenly; formatting the result changes nothing."""
    *physical, tail = text.split("\n")
    found: list[str] = []
    continued = False
    for raw in physical:
        line = raw.removesuffix("\r")
        shown = line.strip(SPACES)
        if not shown:
            if found and found[-1] and not continued:
                found.append("")
        elif shown.startswith("#"):
            found.append((INDENT if continued else "") + shown)
        else:
            # A second CR is data, and the language takes one away.
            body = _END.sub(r"\\", line.lstrip(" \t")) + ("\r" if line.endswith("\r") else "")
            found.append((INDENT if continued else "") + body)
            continued = bool(_JOINS.search(body))
    kept = tail if tail.strip(SPACES) else ""
    while found and not found[-1] and not kept:
        found.pop()
    return "".join(f"{line}\n" for line in found) + kept
