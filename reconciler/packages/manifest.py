"""The manifest of a jail package, format 2: everything that is said of it, in one strict JSON document.

    {"format": 2, "name": "nginx", "version": "1.28", "release": "15.1-RELEASE", "patch_levels": [1, 1],
     "arch": "amd64", "abi": "FreeBSD:15:amd64", "base": "release/15.1-RELEASE-p1", "creator": "reconciler 0.1",
     "files": [{"path": "usr/local/etc/nginx.conf", "type": "file", "mode": "0644", "size": 812, "sha256": ...}],
     "deletions": ["etc/motd.template"]}

`patch_levels` are the first and last level of the release that it may be applied to; the last may be null. Fields
of a file that are not written are 0, empty or none: uid, gid, mtime (s), links, flags, xattrs (base64), acl,
target. There is one text for one manifest: keys and paths sorted, no spaces. Pure; strict, since it is read from
packages that may be hostile.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.packages.delta import Delta
from reconciler.packages.tree import Entry, Tree, as_type, fault, key

FORMAT = 2
MAX_BYTES = 32 * 1024**2
"""Bytes of a manifest: some 170 000 files. As values they take ten times as much."""
MAX_LEVEL = 10_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.,-]{0,127}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.,-]{0,63}", re.ASCII)
_RELEASE = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}-[A-Z]{1,12}[0-9]{0,3}", re.ASCII)
_ARCH = re.compile(r"[a-z0-9]{1,32}", re.ASCII)
_WORDS = re.compile(r"[ -~]{0,200}", re.ASCII)
_MODE = re.compile(r"[0-7]{4}", re.ASCII)
_RULES = {
    "name": (_NAME, "letters, digits and _ + . , - after a letter or digit, at most 128"),
    "version": (_VERSION, "letters, digits and _ + . , - after a letter or digit, at most 64"),
    "release": (_RELEASE, "a release such as 15.1-RELEASE"),
    "arch": (_ARCH, "an architecture such as amd64"),
}
_OPTIONAL = frozenset({"uid", "gid", "mtime", "size", "sha256", "target", "links", "flags", "xattrs", "acl"})


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a package is. `base` names what it was recorded on; `patch_levels` is (first, last or None)."""

    name: str
    version: str
    release: str
    patch_levels: tuple[int, int | None]
    arch: str
    abi: str = ""
    base: str = ""
    creator: str = ""
    change: Delta = field(default=Delta(), repr=False)

    @property
    def stem(self) -> str:
        """The name of its archive, without what says how that is compressed."""
        return f"{self.name}-{self.version}_{self.release}-p{self.patch_levels[0]}_{self.arch}"

    @property
    def levels(self) -> str:
        """The patch levels it is for, as people write them."""
        first, last = self.patch_levels
        return f"p{first}" if first == last else f"p{first} and later" if last is None else f"p{first} to p{last}"

    def tree(self) -> Tree:
        """Its entries by path."""
        return {entry.path: entry for entry in self.change.entries}

    def fits(self, release: str, level: int, arch: str) -> str:
        """Why it may not be applied to that release, level and architecture; "" when it may."""
        first, last = self.patch_levels
        if release != self.release:
            return f"it was made for {self.release}, not {release}"
        if arch != self.arch:
            return f"it was made for {self.arch}, not {arch}"
        if level < first or (last is not None and level > last):
            return f"it was made for {self.release} {self.levels}, not p{level}"
        return ""


def mistake(field_: str, word: str) -> str:
    """What is wrong with a word for a manifest's name, version, release or arch; "" when nothing is."""
    pattern, rule = _RULES[field_]
    return "" if pattern.fullmatch(word) else f"{word!a} is not {rule}."


def serialize(manifest: Manifest) -> bytes:
    """The one text of a manifest, with a line end. Raises FetchError (`package-malformed`, `archive-too-large`) for
    what none can say."""
    first, last = manifest.patch_levels
    value = {
        "format": FORMAT,
        "name": manifest.name,
        "version": manifest.version,
        "release": manifest.release,
        "patch_levels": [first, last],
        "arch": manifest.arch,
        "abi": manifest.abi,
        "base": manifest.base,
        "creator": manifest.creator,
        "files": [_written(entry) for entry in manifest.change.entries],
        "deletions": list(manifest.change.deletions),
    }
    text = json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    if len(text) > MAX_BYTES:
        raise _too_long(len(manifest.change.entries))
    if parse(text) != manifest:
        raise malformed("It would not be read as it was written.")
    return text


