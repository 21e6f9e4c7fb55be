"""reconcile.lock: what the network gave, held fast beside the specs.

A YAML file that people read and version control merges: sorted, one fact in a line. It is read with the same
bounds as specs, and nothing in it is believed before its form is checked: it names commits, digests and versions.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from reconciler.model.diagnostic import Diagnostic, Span, SpecError
from reconciler.spec.fields import PACKAGE_NAME, RELEASE
from reconciler.spec.files import LOCK, lock_folder, read_lock
from reconciler.spec.yaml import Place, parse, places

VERSION = 1
_HEAD = """\
# Written by `reconcile lock`; builds use nothing else from the network. To move it: reconcile lock --update
"""
_HINT = "Take the file from version control, or remove it and run: reconcile lock"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[\x21-\x7e]{1,2048}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@~-]{0,254}")
_WORD = re.compile(r"[\x21-\x7e]{0,256}")
_ORIGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]*/[A-Za-z0-9_][A-Za-z0-9_+.-]*(@[A-Za-z0-9_.+-]+)?")
_PATTERN = re.compile(r"(?=.*[*?\[])[A-Za-z0-9_*?\[][A-Za-z0-9_.+@~*?\[\]/-]{0,254}")
_PRINTED = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,2046}[\x21-\x7e])?")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ABI = re.compile(r"FreeBSD:[0-9]{1,3}:[A-Za-z0-9_]{1,32}")
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,15}:[\x21-\x7e]{1,2048}")
_KEYS = {
    "git": (_KEY, "the address of a repository, with #BRANCH where it is not the usual one"),
    "files": (_URL, "a URL"),
    "commands": (_PRINTED, "a command"),
    "packages": (_ABI, "an ABI such as FreeBSD:15:amd64"),
    "releases": (re.compile(RELEASE), "a release such as 15.1-RELEASE"),
    "built": (re.compile(PACKAGE_NAME), "the name of a jail package"),
}
"""What the names in each part of a lock are: one of another form is never asked for, and so pins nothing."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One package. `checksum` is that of its archive in the repository's catalogue, "" where none was told.

    `named` are the words by which specs mean it where that is not its name: an origin, a name with a version.
    """

    version: str
    checksum: str = ""
    repository: str = ""
    needs: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file on the network whose content is known."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PinnedPackage:
    """A jail package that was built: the digest of its archive, and of the layer that it was made of."""

    inputs: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Lock:
    """`git` maps URL or URL#BRANCH to a commit, `files` a URL to SHA256, `packages` an ABI to pins by name.

    `releases` are the patch levels that `latest` stood for, `built` the jail packages by name. `commands` maps what
    INCLUDE cmd+ runs to the SHA256 of what it printed, which lies beside the lock under that name.
    """

    git: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, Mapping[str, Pin]] = field(default_factory=dict)
    releases: Mapping[str, int] = field(default_factory=dict)
    built: Mapping[str, PinnedPackage] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)

    def closure(self, abi: str, names: Iterable[str]) -> Mapping[str, Pin] | None:
        """The pins of packages and of all that they need; None when one of them has none."""
        known = self.packages.get(abi, {})
        found: dict[str, Pin] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            if name not in known:
                meant = [other for other, pin in known.items() if name in pin.named]
                if not meant:
                    return None
                waiting += meant
                continue
            found[name] = known[name]
            waiting += known[name].needs
        return found

    def facts(self) -> dict[tuple[str, str], str]:
        """Every fact of it by (where, name), as text, to be compared."""
        found = {("git", key): value for key, value in self.git.items()}
        found |= {("files", key): value for key, value in self.files.items()}
        found |= {("commands", key): value for key, value in self.commands.items()}
        found |= {("releases", key): str(value) for key, value in self.releases.items()}
        found |= {("built", key): f"{pin.inputs} {pin.sha256}" for key, pin in self.built.items()}
        for abi, pins in self.packages.items():
            found |= {(abi, name): f"{pin.version} {pin.checksum}".rstrip() for name, pin in pins.items()}
        return found


def abi_of(release: str, arch: str) -> str:
    """The ABI by which pkg(8) knows a release, such as FreeBSD:15:amd64. `arch` is what `uname -p` says."""
    return f"FreeBSD:{release.partition('.')[0]}:{arch}"


def is_package_name(word: str) -> bool:
    """Whether a word is a package's plain name: not an origin, a pattern or a variable."""
    return _NAME.fullmatch(word) is not None


def is_package_word(word: str) -> bool:
    """Whether pkg-install(8) can take a word for packages: a name, with its version, or an origin; no pattern."""
    return is_package_name(word) or _ORIGIN.fullmatch(word) is not None


