"""limits: resources and actions of rctl(8), in combinations that the kernel takes."""

from __future__ import annotations

import re

from reconciler.spec.document import Jail
from reconciler.spec.fields import parse_size
from reconciler.spec.specset import Sourced
from reconciler.spec.suggest import did_you_mean, shorten
from reconciler.spec.view import Found, View, error, key_error

_BYTES = "datasize stacksize coredumpsize memoryuse memorylocked vmemoryuse swapuse msgqsize shmsize readbps writebps"
_COUNTS = (
    "cputime maxproc openfiles pseudoterminals nthr msgqqueued nmsgq nsem nsemop nshm wallclock pcpu readiops writeiops"
)
BYTES = frozenset(_BYTES.split())
COUNTS = frozenset(_COUNTS.split())
RESOURCES = BYTES | COUNTS
IO = frozenset({"readbps", "writebps", "readiops", "writeiops"})
NO_DENY = IO | {"cputime", "wallclock"}
_SIGNALS = "hup int quit ill trap abrt emt fpe kill bus segv sys pipe alrm term urg stop tstp cont chld usr1 usr2"
SIGNALS = frozenset(f"sig{name}" for name in (_SIGNALS + " ttin ttou io xcpu xfsz vtalrm prof winch info thr").split())
ACTIONS = frozenset({"deny", "log", "devctl", "throttle"}) | SIGNALS
PER = frozenset({"process", "user", "loginclass", "jail"})


def check(view: View) -> Found:
    """All rules about limits."""
    for item in view.jails:
        for key, value in item.doc.limits.items():
            yield from _one(item, key, value)


def _one(item: Sourced[Jail], key: str, value: str | int) -> Found:
    path = ("limits", key)
    resource, colon, action = key.partition(":")
    unknown = _unknown(resource, action if colon else "deny")
    if unknown is not None:
        yield key_error(item, path, "unknown-limit", "Unknown resource or action", *unknown)
        return
    unfit = _unfit(resource, action if colon else "deny", value)
    if unfit is not None:
        yield key_error(item, path, "limit-action", "Action does not fit the resource", *unfit)
    wanted = _amount(resource, value)
    if wanted is not None:
        detail = f"The amount of `{key}` must be {wanted}, not {shorten(value)}."
        yield error(item, path, "bad-value", "Value is not allowed", detail)


def _unknown(resource: str, action: str) -> tuple[str, str] | None:
    """Detail and hint where rctl(8) does not have the word."""
    if resource not in RESOURCES:
        hint = did_you_mean(
            resource, sorted(RESOURCES), f"The resources of rctl(8) are: {', '.join(sorted(RESOURCES))}."
        )
        return f"rctl(8) has no resource `{resource}`.", hint
    if action not in ACTIONS:
        usual = "The actions are deny, log, devctl, throttle, and signals such as sigterm."
        return f"rctl(8) has no action `{action}`.", did_you_mean(action, sorted(ACTIONS), usual)
    return None


def _unfit(resource: str, action: str, value: str | int) -> tuple[str, str] | None:
    """Detail and hint where the kernel refuses the pair."""
    if action == "deny" and resource in NO_DENY:
        other = "throttle" if resource in IO else "log"
        return f"The kernel cannot deny `{resource}`.", f'Write "{resource}:{other}": {value}'
    if action == "throttle" and resource not in IO:
        detail = f"The kernel can throttle {', '.join(sorted(IO))} only, not `{resource}`."
        return detail, f"Write {resource}: {value}"
    return None


def _amount(resource: str, value: str | int) -> str | None:
    """What the amount should be, where it is not."""
    amount, slash, per = str(value).partition("/")
    if slash and per not in PER:
        return "followed by /process, /user, /loginclass or /jail"
    if resource in BYTES:
        # rctl(8) gets it as it stands, where a size of other fields is read and written anew.
        if not re.fullmatch(r"[0-9]{1,18}[kmgt]?", amount, re.IGNORECASE):
            return "a size such as 512M"
        try:
            parse_size(amount)
        except ValueError:
            return "a size such as 512M"
        return None
    if not re.fullmatch(r"[0-9]{1,18}[kmg]?", amount, re.IGNORECASE):
        return "a whole number"
    return None


CHECK = check
