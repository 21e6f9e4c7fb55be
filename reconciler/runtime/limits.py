"""rctl(8) rules of a jail. They are keyed by the jail's name and outlive the jail."""

from __future__ import annotations

import re

THROTTLED = frozenset({"readbps", "writebps", "readiops", "writeiops"})
COUNTED = frozenset({"cputime", "wallclock"})
_DENIED = frozenset(
    {
        "datasize",
        "stacksize",
        "coredumpsize",
        "memoryuse",
        "memorylocked",
        "maxproc",
        "openfiles",
        "vmemoryuse",
        "pseudoterminals",
        "swapuse",
        "nthr",
        "msgqqueued",
        "msgqsize",
        "nmsgq",
        "nsem",
        "nsemop",
        "nshm",
        "shmsize",
        "pcpu",
    }
)
RESOURCES = THROTTLED | COUNTED | _DENIED
_ACTION = re.compile(r"^(deny|log|devctl|throttle|sig[a-z0-9+]{1,10})\Z")
_AMOUNT = re.compile(r"[0-9]+[kmgtpe]?(/(jail|user|process|loginclass))?\Z", re.IGNORECASE)


def rule(jail: str, limit: str, amount: str | int) -> str:
    """`memoryuse: 512M` -> jail:NAME:memoryuse:deny=512M; ValueError says what rctl(8) would refuse."""
    resource, colon, action = limit.partition(":")
    if resource not in RESOURCES:
        raise ValueError(f"rctl(8) has no resource {resource!r}")
    if not colon:
        action = "throttle" if resource in THROTTLED else "deny"
    if not _ACTION.match(action):
        raise ValueError(f"rctl(8) has no action {action!r}")
    if action == "deny" and resource in COUNTED | THROTTLED:
        raise ValueError(f"rctl(8) cannot deny {resource}; name an action, such as {resource}:log")
    if action == "throttle" and resource not in THROTTLED:
        raise ValueError(f"rctl(8) can throttle only {', '.join(sorted(THROTTLED))}")
    if isinstance(amount, bool) or not _AMOUNT.match(str(amount)):
        raise ValueError(f"expected an amount such as 512M or 100/user, not {amount!r}")
    return f"jail:{jail}:{resource}:{action}={amount}"


def rules(jail: str, limits: dict[str, str | int]) -> tuple[str, ...]:
    """All rules of a jail, sorted by limit."""
    return tuple(rule(jail, limit, limits[limit]) for limit in sorted(limits))