def is_package_pattern(word: str) -> bool:
    """Whether a word may stand for several packages by their names, as a shell's pattern."""
    return _PATTERN.fullmatch(word) is not None


def git_key(url: str, branch: str = "") -> str:
    """The name of a repository's branch in the lock."""
    return f"{url}#{branch}" if branch else url


def load_lock(path: Path) -> Lock:
    """The lock beside these specs (a folder or a file); an empty one where there is none.

    Raises SpecError (`lock-invalid`, and what is said of unreadable files) with everything that is wrong.
    """
    problems: list[Diagnostic] = []
    source = read_lock(path, problems)
    if problems:
        raise SpecError(problems)
    return parse_lock(source.data, source.file) if source is not None else Lock()


def parse_lock(data: bytes, file: str) -> Lock:
    """The lock in these bytes. Raises SpecError, code `lock-invalid` or one of YAML's own."""
    parsed = parse(data, file)
    reader = _Reader(file, list(parsed.diagnostics))
    if not reader.problems:
        roots = places(data, file)
        value = parsed.values[0] if parsed.values else None
        if len(parsed.values) != 1 or not isinstance(value, dict):
            reader.wrong(None, "The file holds one mapping.")
        else:
            return reader.lock(value, roots[0])
    raise SpecError(reader.problems)


class _Reader:
    """Checks every value; what is wrong has its place."""

    def __init__(self, file: str, problems: list[Diagnostic]) -> None:
        self.file = file
        self.problems = problems

    def wrong(self, at: Place | None, detail: str) -> None:
        span = Span(self.file, at.line, at.column) if at else Span(self.file)
        self.problems.append(Diagnostic("lock-invalid", "The lock is not valid", detail, _HINT, span))

    def lock(self, value: dict[str, Any], at: Place) -> Lock:
        parts = sorted({"version", *(one.name for one in fields(Lock))})
        if value.get("version") != VERSION or isinstance(value.get("version"), bool):
            self.wrong(at.children.get("version", at), f"This version of the tool reads `version: {VERSION}`.")
        else:
            for key in sorted(set(map(str, value)) - {*parts}):
                self.wrong(_key(at, key), f"There is no {key[:80]} in a lock, but {', '.join(parts)}.")
        git = self.words(value, at, "git", _COMMIT, "a commit: 40 hexadecimal digits")
        files = self.words(value, at, "files", _SHA256, "a SHA256: 64 hexadecimal digits")
        commands = self.words(value, at, "commands", _SHA256, "a SHA256: 64 hexadecimal digits")
        releases = {}
        for name, level, place in self.items(value, at, "releases"):
            if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level < 1000:
                self.wrong(place, f"The patch level of {name} is no number from 0 to 999.")
            else:
                releases[name] = level
        packages = {
            abi: self.pins(value["packages"], _child(at, "packages"), abi)
            for abi, _pins, _place in self.items(value, at, "packages")
        }
        built = {name: self.made(name, pin, place) for name, pin, place in self.items(value, at, "built")}
        if self.problems:
            raise SpecError(self.problems)
        return Lock(git, files, packages, releases, built, commands)

    def made(self, name: str, value: Any, at: Place) -> PinnedPackage:
        known = isinstance(value, dict) and set(value) == {"inputs", "sha256"}
        if known and all(isinstance(word, str) and _SHA256.fullmatch(word) for word in value.values()):
            return PinnedPackage(value["inputs"], value["sha256"])
        self.wrong(at, f"The jail package {name} has inputs and sha256, 64 hexadecimal digits each.")
        return PinnedPackage("", "")

    def items(self, value: dict[str, Any], at: Place, key: str) -> list[tuple[str, Any, Place]]:
        found = value.get(key)
        here = _child(at, key)
        if found is None:
            return []
        if not isinstance(found, dict):
            self.wrong(here, f"`{key}` is a mapping.")
            return []
        form, what = _KEYS.get(key, (_NAME, "the name of a package"))
        for name in found:
            if not isinstance(name, str) or not form.fullmatch(name):
                self.wrong(_key(here, name), f"{str(name)[:80]!r} in `{key}` is not {what}.")
        return [(name, one, _child(here, name)) for name, one in found.items() if isinstance(name, str)]

    def words(self, value: dict[str, Any], at: Place, key: str, pattern: re.Pattern[str], what: str) -> dict[str, str]:
        found = {}
        for name, one, place in self.items(value, at, key):
            if isinstance(one, str) and pattern.fullmatch(one):
                found[name] = one
            else:
                self.wrong(place, f"What stands for {name} is not {what}.")
        return found

    def pins(self, value: dict[str, Any], at: Place, abi: str) -> dict[str, Pin]:
        """The packages of one ABI. One that needs what is not there pins nothing: what needs it would go unpinned."""
        found = {name: self.pin(name, pin, place) for name, pin, place in self.items(value, at, abi)}
        for name, pin in found.items():
            if lacking := [need for need in pin.needs if need not in found]:
                detail = f"{name} needs {', '.join(lacking)}, which `{abi}` does not pin."
                self.wrong(_child(_child(_child(at, abi), name), "needs"), detail)
        return found

    def pin(self, name: str, value: Any, at: Place) -> Pin:
        if not isinstance(value, dict) or set(value) - {"version", "checksum", "repository", "needs", "named"}:
            self.wrong(at, f"The package {name} has version, checksum, repository, needs and named, and nothing else.")
            return Pin("")
        named = value.get("named", [])
        if not isinstance(named, list) or not all(isinstance(word, str) and _means(word) for word in named):
            self.wrong(at, f"`named` of {name} is a list of origins, of names with versions, or of patterns.")
            named = []
        needs = value.get("needs", [])
        if not isinstance(needs, list) or not all(isinstance(n, str) and _NAME.fullmatch(n) for n in needs):
            self.wrong(at, f"`needs` of {name} is a list of names of packages.")
            needs = []
        words = {key: value.get(key, "") for key in ("version", "checksum", "repository")}
        for key, word in words.items():
            if not isinstance(word, str) or not _WORD.fullmatch(word) or (key == "version" and not word):
                self.wrong(_child(at, key), f"`{key}` of {name} is one word, in quotes where it looks like a number.")
                return Pin("")
        if words["checksum"] and not _SHA256.fullmatch(words["checksum"]):
            self.wrong(_child(at, "checksum"), f"`checksum` of {name} is not a SHA256: 64 hexadecimal digits.")
        return Pin(
            words["version"],
            words["checksum"],
            words["repository"],
            tuple(sorted(set(needs))),
            tuple(sorted(set(named))),
        )


