"""secrets: one source each, on a tmpfs that hides nothing of the system."""

from __future__ import annotations

import posixpath

from reconciler.spec.document import Jail
from reconciler.spec.specset import Sourced
from reconciler.spec.view import Claim, Found, View, error, rivals

# The folder of a secret becomes a tmpfs. Over one of these it would hide what the jail needs.
_FOLDERS = """
/ /bin /boot /dev /etc /lib /libexec /media /mnt /net /proc /rescue /root /sbin /sys /tmp /usr /var /home
/etc/rc.d /etc/ssh /etc/pam.d /etc/ssl /etc/defaults /etc/periodic /etc/security /etc/mail /etc/pkg
/usr/bin /usr/lib /usr/libexec /usr/sbin /usr/share /usr/include /usr/home /usr/libdata /usr/local
/usr/local/bin /usr/local/etc /usr/local/lib /usr/local/libexec /usr/local/sbin /usr/local/share
/usr/local/etc/rc.d /usr/local/www /usr/local/etc/pkg
/var/cache /var/cron /var/db /var/log /var/mail /var/run /var/spool /var/tmp /var/db/pkg /var/at
"""
_SYSTEM = frozenset(_FOLDERS.split())


def check(view: View) -> Found:
    """All rules about secrets."""
    for item in view.jails:
        secrets = item.doc.secrets
        for number, secret in enumerate(secrets):
            yield from _source(item, number)
            yield from _folder(item, number, posixpath.dirname(secret.path) or "/")
        for key, what in (("name", "name"), ("path", "file")):
            claims = [
                (getattr(secret, key), Claim(item, ("secrets", n, key), secret.name))
                for n, secret in enumerate(secrets)
            ]
            for value, first, again in rivals(claims):
                detail = (
                    f"Two secrets of `{item.name}` have the {what} `{value}`; the first is at {first.span}."
                )
                yield error(
                    again.item, again.path, "duplicate-name", "Name is taken", detail, "Give each its own."
                )


def _source(item: Sourced[Jail], number: int) -> Found:
    secret = item.doc.secrets[number]
    if (secret.source.file is None) == (secret.source.command is None):
        given = "neither `file` nor `command`" if secret.source.file is None else "both `file` and `command`"
        detail = f"The secret `{secret.name}` has {given}."
        hint = "Write one: from: {file: /path/on/the/host}, or from: {command: [program, argument]}"
        yield error(
            item, ("secrets", number, "from"), "secret-source", "Secret needs one source", detail, hint
        )


def _folder(item: Sourced[Jail], number: int, folder: str) -> Found:
    secret = item.doc.secrets[number]
    path = ("secrets", number, "path")
    hint = f"Give secrets a folder of their own: /var/run/secrets/{secret.name}"
    if folder in _SYSTEM:
        detail = (
            f"The folder of `{secret.path}` becomes a tmpfs, which would hide what the jail has in {folder}."
        )
        yield error(item, path, "secret-path", "Secret's folder is in use", detail, hint)
        return
    places = [(volume.mountpoint, ("volumes", n)) for n, volume in enumerate(item.doc.volumes)]
    places += [(mount.mountpoint, ("mounts", n)) for n, mount in enumerate(item.doc.mounts)]
    for mountpoint, where in places:
        if mountpoint == folder or mountpoint.startswith(folder + "/"):
            detail = (
                f"The folder of `{secret.path}` becomes a tmpfs, and {item.place(where)} mounts {mountpoint}."
            )
            yield error(item, path, "secret-path", "Secret's folder is in use", detail, hint)
            return


CHECK = check
