"""What a jail is called on the host: interfaces, MAC addresses, host uuid, devfs ruleset.

All are derived from the host's id and the jail's name, so that they are the same after a reboot and
on every run, and differ between hosts that share a segment. Derived names can collide: `collisions`
finds that before anything is made.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

RULESETS = range(40000, 60000)
"""devfs rulesets of jails with rules of their own; devfs(8) numbers are 16 bits, the system's are below 100."""


@dataclass(frozen=True)
class Names:
    """Names of one jail on the host whose kern.hostuuid is `hostid`; made when asked for, as few jails have them all.

    Interfaces have at most 15 characters and end in a digit: pf(4) takes others for interface groups.
    MAC addresses are locally administered, unicast.
    """

    hostid: str
    jail: str

    @property
    def outer(self) -> str:
        """The end of its epair that stays on the host."""
        return f"{self._stem}0"

    @property
    def inner(self) -> str:
        """The end of its epair that goes into the jail."""
        return f"{self._stem}1"

    @cached_property
    def _stem(self) -> str:
        slug = "".join(character for character in self.jail if character.isalnum())[:6]
        mark = base64.b32encode(_digest(self.hostid, self.jail, "interface"))[:7].decode().lower()
        return f"{slug}_{mark}"

    @property
    def outer_mac(self) -> str:
        """The MAC address of `outer`."""
        return _mac(_digest(self.hostid, self.jail, "outer"))

    @property
    def inner_mac(self) -> str:
        """The MAC address of `inner`."""
        return _mac(_digest(self.hostid, self.jail, "inner"))

    @cached_property
    def hostuuid(self) -> str:
        """The host.hostuuid of the jail."""
        return _uuid(_digest(self.hostid, self.jail, "hostuuid"))


def _digest(hostid: str, jail: str, purpose: str) -> bytes:
    return hashlib.sha256(f"reconciler\0{hostid}\0{jail}\0{purpose}".encode()).digest()


def _mac(digest: bytes) -> str:
    octets = bytes([(digest[0] | 0x02) & 0xFE]) + digest[1:6]
    return ":".join(f"{octet:02x}" for octet in octets)


def _uuid(digest: bytes) -> str:
    # Version 8 of RFC 9562: content of our own making.
    octets = bytearray(digest[:16])
    octets[6] = octets[6] & 0x0F | 0x80
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@lru_cache(maxsize=64)  # several files of one jail ask, one after the other
def names(hostid: str, jail: str) -> Names:
    """The names of a jail on the host whose kern.hostuuid is `hostid`."""
    return Names(hostid, jail)


def collisions(all_names: Mapping[str, Names]) -> tuple[tuple[str, str, str], ...]:
    """Pairs of jails that share a derived name, as (jail, jail, the name); empty nearly always."""
    owners: dict[str, str] = {}
    found = []
    for jail in sorted(all_names):
        mine = all_names[jail]
        for name in (mine.outer, mine.inner, mine.outer_mac, mine.inner_mac, mine.hostuuid):
            other = owners.setdefault(name, jail)
            if other != jail:
                found.append((other, jail, name))
    return tuple(found)


def ruleset_number(hostid: str, jail: str, taken: Container[int] = frozenset()) -> int:
    """The devfs ruleset of a jail with rules of its own: the first free number from a derived one on.

    Raises ValueError when all of RULESETS is taken.
    """
    start = int.from_bytes(_digest(hostid, jail, "devfs")[:4], "big") % len(RULESETS)
    for step in range(len(RULESETS)):
        number = RULESETS[(start + step) % len(RULESETS)]
        if number not in taken:
            return number
    raise ValueError("every devfs ruleset number of the private range is taken")


def allocate_rulesets(hostid: str, jails: Iterable[str], taken: Iterable[int] = ()) -> dict[str, int]:
    """Numbers for several jails at once, none of them twice and none of `taken` (those of others)."""
    used = set(taken)
    mine: dict[str, int] = {}
    for jail in sorted(set(jails)):
        mine[jail] = ruleset_number(hostid, jail, used)
        used.add(mine[jail])
    return mine
