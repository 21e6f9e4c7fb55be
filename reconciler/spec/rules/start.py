"""What a start sets: no file both left alone and written, no processors in reverse, no root forgotten and copied."""

from __future__ import annotations

from reconciler.spec.view import Found, View, error


def _files(view: View) -> Found:
    for item in view.jails:
        said = {"resolv.conf": ("network", "resolver"), "localtime": ("timezone",)}
        for name in item.doc.unmanaged:
            field, value = said[name], item.raw
            for key in field:
                value = value.get(key) or {}
            if value:
                detail = f"`{item.name}` leaves /etc/{name} as its root has it, and says what to write there."
                hint = f"Leave out `{field[-1]}:`, or take {name} out of `unmanaged:`."
                summary = "A file is left alone and written"
                yield error(item, field, "unmanaged-and-set", summary, detail, hint)


def _processors(view: View) -> Found:
    for item in view.jails:
        for part in (item.doc.cpuset or "").split(","):
            first, dash, last = part.partition("-")
            if dash and int(first) > int(last):
                detail, hint = f"`{item.name}`: {part} ends before it begins.", f"Write {last}-{first}."
                yield error(item, ("cpuset",), "cpuset-range", "Processors in reverse", detail, hint)


def _ephemeral(view: View) -> Found:
    for item in view.jails:
        if item.doc.ephemeral and item.doc.update.strategy == "in_place":
            detail = f"`{item.name}` forgets what its root holds at each start, and copies it into the next root."
            hint = "Leave out `ephemeral: true`, or `strategy: in_place`."
            yield error(item, ("ephemeral",), "ephemeral-in-place", "A root is forgotten and copied", detail, hint)


def check(view: View) -> Found:
    """All rules about what a start sets."""
    for rule in (_files, _processors, _ephemeral):
        yield from rule(view)


CHECK = check
