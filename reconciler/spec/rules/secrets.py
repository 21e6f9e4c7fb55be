"""secrets: one source each, on a tmpfs that nothing is mounted over."""

from __future__ import annotations

from reconciler.spec.document import Jail
from reconciler.spec.specset import Sourced
from reconciler.spec.view import Claim, Found, View, error, rivals

# Secrets lie on a tmpfs here; one with another path is a link to it.
TMPFS = "/run/secrets"


def check(view: View) -> Found:
    """All rules about secrets."""
    for item in view.jails:
        secrets = item.doc.secrets
        for number in range(len(secrets)):
            yield from _source(item, number)
        if secrets:
            yield from _mounted(item)
        for key, what in (("name", "name"), ("path", "file")):
            claims = [
                (getattr(secret, key), Claim(item, ("secrets", n, key), secret.name))
                for n, secret in enumerate(secrets)
            ]
            for value, first, again in rivals(claims):
                detail = f"Two secrets of `{item.name}` have the {what} `{value}`; the first is at {first.span}."
                yield error(again.item, again.path, "duplicate-name", "Name is taken", detail, "Give each its own.")


def _source(item: Sourced[Jail], number: int) -> Found:
    secret = item.doc.secrets[number]
    source, path, summary = secret.source, ("secrets", number, "from"), "Secret needs one source"
    if (source.file is None) == (source.command is None):
        given = "neither `file` nor `command`" if source.file is None else "both `file` and `command`"
        detail = f"The secret `{secret.name}` has {given}."
        hint = "Write one: from: {file: /path/on/the/host}, or from: {command: [program, argument]}"
        yield error(item, path, "secret-source", summary, detail, hint)
    elif source.command is not None and not source.command[0].startswith("/"):
        detail = f"`{source.command[0]}` may not be found when the host boots: its environment is another one."
        hint = f"Write the absolute path, such as /usr/local/bin/{source.command[0]}."
        yield error(item, (*path, "command", 0), "secret-command-path", "Secret's command is relative", detail, hint)


def _mounted(item: Sourced[Jail]) -> Found:
    """Nothing else may be mounted on a secret, or on the tmpfs that holds it."""
    taken = {TMPFS: "the tmpfs of its secrets"}
    taken |= {secret.path: f"the secret `{secret.name}`" for secret in item.doc.secrets}
    places = [(volume.mountpoint, ("volumes", n, "mountpoint")) for n, volume in enumerate(item.doc.volumes)]
    places += [(mount.mountpoint, ("mounts", n, "mountpoint")) for n, mount in enumerate(item.doc.mounts)]
    for mountpoint, path in places:
        held = next((where for where in taken if where == mountpoint or where.startswith(mountpoint + "/")), None)
        if held is not None and (held in (mountpoint, TMPFS) or mountpoint.startswith(TMPFS)):
            detail = f"`{mountpoint}` in `{item.name}` would hide {taken[held]} at {held}."
            yield error(item, path, "mountpoint-taken", "Mount point is taken", detail, "Mount it elsewhere.")


CHECK = check