def _too_long(count: int) -> FetchError:
    return FetchError(
        Diagnostic(
            "archive-too-large",
            "The archive is larger than allowed",
            f"A manifest of {count} files would have more than {MAX_BYTES} bytes.",
            "Leave out what can be had again (--ignore PATTERN), or record the installation in parts.",
        )
    )


def _written(entry: Entry) -> dict[str, Any]:
    said: dict[str, Any] = {"path": entry.path, "type": entry.type, "mode": f"{entry.mode:04o}"}
    more = {name: getattr(entry, name) for name in _OPTIONAL - {"xattrs"}}
    more["xattrs"] = {name: base64.b64encode(data).decode() for name, data in entry.xattrs}
    return said | {name: value for name, value in more.items() if value}


def parse(text: bytes) -> Manifest:
    """Read a manifest; nothing but the one text that `serialize` would write is taken.

    Raises FetchError: `package-malformed`, and `package-format` for a format of another number. Whether its paths
    are harmless is judged by `archive`, beside the payload.
    """
    if len(text) > MAX_BYTES:
        raise malformed(f"Its manifest has more than {MAX_BYTES} bytes.")
    try:
        value = json.loads(text.decode("ascii"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise malformed(f"Its manifest is no JSON: {_brief(error)}.") from error
    reader = _Reader(value)
    manifest = reader.manifest()
    if json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n" != text:
        raise malformed("Its manifest is not written in the one way that there is.")
    return manifest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_constant(_name: str) -> Any:
    raise ValueError("NaN and Infinity are no numbers here")


def _brief(error: Exception) -> str:
    return ascii(str(error))[1:-1][:200]


class _Reader:
    """Takes a manifest from parsed JSON, field by field; every field has a bound."""

    def __init__(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise malformed("Its manifest is no JSON object.")
        self._value: dict[str, Any] = value

    def manifest(self) -> Manifest:
        number = self._value.get("format")
        if type(number) is not int or number != FORMAT:
            raise FetchError(
                Diagnostic(
                    "package-format",
                    "The package has a format that this version does not know",
                    f"It says it has format {str(number)[:20]!a}; this version reads {FORMAT}.",
                    "Use the version of reconcile that made it, or a newer one.",
                )
            )
        names = {"format", "files", "deletions", "patch_levels"}
        texts = {"name", "version", "release", "arch", "abi", "base", "creator"}
        if set(self._value) != names | texts:
            raise malformed("Its manifest has other fields than format 2 has.")
        entries = self._files()
        return Manifest(
            self._text("name", _NAME),
            self._text("version", _VERSION),
            self._text("release", _RELEASE),
            self._levels(),
            self._text("arch", _ARCH),
            self._text("abi", _WORDS),
            self._text("base", _WORDS),
            self._text("creator", _WORDS),
            Delta(entries, self._deletions()),
        )

    def _text(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self._value[name]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise malformed(f"`{name}` of its manifest reads {str(value)[:80]!a}, which cannot be.")
        return value

    def _levels(self) -> tuple[int, int | None]:
        value = self._value["patch_levels"]
        if isinstance(value, list) and len(value) == 2:
            first, last = value
            good = type(first) is int and 0 <= first <= MAX_LEVEL
            if good and (last is None or (type(last) is int and first <= last <= MAX_LEVEL)):
                return first, last
        raise malformed("`patch_levels` of its manifest is not a first and a last level.")

    def _files(self) -> tuple[Entry, ...]:
        value = self._value["files"]
        if not isinstance(value, list):
            raise malformed("`files` of its manifest is no list.")
        entries = tuple(map(_entry, value))
        _check_order([entry.path for entry in entries])
        _check_links(entries)
        return entries

    def _deletions(self) -> tuple[str, ...]:
        value = self._value["deletions"]
        if not isinstance(value, list):
            raise malformed("`deletions` of its manifest is no list.")
        paths = [_path(item, "a deletion") for item in value]
        _check_order(paths)
        return tuple(paths)


def _check_order(paths: list[str]) -> None:
    keys = [key(path) for path in paths]
    if any(one >= other for one, other in pairwise(keys)):
        raise malformed("The paths of its manifest are repeated or not in order.")


def _check_links(entries: tuple[Entry, ...]) -> None:
    """Names of one file are told by its first name, which is here, and say the same of it."""
    firsts: dict[str, Entry] = {}
    counted: dict[str, int] = {}
    for entry in entries:
        if not entry.links:
            continue
        first = firsts.setdefault(entry.links, entry)
        counted[entry.links] = counted.get(entry.links, 0) + 1
        same = (entry.mode, entry.uid, entry.gid, entry.mtime, entry.flags, entry.xattrs, entry.acl)
        if first.path != entry.links or first.content() != entry.content():
            raise malformed(f"{entry.path!a} is another name of what is not the same, or not here.")
        if same != (first.mode, first.uid, first.gid, first.mtime, first.flags, first.xattrs, first.acl):
            raise malformed(f"{entry.path!a} is another name of {first.path!a} and says other things of it.")
    if any(count < 2 for count in counted.values()):
        raise malformed("A file of its manifest has links and no other name.")


def _path(value: Any, what: str) -> str:
    """A path as text that stands for exactly one row of bytes."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise malformed(f"{what} of its manifest has no path.")
    try:
        if value.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == value:
            return value
    except UnicodeEncodeError:
        pass
    raise malformed(f"{what} of its manifest has a path that stands for no bytes.")


def _entry(value: Any) -> Entry:
    if not isinstance(value, dict) or not {"path", "type", "mode"} <= set(value):
        raise malformed("A file of its manifest has no path, type or mode.")
    if set(value) - {"path", "type", "mode"} - _OPTIONAL:
        raise malformed("A file of its manifest has a field that format 2 does not have.")
    path = _path(value["path"], "a file")
    kind = as_type(value["type"]) if isinstance(value["type"], str) else None
    mode = value["mode"]
    if kind is None or not isinstance(mode, str) or not _MODE.fullmatch(mode):
        raise malformed(f"{path!a} has no type or mode that can be read.")
    take = _Taker(path, value)
    entry = Entry(
        path,
        kind,
        int(mode, 8),
        uid=take("uid", 0, int),
        gid=take("gid", 0, int),
        mtime=take("mtime", 0, int),
        size=take("size", 0, int),
        sha256=take("sha256", "", str),
        target=_path(value["target"], "a link") if "target" in value else "",
        links=_path(value["links"], "a file") if "links" in value else "",
        flags=take.flags(),
        xattrs=take.xattrs(),
        acl=take("acl", "", str),
    )
    if reason := fault(entry):
        raise malformed(f"{path!a}: {reason}.")
    return entry


class _Taker:
    """The optional fields of one file. One that is written and says nothing has no place in the one text."""

    def __init__(self, path: str, value: dict[str, Any]) -> None:
        self._path, self._value = path, value

    def __call__(self, name: str, absent: Any, kind: type) -> Any:
        value = self._value.get(name, absent)
        if type(value) is not kind or (name in self._value and not value):
            raise malformed(f"`{name}` of {self._path!a} cannot be read.")
        return value

    def flags(self) -> tuple[str, ...]:
        value = self("flags", [], list)
        if not all(isinstance(item, str) for item in value):
            raise malformed(f"The flags of {self._path!a} cannot be read.")
        return tuple(value)

    def xattrs(self) -> tuple[tuple[str, bytes], ...]:
        decode: Callable[[str], bytes] = lambda text: base64.b64decode(text, validate=True)  # noqa: E731 - a name for it
        try:
            found = tuple(sorted((name, decode(text)) for name, text in self("xattrs", {}, dict).items()))
        except (TypeError, binascii.Error, ValueError) as error:
            raise malformed(f"The extended attributes of {self._path!a} cannot be read.") from error
        if any(base64.b64encode(data).decode() != self._value["xattrs"][name] for name, data in found):
            raise malformed(f"The extended attributes of {self._path!a} are not written in the one way.")
        return found


def malformed(detail: str) -> FetchError:
    """The error of a package that is not what its format says."""
    return FetchError(
        Diagnostic(
            "package-malformed",
            "The jail package cannot be read",
            detail,
            "Build it again, or ask where it comes from.",
        )
    )
