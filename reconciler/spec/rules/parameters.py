"""parameters: names that jail(8) knows and no other field sets; values of their kind."""

from __future__ import annotations

from reconciler.spec.parameter import RESERVED, SETTABLE, free, negated, reserved
from reconciler.spec.suggest import did_you_mean, shorten
from reconciler.spec.view import Found, View, error, key_error

_INHERITABLE = frozenset({"linux", "sysvmsg", "sysvsem", "sysvshm"})
_NUMBERS = {
    "children.max": (0, 2**31 - 1),
    "enforce_statfs": (0, 2),
    "exec.fib": (0, 65535),
    "exec.timeout": (0, 86400),
    "host.hostid": (0, 2**64 - 1),
    "linux.oss_version": (0, 2**31 - 1),
    "securelevel": (-1, 3),
    "stop.timeout": (0, 86400),
}


def check(view: View) -> Found:
    """All rules about parameters."""
    for item in view.jails:
        for name, value in item.doc.parameters.items():
            path = ("parameters", name)
            instead = reserved(name)
            plain = negated(name)
            if instead is not None:
                detail = f"`{item.name}` sets the parameter `{name}`, which is not free to set."
                hint = f"Use {instead}." if not instead.startswith("nothing") else f"Remove it; {instead[9:]}."
                yield key_error(item, path, "reserved-parameter", "Parameter belongs to a field", detail, hint)
            elif plain is not None:
                detail = f"`{name}` is the short form of a false value."
                yield key_error(
                    item, path, "unknown-parameter", "Unknown jail parameter", detail, f"Write {plain}: false"
                )
            elif not free(name):
                detail = f"jail(8) has no parameter `{name}`."
                hint = did_you_mean(
                    name, sorted(SETTABLE | RESERVED.keys()), "See jail(8), or sysctl security.jail.param."
                )
                yield key_error(item, path, "unknown-parameter", "Unknown jail parameter", detail, hint)
            elif (wanted := _expected(name, value)) is not None:
                detail = f"`{name}` is {wanted}, not {shorten(value)}."
                yield error(item, path, "bad-value", "Value is not allowed", detail)


def _expected(name: str, value: str | int | bool) -> str | None:
    """What the value should be, where it is not."""
    if name.startswith("allow.") or name in ("ip4.saddrsel", "ip6.saddrsel", "zfs.mount_snapshot"):
        return None if isinstance(value, bool) or value in (0, 1) else "true or false"
    if name in _INHERITABLE:
        words = ("new", "inherit") if name == "linux" else ("new", "inherit", "disable")
        return None if value in words else ", ".join(words[:-1]) + " or " + words[-1]
    if name in _NUMBERS:
        low, high = _NUMBERS[name]
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if fits else f"a whole number from {low} to {high}"
    text = str(value)
    fine = not isinstance(value, bool) and text.isprintable() and 0 < len(text) <= 1024
    return None if fine else "text of at most 1024 printable characters"


CHECK = check
