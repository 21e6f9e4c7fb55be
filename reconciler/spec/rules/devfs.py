"""devfs: rules as devfs(8) reads them, without what would reach into another ruleset."""

from __future__ import annotations

import re
import shlex

from reconciler.spec.suggest import did_you_mean, shorten
from reconciler.spec.view import Found, View, error

_WORDS = ("path", "type", "hide", "unhide", "group", "user", "mode", "include")
_TYPES = ("disk", "mem", "tape", "tty")
_VALUES = {
    "mode": (re.compile(r"0?[0-7]{3,4}\Z"), "an octal mode such as 0660"),
    "user": (re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\Z"), "a user"),
    "group": (re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\Z"), "a group"),
    "include": (re.compile(r"[1-9][0-9]{0,4}\Z"), "the number of a ruleset"),
}


def check(view: View) -> Found:
    """All rules about devfs rules."""
    for item in view.jails:
        if item.doc.devfs and item.doc.devfs_ruleset is not None:
            number = item.doc.devfs_ruleset
            detail = f"`{item.name}` names the ruleset {number} and has rules of its own, which make another one."
            hint = f"Add those rules to the ruleset {number} in /etc/devfs.rules, or leave out `devfs_ruleset:`."
            yield error(item, ("devfs_ruleset",), "devfs-both", "Two devfs rulesets for one jail", detail, hint)
        for number, rule in enumerate(item.doc.devfs):
            problem = _wrong(rule)
            if problem is not None:
                detail, hint = problem
                yield error(item, ("devfs", number), "devfs-rule", "devfs rule cannot be read", detail, hint)


def _wrong(rule: str) -> tuple[str, str] | None:
    """What is wrong with a rule, and what to do; None when nothing is."""
    usual = "A rule reads like: path 'bpf*' unhide"
    if not rule.isprintable():
        return f"{shorten(rule)} holds a line break or control character.", "Write one rule per list item."
    try:
        words = shlex.split(rule)
    except ValueError as error_:
        return f"{shorten(rule)}: {str(error_).lower()}.", "Close the quotation mark."
    if words[:1] == ["add"]:
        return f"{shorten(rule)} begins with `add`.", f"Leave `add` out: {rule.strip()[4:].strip()}"
    acts = 0
    rest = iter(words)
    for word in rest:
        if word not in _WORDS:
            return f"{shorten(rule)}: devfs(8) does not know `{word}`.", did_you_mean(word, _WORDS, usual)
        if word in ("hide", "unhide"):
            acts += 1
            continue
        value = next(rest, None)
        if value is None:
            return f"{shorten(rule)}: nothing follows `{word}`.", usual
        if word == "type" and value not in _TYPES:
            return f"{shorten(rule)}: there is no device type `{value}`.", did_you_mean(
                value, _TYPES, ", ".join(_TYPES)
            )
        if word in _VALUES and not _VALUES[word][0].match(value):
            return f"{shorten(rule)}: `{value}` is not {_VALUES[word][1]}.", usual
        acts += word in _VALUES
    return None if acts else (f"{shorten(rule)} does nothing.", usual)


CHECK = check
