"""ZFS properties as OpenZFS 2.4 on FreeBSD 15.1 knows them: order, defaults, values, sizes.

`properties.txt` is the table that `zfs get` prints with its usage; what may be set, what is
inherited and which words are allowed is read from there, so help and behaviour cannot differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Property:
    """One native property. `words` are the allowed values, () when they are not a fixed set."""

    name: str
    editable: bool
    inherited: bool
    values: str
    words: tuple[str, ...]
    default: str
    size: bool


HELP = resources.files(__package__).joinpath("properties.txt").read_text()

# In the order of `zfs get all` on a file system; None marks what is computed.
_FILESYSTEM: dict[str, str | None] = dict(
    [
        ("type", None), ("creation", None), ("used", None), ("available", None), ("referenced", None),
        ("compressratio", None), ("mounted", None), ("origin", None),
        ("quota", "0"), ("reservation", "0"), ("recordsize", "131072"), ("mountpoint", ""), ("sharenfs", "off"),
        ("checksum", "on"), ("compression", "on"), ("atime", "on"), ("devices", "on"), ("exec", "on"),
        ("setuid", "on"), ("readonly", "off"), ("jailed", "off"), ("snapdir", "hidden"), ("aclmode", "discard"),
        ("aclinherit", "restricted"), ("createtxg", None), ("canmount", "on"), ("xattr", "sa"), ("copies", "1"),
        ("version", None), ("utf8only", None), ("normalization", None), ("casesensitivity", None),
        ("vscan", "off"), ("nbmand", "off"), ("sharesmb", "off"), ("refquota", "0"), ("refreservation", "0"),
        ("guid", None), ("primarycache", "all"), ("secondarycache", "all"), ("usedbysnapshots", None),
        ("usedbydataset", None), ("usedbychildren", None), ("usedbyrefreservation", None),
        ("logbias", "latency"), ("objsetid", None), ("dedup", "off"), ("mlslabel", "none"),
        ("sync", "standard"), ("dnodesize", "legacy"), ("refcompressratio", None), ("written", None),
        ("logicalused", None), ("logicalreferenced", None), ("volmode", "default"),
        ("filesystem_limit", "none"), ("snapshot_limit", "none"), ("filesystem_count", "none"),
        ("snapshot_count", "none"), ("snapdev", "hidden"), ("acltype", "nfsv4"), ("context", "none"),
        ("fscontext", "none"), ("defcontext", "none"), ("rootcontext", "none"), ("relatime", "on"),
        ("redundant_metadata", "all"), ("overlay", "on"), ("encryption", "off"), ("keylocation", "none"),
        ("keyformat", "none"), ("pbkdf2iters", "0"), ("special_small_blocks", "0"),
        ("snapshots_changed", None), ("prefetch", "all"), ("direct", "standard"), ("longname", "off"),
        *((f"default{who}quota", None) for who in ["user", "group", "project", "userobj", "groupobj", "projectobj"]),
    ]
)  # fmt: skip
FILESYSTEM_ORDER = tuple(_FILESYSTEM)
SNAPSHOT_ORDER = (
    "type",
    "creation",
    "used",
    "referenced",
    "compressratio",
    "devices",
    "exec",
    "setuid",
    "createtxg",
    "xattr",
    "version",
    "utf8only",
    "normalization",
    "casesensitivity",
    "nbmand",
    "guid",
    "primarycache",
    "secondarycache",
    "defer_destroy",
    "userrefs",
    "objsetid",
    "mlslabel",
    "refcompressratio",
    "written",
    "logicalreferenced",
    "acltype",
    "context",
    "fscontext",
    "defcontext",
    "rootcontext",
    "encryption",
    "prefetch",
)
# What a snapshot answers with its file system's value.
SNAPSHOT_INHERITS = frozenset(
    [
        "devices",
        "exec",
        "setuid",
        "xattr",
        "nbmand",
        "primarycache",
        "secondarycache",
        "acltype",
        "mlslabel",
        "context",
        "fscontext",
        "defcontext",
        "rootcontext",
        "encryption",
        "prefetch",
        "casesensitivity",
        "normalization",
        "utf8only",
        "version",
    ]
)
COLUMNS = {"name": "name", "avail": "available", "refer": "referenced", "ratio": "compressratio",
           "compress": "compression", "recsize": "recordsize", "rdonly": "readonly", "volblock": "volblocksize",
           "mountpt": "mountpoint", "refreserv": "refreservation", "reserv": "reservation",
           "lused": "logicalused", "lrefer": "logicalreferenced", "usedsnap": "usedbysnapshots",
           "usedds": "usedbydataset", "usedchild": "usedbychildren", "refratio": "refcompressratio"}  # fmt: skip
HEADINGS = {"available": "AVAIL", "referenced": "REFER", "compressratio": "RATIO", "compression": "COMPRESS",
            "recordsize": "RECSIZE", "readonly": "RDONLY", "refreservation": "REFRESERV",
            "reservation": "RESERV", "logicalused": "LUSED", "logicalreferenced": "LREFER",
            "usedbysnapshots": "USEDSNAP", "usedbydataset": "USEDDS", "usedbychildren": "USEDCHILD",
            "refcompressratio": "REFRATIO", "casesensitivity": "CASE"}  # fmt: skip
RIGHT = frozenset(
    [
        "used",
        "available",
        "referenced",
        "written",
        "quota",
        "refquota",
        "reservation",
        "refreservation",
        "recordsize",
        "usedbysnapshots",
        "usedbydataset",
        "usedbychildren",
        "usedbyrefreservation",
        "logicalused",
        "logicalreferenced",
        "compressratio",
        "refcompressratio",
        "createtxg",
        "guid",
        "objsetid",
        "userrefs",
        "copies",
    ]
)
SIZES = frozenset(
    [
        "used",
        "available",
        "referenced",
        "written",
        "usedbysnapshots",
        "usedbydataset",
        "usedbychildren",
        "usedbyrefreservation",
        "logicalused",
        "logicalreferenced",
        "quota",
        "refquota",
        "reservation",
        "refreservation",
        "recordsize",
        "special_small_blocks",
    ]
)
LIMITS = frozenset(["quota", "refquota", "reservation", "refreservation"])


def _read() -> dict[str, Property]:
    table: dict[str, Property] = {}
    for line in HELP.splitlines():
        name, editable, inherited, values = line.strip().split(None, 3)
        if "@" in name or "#" in name:
            continue
        fixed = not re.search(r"[<,\[]|\bto\b|options", values) and " | " in values
        words = tuple(values.split(" | ")) if fixed else ()
        default = _FILESYSTEM.get(name)
        table[name] = Property(name, editable == "YES", inherited == "YES", values, words, default or "", name in SIZES)
    return table


NATIVE = _read()
_CREATE_ONLY = frozenset(["casesensitivity", "normalization", "utf8only", "encryption", "keyformat", "pbkdf2iters"])
_COMPRESSION = re.compile(
    r"on|off|lzjb|gzip(-[1-9])?|zle|lz4|zstd(-([1-9]|1[0-9]))?|zstd-fast(-(10|[1-9]|[2-9]0|100|500|1000))?"
)
_USER = re.compile(r"[a-z0-9:_.\-]{1,256}")
_NUMBER = re.compile(r"([0-9]+)(\.[0-9]+)?([kmgtpe]?)(i?b)?", re.IGNORECASE)
MAX_VALUE = 8191


def is_user(name: str) -> bool:
    """Whether this is a legal name of a user property."""
    return ":" in name and _USER.fullmatch(name) is not None


def known(name: str) -> bool:
    """Whether a property of this name can be asked for."""
    return name in NATIVE or is_user(name)


def parse_size(text: str) -> int | None:
    """Bytes of `10M`, `1.5G`, `none`; None when it is not a number."""
    if text == "none":
        return 0
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    power = "bkmgtpe".index(match[3].lower() or "b")
    return int(float(match[1] + (match[2] or "")) * 1024**power) if match[2] else int(match[1]) * 1024**power


def check(name: str, value: str, *, creating: bool = False) -> tuple[str, str]:
    """The value as it is stored, and what is wrong with it ("" when nothing is)."""
    if ":" in name:
        if not is_user(name):
            return "", f"invalid property '{name}'"
        return (
            (value, "")
            if len(value.encode("utf-8", "surrogateescape")) <= MAX_VALUE
            else ("", "property value too long")
        )
    known_as = COLUMNS.get(name, name)
    native = NATIVE.get(known_as)
    if native is None:
        return "", f"invalid property '{name}'"
    if not native.editable and not (creating and known_as in _CREATE_ONLY):
        return "", f"'{known_as}' is readonly"
    if native.size:
        return _check_size(known_as, value)
    bad = value not in native.words if native.words else False
    if known_as == "compression":
        bad = _COMPRESSION.fullmatch(value) is None
    if known_as == "mountpoint" and value not in ("none", "legacy") and not value.startswith("/"):
        return "", "'mountpoint' must be an absolute path, 'none', or 'legacy'"
    if bad:
        return "", f"'{known_as}' must be one of '{native.values}'"
    if known_as == "mountpoint" and value.startswith("/"):
        value = "/" + "/".join(part for part in value.split("/") if part)
    return value, ""


def _check_size(name: str, value: str) -> tuple[str, str]:
    number = parse_size(value)
    if number is None:
        return "", f"bad numeric value '{value}'"
    if name in ("quota", "refquota") and number == 0 and value != "none":
        return "", "use 'none' to disable quota/refquota"
    if name == "recordsize" and (number & (number - 1) or not 512 <= number <= 16 * 1024**2):
        return "", "'recordsize' must be power of 2 from 512B to 16M"
    return str(number), ""


def human(name: str, value: str) -> str:
    """A stored value as a person sees it: sizes with units, no limit as `none`."""
    if name not in SIZES or not value.isdigit():
        return value + "x" if name in ("compressratio", "refcompressratio") and value != "-" else value
    if name in LIMITS and value == "0":
        return "none"
    return nice(int(value))


def nice(number: int) -> str:
    """As zfs_nicebytes(3): at most five characters."""
    index, scaled = 0, number
    while scaled >= 1024 and index < 6:
        scaled //= 1024
        index += 1
    unit = "BKMGTPE"[index]
    if index == 0 or number % (1024**index) == 0:
        return f"{number // 1024**index}{unit}"
    for digits in (2, 1, 0):
        text = f"{number / 1024**index:.{digits}f}{unit}"
        if len(text) <= 5:
            break
    return text
