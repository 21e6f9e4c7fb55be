"""URLs: which stay on this machine, and how to show one without what it keeps secret. Pure."""

from __future__ import annotations

import ipaddress
import re

_USERINFO = re.compile(r"(?<=//)[^/?#]*@")


def is_loopback(host: str) -> bool:
    """Whether a host of a URL can only be this machine: 127.0.0.0/8, ::1 or `localhost`.

    Nothing is resolved: a name that happens to resolve to 127.0.0.1 may resolve otherwise later.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def redact(url: str) -> str:
    """The URL without user name and password, for diagnostics and logs."""
    return _USERINFO.sub("", url)
