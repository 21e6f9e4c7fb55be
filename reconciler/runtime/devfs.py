"""A jail's own devfs ruleset: the system's for jails, then the rules of the spec.

A ruleset that does not exist, or has no rules, shows *every* device. `include` reaches one level
deep (vfs.devfs.rule_depth is 1), so what the system's ruleset includes is included again by number,
as /etc/defaults/devfs.rules does itself.
"""

from __future__ import annotations

import re
import shlex

from reconciler.runtime.runtime import Runtime
from reconciler.spec.document import Jail

SYSTEM = 4
SYSTEM_VNET = 5
_WORD = re.compile(r"^[^\s'\"\\$`]+$")
_CONDITIONS = frozenset({"path", "type"})
_TYPES = frozenset({"disk", "mem", "tape", "tty"})
_ACTIONS = {"hide": 0, "unhide": 0, "group": 1, "user": 1, "mode": 1, "include": 1}


def rule_words(rule: str) -> tuple[str, ...]:
    """The words of one rule, quotes removed; ValueError says what is wrong with it (devfs(8))."""
    parts = shlex.split(rule)
    if parts and parts[0] == "add":
        parts = parts[1:]
    if not parts:
        raise ValueError("the rule is empty")
    if bad := [part for part in parts if not _WORD.match(part)]:
        raise ValueError(f"{bad[0]!r} cannot be passed to devfs(8)")
    rest, acts = list(parts), 0
    while rest:
        word = rest.pop(0)
        if word in _ACTIONS:
            acts += 1
        elif word in _CONDITIONS and acts:
            raise ValueError(f"{word!r} comes after an action; devfs(8) wants the conditions first")
        needed = 1 if word in _CONDITIONS else _ACTIONS.get(word)
        if needed is None:
            raise ValueError(f"{word!r} is neither a condition nor an action of devfs(8)")
        if len(rest) < needed:
            raise ValueError(f"{word!r} needs a value")
        if word == "type" and rest[0] not in _TYPES:
            raise ValueError(f"{rest[0]!r} is no type that devfs(8) knows: {', '.join(sorted(_TYPES))}")
        del rest[:needed]
    if not acts:
        raise ValueError("the rule has no action: hide, unhide, group, user, mode or include")
    return tuple(parts)


def ruleset(jail: Jail, own: int) -> int:
    """The number of a jail's ruleset: `own` where it has rules of its own (else 0), the one it names, the system's."""
    return own or jail.devfs_ruleset or (SYSTEM_VNET if jail.network.vnet else SYSTEM)


def rules(runtime: Runtime) -> str:
    """devfs.rules of the jail, one rule a line as `devfs rule add` takes it; empty without own rules."""
    if not runtime.jail.devfs:
        return ""
    included = [1, 2, 3, SYSTEM, *([SYSTEM_VNET] if runtime.vnet else [])]
    lines = [f"include {number}" for number in included]
    lines += [" ".join(rule_words(rule)) for rule in runtime.jail.devfs]
    return "".join(f"{line}\n" for line in lines)
