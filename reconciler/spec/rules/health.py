"""healthcheck: on jails that run."""

from __future__ import annotations

from reconciler.spec.view import Found, View, warning


def check(view: View) -> Found:
    """Warn of checks that never run."""
    for item in view.jails:
        if item.doc.healthcheck is not None and item.doc.state == "stopped":
            detail = f"`{item.name}` is kept stopped ({item.place(('state',))}), so its health check never runs."
            hint = "Remove it, or let the jail run."
            yield warning(item, ("healthcheck",), "healthcheck-unused", "Health check never runs", detail, hint)


CHECK = check
