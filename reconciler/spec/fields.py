"""Field types the documents share: names, sizes, durations, paths, addresses.

Sizes are whole bytes and durations are seconds once read; the user writes `512M` and `10s`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    StringConstraints,
    WithJsonSchema,
)

_GIVEN: dict[frozenset[str], set[str]] = {}


class Model(BaseModel):
    """What every document part shares: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def model_post_init(self, _context: Any, /) -> None:
        """Share the set of fields that were given: most documents give the same ones, and a set is large."""
        given = self.__pydantic_fields_set__
        object.__setattr__(self, "__pydantic_fields_set__", _GIVEN.setdefault(frozenset(given), given))


UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_size(value: Any) -> int:
    """`512M` -> 536870912 bytes; suffixes K M G T are powers of 1024, as zfs(8) and rctl(8) have them."""
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        match = re.fullmatch(r"([0-9]+)([KMGT]?)B?", str(value).strip().upper())
        if not match:
            raise ValueError(f"expected a size such as 512M or 10G, not {value!r}")
        size = int(match[1]) * UNITS[match[2]]
    if size < 0 or size >= 2**63:
        raise ValueError(f"a size lies between 0 and 2^63, not {value!r}")
    return size


def parse_duration(value: Any) -> float:
    """`10s` -> 10.0 seconds; suffixes ms s m h d; a bare number is seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)", str(value).strip())
        if not match:
            raise ValueError(f"expected a duration such as 10s or 5m, not {value!r}")
        seconds = round(float(match[1]) * SECONDS[match[2]], 6)
    if not 0 <= seconds <= 366 * 86400:
        raise ValueError(f"a duration lies between 0 and one year, not {value!r}")
    return seconds


def _absolute(value: str) -> str:
    if not value.startswith("/") or any(part in ("..", ".") for part in value.split("/")):
        raise ValueError(f"expected an absolute path without '.' or '..', not {value!r}")
    if any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise ValueError("a path holds no control characters")
    return "/" + "/".join(part for part in value.split("/") if part)


def _below_root(value: str) -> str:
    path = _absolute(value)
    if path == "/":
        raise ValueError("'/' is the jail's root itself; name a folder below it")
    return path


def _address(value: str) -> str:
    if _PLAIN_V4.fullmatch(value):
        return value
    # As ifconfig(8) shows it, so that what is there compares; one without prefix length stands for itself alone.
    try:
        if "%" in value:
            raise ValueError("an address of a jail has no zone")
        return str(ipaddress.ip_interface(value))
    except ValueError as error:
        raise ValueError(f"expected an address with prefix length such as 10.77.0.2/24, not {value!r}") from error


def _given_address(value: str) -> str:
    return value if value in ("dhcp", "slaac") else _address(value)


def _plain_address(value: str) -> str:
    try:
        # The library takes any text for a zone, line ends included: fe80::1%em0 is the form that means something.
        if "%" in value and not re.search(_ZONE, value):
            raise ValueError("the zone is no interface name")
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise ValueError(f"expected an address such as 10.77.0.1, not {value!r}") from error


def _mode(value: Any) -> str:
    text = str(value).removeprefix("0o")
    if isinstance(value, bool) or not re.fullmatch(r"0?[0-7]{3,4}", text):
        raise ValueError(f'expected an octal mode in quotes such as "0750", not {value!r}')
    return text[-4:].zfill(4)


def _unicast(value: str) -> str:
    if int(value[:2], 16) & 1:
        raise ValueError(f"{value!r} is an address of a group: its first byte must be even")
    return value.lower()


_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# What the library would say of itself: it is slow, and nearly every jail has one.
_PLAIN_V4 = re.compile(rf"(?:{_BYTE}\.){{3}}{_BYTE}/(?:3[0-2]|[12]?[0-9])")
_NAME = r"^[a-z][a-z0-9_-]{0,30}$"
_ZONE = r"^[^%]*%[a-zA-Z][a-zA-Z0-9_.]{0,14}\Z"
_INTERFACE = r"^[a-zA-Z][a-zA-Z0-9_.]{0,14}$"
_MAC = r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$"
_CPUS = r"^(0|[1-9][0-9]{0,3})(-(0|[1-9][0-9]{0,3}))?(,(0|[1-9][0-9]{0,3})(-(0|[1-9][0-9]{0,3}))?){0,255}$"
_DIGEST = r"^sha256:[0-9a-f]{64}$"
RELEASE = r"^[0-9]+\.[0-9]+-(RELEASE|STABLE|CURRENT|ALPHA[0-9]*|BETA[0-9]*|RC[0-9]*)(-HBSD)?$"
_ACCOUNT = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$"
_PUBLIC_KEY = (
    r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com"
    r"|sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]{40,16384}={0,2}( [^\n]*)?$"
)
PACKAGE_NAME = r"^[A-Za-z0-9][A-Za-z0-9_+.,-]*$"
PACKAGE_VERSION = r"[A-Za-z0-9][A-Za-z0-9_+.,-]{0,63}"
TIMEZONE = r"^[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}$"
HOSTNAME = r"^[A-Za-z0-9.-]{1,255}$"
POOL = r"^[A-Za-z][A-Za-z0-9_.:-]*(/[A-Za-z0-9_.:-]+)+$"
SERVER = r"^(https?://[^\s/?#@]+|file://)(/[^\s?#]*)?$"
REPOSITORY = r"^(pkg\+)?(https?://[^\s/?#@]+|file://)(/[^\s?#]*)?$"
FSTYPE = r"^[a-z0-9]+$"
OPTIONS = r"^[^\s]+$"

# What a pattern means, for people.
PATTERNS = {
    _NAME: "a name: a small letter, then up to 30 of a-z 0-9 _ -",
    _INTERFACE: "an interface name of at most 15 letters and digits, such as vtnet0",
    _MAC: "a MAC address such as 02:00:5e:10:00:01",
    _CPUS: "processors as cpuset(1) counts them, such as 0-3 or 0,2",
    _DIGEST: "`sha256:` and 64 small hexadecimal digits",
    RELEASE: "a release such as 15.1-RELEASE, without the patch level",
    _ACCOUNT: "a user or group name",
    _PUBLIC_KEY: "a public key as OpenSSH writes one, without options before it",
    PACKAGE_NAME: "a package name",
    TIMEZONE: "a time zone of tzdata, such as Europe/Berlin",
    HOSTNAME: "a host name of letters, digits, '.' and '-'",
    POOL: "a dataset below a pool, such as zroot/reconciler",
    SERVER: "an http:, https: or file: URL",
    REPOSITORY: "an http:, https: or file: URL, or one with pkg+ before it",
    FSTYPE: "a file system type such as nullfs or tmpfs",
    OPTIONS: "mount options without spaces, such as ro,noexec",
}

# The kernel takes almost anything as a name; we take what is a dataset component, a jail name
# (no '.': it separates a child from its parent), a host name and a shell word at once.
Name = Annotated[str, StringConstraints(pattern=_NAME)]
# Strict: a quoted "yes" or "8080" is text, and says so, instead of becoming something else.
Bool = Annotated[bool, Strict()]
Int = Annotated[int, Strict()]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^\d+[KMGTkmgt]?[Bb]?$", "examples": ["512M", "10G"]}),
]
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?\s*(ms|s|m|h|d)$", "examples": ["10s", "5m"]}
    ),
]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
JailPath = Annotated[str, AfterValidator(_below_root)]
InterfaceAddress = Annotated[str, AfterValidator(_address)]
VnetAddress = Annotated[str, AfterValidator(_given_address)]
Address = Annotated[str, AfterValidator(_plain_address)]
Mode = Annotated[str, BeforeValidator(_mode)]
Interface = Annotated[str, StringConstraints(pattern=_INTERFACE)]
Mac = Annotated[str, StringConstraints(pattern=_MAC), AfterValidator(_unicast)]
Processors = Annotated[str, StringConstraints(pattern=_CPUS)]
Digest = Annotated[str, StringConstraints(pattern=_DIGEST)]
PublicKey = Annotated[str, StringConstraints(pattern=_PUBLIC_KEY)]
ReleaseName = Annotated[str, StringConstraints(pattern=RELEASE)]
Account = Annotated[str, StringConstraints(pattern=_ACCOUNT)]
Label = Annotated[str, StringConstraints(max_length=256)]
