"""What `ssh://[user@]host[:port][?option=value]` means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from reconciler.model.diagnostic import Diagnostic, SpecError

_SSH = ("IdentityFile", "ConnectTimeout", "StrictHostKeyChecking", "UserKnownHostsFile")
_OPTIONS = ("path", "become", *_SSH)
_BECOME = ("doas", "sudo")
# What a ProxyCommand or Match exec of the user's ssh_config may put into a shell (%h, %r) means nothing there.
_HOST = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]{0,254}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,254}")
_RULES = {
    "doas": "permit nopass {user} as root in /usr/local/etc/doas.conf",
    "sudo": "{user} ALL=(root) NOPASSWD: ALL in /usr/local/etc/sudoers (visudo)",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where `ssh://[user@]host[:port][?option=value]` leads.

    Options are those of ssh_config(5) by name: IdentityFile, ConnectTimeout, StrictHostKeyChecking,
    UserKnownHostsFile. `path` names folders of the host to search before the system's, separated by colons; `become`
    is what makes the user root there: doas or sudo, without asking for a password.
    """

    host: str
    user: str = ""
    port: int = 0
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, url: str) -> Target:
        """Read a URL. Raises SpecError (code `host-url-invalid`)."""
        hint = "Write ssh://[user@]host[:port]. What else ssh needs to know belongs into ~/.ssh/config."
        try:
            parts = urlsplit(url)
            host, user, port = parts.hostname or "", unquote(parts.username or ""), parts.port or 0
            options = tuple(parse_qsl(parts.query, strict_parsing=True)) if parts.query else ()
        except ValueError as error:
            host, user, port, options = "", "", 0, ()
            hint = f"{hint} ({error})"
        unknown = [name for name, _ in options if name not in _OPTIONS]
        plain = bool(_HOST.fullmatch(host)) and (not user or bool(_USER.fullmatch(user)))
        plain = plain and all(value.isprintable() for _, value in options)
        become = dict(options).get("become", _BECOME[0])
        if become not in _BECOME:
            plain, hint = False, f"{hint} become is one of {', '.join(_BECOME)}."
        if not plain or unknown or parts.password or parts.path.strip("/"):
            detail = f"{url!r} names no host that ssh can reach" + (f": unknown option {unknown[0]}" if unknown else "")
            raise SpecError(Diagnostic("host-url-invalid", "A host's address is not understood", detail, hint))
        return cls(host, user, port, options)

    def arguments(self) -> tuple[str, ...]:
        """The arguments of ssh(1) that lead there, its name last."""
        named = [f"-o{name}={value}" for name, value in self.options if name in _SSH]
        user = ("-l", self.user) if self.user else ()
        port = ("-p", str(self.port)) if self.port else ()
        return (*named, *user, *port, "--", self.host)

    @property
    def become(self) -> str:
        """The program that makes the user root on the host, "" for none."""
        return dict(self.options).get("become", "")

    def refused(self, said: str) -> Diagnostic:
        """That the host does not let the user become root (code `become-refused`)."""
        user = self.user or "USER"
        return Diagnostic(
            "become-refused",
            "A user may not become root on a host",
            f"{self.become} on {self.host}: {said.strip()}",
            f"On the host, as root: {_RULES[self.become].format(user=user)}. "
            f"Then by hand: ssh {user}@{self.host} {self.become} -n true",
        )