def _means(word: str) -> bool:
    return is_package_word(word) or is_package_pattern(word)


def _child(at: Place, key: str) -> Place:
    return at.children.get(key, at)


def _key(at: Place, key: object) -> Place:
    line, column = at.keys.get(str(key), (at.line, at.column))
    return Place(line, column)


def render_lock(lock: Lock) -> str:
    """The file's text: the same lock always gives the same bytes."""
    lines = [_HEAD + f"version: {VERSION}"]
    for key, words in (("git", lock.git), ("files", lock.files), ("commands", lock.commands)):
        if words:
            lines += [f"{key}:", *(f"  {_quoted(name)}: {_text(words[name])}" for name in sorted(words))]
    if any(lock.packages.values()):
        lines.append("packages:")
        for abi in sorted(abi for abi, pins in lock.packages.items() if pins):
            lines.append(f"  {_quoted(abi)}:")
            for name in sorted(lock.packages[abi]):
                lines += _pin(name, lock.packages[abi][name])
    if lock.built:
        each = (
            f"{_quoted(name)}: {{inputs: {_text(pin.inputs)}, sha256: {_text(pin.sha256)}}}"
            for name, pin in sorted(lock.built.items())
        )
        lines += ["built:", *(f"  {line}" for line in each)]
    if lock.releases:
        lines += ["releases:", *(f"  {_quoted(name)}: {lock.releases[name]}" for name in sorted(lock.releases))]
    return "\n".join(lines) + "\n"


def _pin(name: str, pin: Pin) -> list[str]:
    lines = [f"    {_quoted(name)}:", f"      version: {_text(pin.version)}"]
    if pin.checksum:
        lines.append(f"      checksum: {_text(pin.checksum)}")
    if pin.repository:
        lines.append(f"      repository: {_quoted(pin.repository)}")
    if pin.needs:
        lines.append(f"      needs: [{', '.join(_quoted(need) for need in pin.needs)}]")
    if pin.named:
        lines.append(f"      named: [{', '.join(_quoted(word) for word in pin.named)}]")
    return lines


def _quoted(word: str) -> str:
    """Plain where YAML takes it for nothing but a word (not `no`, not `1.10`)."""
    reserved = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
    return word if _PLAIN.fullmatch(word) and word.lower() not in reserved else _text(word)


def _text(word: str) -> str:
    return json.dumps(word)


def write_lock(path: Path, lock: Lock) -> Path:
    """Put the lock beside these specs, whole or not at all. Raises SpecError, code `lock-unwritable`."""
    place = lock_folder(path) / LOCK
    try:
        descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{LOCK}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(render_lock(lock))
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.replace(temporary, place)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        detail = f"{place}: {error.strerror}."
        hint = f"Check the folder and its permissions: ls -ld {place.parent}"
        raise SpecError(Diagnostic("lock-unwritable", "The lock cannot be written", detail, hint)) from error
    return place
