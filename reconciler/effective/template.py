"""Parameters of jail(8): an AppJail template's lines, and SET, which edits one; into `parameters` and other fields.

A line is `[*]key[+]: value` or `[*]key`, with `*` for a value that must be given before a start; a value is split
into words like an instruction. Source: appjail-template(5).
"""

from __future__ import annotations

import re

from reconciler.effective.part import Found, Part, ignored, incomplete, said_by
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.tokens import words
from reconciler.makejail.wishes import Wish
from reconciler.model.diagnostic import Span
from reconciler.spec.parameter import free, negated

_LINE = re.compile(r"(?P<star>\*?)(?P<key>\$\{[^}]+\}|\$?[A-Za-z0-9_.-]+)(?P<plus>\+?)(?::(?P<value>.*))?\Z")
_NUMBER = re.compile(r"-?[0-9]{1,18}\Z")
SO_ANYWAY = {
    "exec.start": "/bin/sh /etc/rc",
    "exec.stop": "/bin/sh /etc/rc.shutdown jail",
    "mount.devfs": "",
    "exec.clean": "",
    "persist": "",
}
"""What every jail has here; `exec.stop` without `jail` is the same."""
_MOUNTS = {
    "mount.fdescfs": ("/dev/fd", {"device": "fdescfs", "type": "fdescfs", "options": "rw"}),
    "mount.procfs": ("/proc", {"device": "procfs", "type": "procfs", "options": "rw"}),
}
"""Parameters that stand for a mount."""
SYSTEM = (4, 5)
"""The rulesets for jails of /etc/defaults/devfs.rules, one of which a jail has in any case."""
_FIELDS = {"host.hostname": "hostname", "depend": "depends_on"}


def template_parts(text: str, wish: Wish) -> Found:
    """The parameters of a template."""
    rows: dict[str, list[str]] = {}
    found: Found = []
    for line in text.splitlines():
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        read = _LINE.match(plain)
        if read is None:
            found.append(incomplete(wish, f"{plain!r} of {wish.value} is no line of a template."))
            continue
        if read["star"] and not (read["value"] or "").strip():
            found.append(incomplete(wish, f"{wish.value} wants a value for {read['key']}."))
            continue
        try:
            row = words((read["value"] or "").strip(), wish.span) if read["value"] is not None else []
        except MakejailError:
            found.append(incomplete(wish, f"{plain!r} of {wish.value} cannot be split into words."))
            continue
        rows.setdefault(read["key"], []).extend(row)
    for key, values in rows.items():
        parts = parameter_parts(key, values, wish.span, said_by(wish))
        found += [ignored(wish, key)] if parts is None else parts
    return found


def parameter_parts(key: str, values: list[str], span: Span, by: str) -> Found | None:
    """What a parameter of jail(8) says of the document; None where no field of it holds that."""
    text = ",".join(values)
    if key in SO_ANYWAY and text in (SO_ANYWAY[key], SO_ANYWAY[key].removesuffix(" jail")):
        return []
    if key == "devfs_ruleset" and _NUMBER.match(text):
        return ruleset_parts(int(text), span, by)
    if key in _MOUNTS and text in ("", "true"):
        return [Part(("mounts", _MOUNTS[key][0], name), value, span, by) for name, value in _MOUNTS[key][1].items()]
    field = _FIELDS.get(key)
    if field == "depends_on":
        return [Part((field,), value, span, by, append=True) for value in values]
    if field is not None:
        return [Part((field,), text, span, by)]
    plain = negated(key)
    if plain is not None and not values and free(plain):
        return [Part(("parameters", plain), False, span, by)]
    if not free(key) or (key.startswith("exec.") and len(values) > 1):
        return None
    return [Part(("parameters", key), _value(text, given=bool(values)), span, by)]


def ruleset_parts(number: int, span: Span, by: str) -> Found:
    """The devfs(8) ruleset that a jail is to have, as far as it would not have it anyway."""
    return [] if number in SYSTEM else [Part(("devfs_ruleset",), number, span, by)]


def _value(text: str, *, given: bool) -> str | int | bool:
    """As the spec would write it: a parameter without a value is true, numbers are numbers."""
    if not given or text in ("true", "false"):
        return not given or text == "true"
    return int(text) if _NUMBER.match(text) else text
