"""The text that libxo(3) writes for `--libxo json`: its own spacing, which no JSON encoder has."""

from __future__ import annotations

import json
from typing import Any


def document(tree: dict[str, Any], *, pretty: bool) -> str:
    """A whole answer with libxo's version mark in front."""
    if pretty:
        return '{\n  "__version": "2", \n' + _members_pretty(tree, 1) + "\n}\n"
    return '{"__version": "2", ' + _members(tree).lstrip() + "}\n"


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _members(tree: dict[str, Any]) -> str:
    parts = []
    for key, value in tree.items():
        if isinstance(value, dict):
            parts.append(f' "{key}": {{{_members(value).lstrip()}}}')
        elif isinstance(value, list):
            items = [f"{{{_members(item).lstrip()}}}" for item in value if isinstance(item, dict)]
            joined = ", ".join(items) if items else ",".join(_scalar(item) for item in value)
            parts.append(f' "{key}": [{joined}]')
        else:
            parts.append(f'"{key}":{_scalar(value)}')
    return ",".join(parts)


def _members_pretty(tree: dict[str, Any], depth: int) -> str:
    pad = "  " * depth
    parts = []
    for key, value in tree.items():
        if isinstance(value, dict):
            parts.append(f'{pad}"{key}": {{\n{_members_pretty(value, depth + 1)}\n{pad}}}')
        elif isinstance(value, list):
            items = [
                f"{pad}  {{\n{_members_pretty(item, depth + 2)}\n{pad}  }}"
                if isinstance(item, dict)
                else f"{pad}  {_scalar(item)}"
                for item in value
            ]
            body = ",\n".join(items) + "\n" if items else ""
            parts.append(f'{pad}"{key}": [\n{body}{pad}]')
        else:
            parts.append(f'{pad}"{key}": {_scalar(value)}')
    return ",\n".join(parts)
