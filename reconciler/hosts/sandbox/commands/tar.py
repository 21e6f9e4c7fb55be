"""tar(1) as bsdtar 3.8 is called by its users: -x, -c and -t of tar archives."""

from __future__ import annotations

import fnmatch
import io
import lzma
import os
import stat
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import IO, cast

from reconciler.hosts.sandbox import beneath
from reconciler.hosts.sandbox.answer import Answer, Refusal, reason
from reconciler.hosts.sandbox.archive import BROKEN, Chunks, Extraction, members
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.mounts import Place
from reconciler.model.command import Command, Completed

_TAKES = frozenset("fCbTX")
_LONG_TAKES = frozenset({"exclude", "strip-components", "format", "options", "include", "uid", "gid", "uname", "gname"})
_LONG = {"extract": "x", "create": "c", "list": "t", "file": "f", "directory": "C", "xz": "J", "gzip": "z",
         "bzip2": "j", "verbose": "v"}  # fmt: skip
_XZ, _ZSTD = b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_PACK = {"J": "w:xz", "z": "w:gz", "j": "w:bz2"}


@dataclass(slots=True)
class _Request:
    mode: str = ""
    file: str = "-"
    folder: str = "/"
    flags: set[str] = field(default_factory=set)
    excluded: list[str] = field(default_factory=list)
    strip: int = 0
    names: str = ""
    operands: list[tuple[str, str]] = field(default_factory=list)


def _main(machine: Machine, command: Command) -> Completed:
    answer = Answer()
    data = b""
    try:
        if command.argv[1:] == ("--version",):
            answer.say("bsdtar 3.8.7 - libarchive 3.8.7 zlib/1.3.2 liblzma/5.8.3 bz2lib/1.0.8 libzstd/1.5.7 "
                       "openssl/3.5.6 libb2/bundled ")  # fmt: skip
            return answer.completed(command)
        request = _parse(list(command.argv[1:]))
        if request.mode == "c":
            data = _create(machine, answer, _listed_names(request, command))
        else:
            _read(machine, answer, request, command)
    except Refusal as refusal:
        answer.warn(f"tar: {refusal.message}", refusal.status)
    done = answer.completed(command)
    return Completed(done.argv, done.status, data or done.stdout, done.stderr)


def _parse(words: list[str]) -> _Request:
    request = _Request()
    if words and not words[0].startswith("-"):
        words[0] = "-" + words[0]
    words.reverse()
    while words:
        word = words.pop()
        if word.startswith("--"):
            _long(request, word[2:], words)
        elif word.startswith("-") and len(word) > 1:
            for place, letter in enumerate(word[1:], 2):
                if letter in _TAKES:
                    _take(request, letter, word[place:] or _next(words, letter))
                    break
                _flag(request, letter)
        else:
            request.operands.append((request.folder, word))
    if not request.mode:
        raise Refusal("Must specify one of -c, -r, -t, -u, -x")
    if request.names and (request.names != "-" or request.mode != "c" or "null" not in request.flags):
        raise Refusal("Option -T is simulated as --null -T - with -c only")
    return request


def _next(words: list[str], letter: str) -> str:
    if not words:
        raise Refusal(f"Option -{letter} requires an argument")
    return words.pop()


def _long(request: _Request, word: str, words: list[str]) -> None:
    name, equals, value = word.partition("=")
    if name in _LONG:
        letter = _LONG[name]
        _take(request, letter, value or _next(words, name)) if letter in _TAKES else _flag(request, letter)
    elif name in _LONG_TAKES:
        value = value if equals else _next(words, name)
        if name == "exclude":
            request.excluded.append(value)
        elif name == "strip-components":
            request.strip = int(value)
    elif name == "no-recursion":
        request.flags.add("n")
    elif name == "zstd":
        raise Refusal("zstd archives are not simulated")
    else:
        request.flags.add(name)


def _take(request: _Request, letter: str, value: str) -> None:
    if letter == "f":
        request.file = value
    elif letter == "C":
        request.folder = os.path.normpath(os.path.join(request.folder, value))
    elif letter == "T":
        request.names = value
    elif letter != "b":
        raise Refusal(f"Option -{letter} is not simulated")


def _flag(request: _Request, letter: str) -> None:
    if letter in "cxt":
        request.mode = letter
    elif letter in "JzjvpkPnoOUmalSw":
        request.flags.add(letter)
    else:
        raise Refusal(f"Option -{letter} is not supported")


def _folder(machine: Machine, path: str, *, write: bool) -> Place:
    try:
        place = machine.place(path, write=write)
        if not place.real.is_dir():
            raise NotADirectoryError
    except OSError as error:
        raise Refusal(f"could not chdir to '{path}'") from error
    return place


def _input(machine: Machine, request: _Request, command: Command) -> IO[bytes]:
    if request.file == "-":
        chunks = (command.stdin,) if isinstance(command.stdin, bytes) else command.stdin
        return cast("IO[bytes]", Chunks(chunks))
    try:
        place = machine.place(request.file, write=False)
        return io.BytesIO(beneath.read(place.tree, place.inside))
    except OSError as error:
        raise Refusal(f"Error opening archive: Failed to open '{request.file}'") from error


def _expanded(source: IO[bytes]) -> IO[bytes]:
    """Several xz streams, or zstd frames, are one archive to bsdtar; Python's tarfile ends with the first, or knows
    none of them."""
    head = source.read(len(_XZ))
    whole = cast("IO[bytes]", Chunks(chain([head], iter(lambda: source.read(1 << 20), b""))))
    if head.startswith(_ZSTD):
        import zstandard

        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(whole, read_across_frames=True)
        return cast("IO[bytes]", Chunks(iter(lambda: reader.read(1 << 20), b"")))
    return lzma.LZMAFile(whole) if head == _XZ else whole


def _read(machine: Machine, answer: Answer, request: _Request, command: Command) -> None:
    place = _folder(machine, request.folder, write=request.mode == "x")
    if request.mode == "x" and not machine.mounts.writable(place.mount):
        raise Refusal(f"could not chdir to '{request.folder}': Read-only file system")
    source = _expanded(_input(machine, request, command))

    def complain(text: str) -> None:
        answer.warn(f"tar: {text}", answer.status if text.startswith("Removing") else 1)

    extraction = Extraction(place.tree, place.inside, machine.sidecar(place), complain, keep="k" in request.flags)
    wanted = {name.rstrip("/") for _folder, name in request.operands}
    opened = False
    try:
        with tarfile.open(fileobj=source, mode="r|*", errorlevel=1) as archive:
            opened = True
            for member in archive:
                name = _renamed(request, member.name, wanted)
                if name is None:
                    continue
                if request.mode == "t":
                    answer.say(_listed(member) if "v" in request.flags else member.name + "/" * member.isdir())
                else:
                    extraction.add(archive, member, name)
        if request.mode == "x":
            extraction.finish()
    except BROKEN as error:
        if not opened:
            raise Refusal("Error opening archive: Unrecognized archive format") from error
        complain("Truncated input file")
    if answer.status:
        answer.warn("tar: Error exit delayed from previous errors.")


def _renamed(request: _Request, name: str, wanted: set[str]) -> str | None:
    """What a member is called when it is extracted; None when it is not wanted."""
    if wanted and not any(name == each or name.startswith(each + "/") for each in wanted):
        return None
    if _excluded(request, name):
        return None
    if request.strip:
        parts = name.split("/")
        return "/".join(parts[request.strip :]) or None
    return name


def _excluded(request: _Request, name: str) -> bool:
    plain = name.removeprefix("./")
    return any(
        fnmatch.fnmatchcase(plain, p.removeprefix("./")) or fnmatch.fnmatchcase(plain, p.removeprefix("./") + "/*")
        for p in request.excluded
    )


def _listed(member: tarfile.TarInfo) -> str:
    kind = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK, tarfile.FIFOTYPE: stat.S_IFIFO}
    text = stat.filemode(member.mode | kind.get(member.type, stat.S_IFREG))
    group = member.gname or str(member.gid)
    when = time.strftime("%b %e %H:%M", time.gmtime(member.mtime))
    link = f" -> {member.linkname}" if member.issym() else f" link to {member.linkname}" if member.islnk() else ""
    size = str(member.size).rjust(max(1, 13 - len(group)))
    name = member.name + "/" * member.isdir()
    return f"{text}  0 {member.uname or member.uid!s:<6} {group}{size} {when} {name}{link}"


def _listed_names(request: _Request, command: Command) -> _Request:
    """The request with the names that -T reads from standard input, NUL after each."""
    if request.names:
        data = command.stdin if isinstance(command.stdin, bytes) else b"".join(command.stdin)
        names = (os.fsdecode(name) for name in data.split(b"\0") if name)
        request.operands += [(request.folder, name) for name in names]
    return request


def _create(machine: Machine, answer: Answer, request: _Request) -> bytes:
    if not request.operands and not request.names:
        raise Refusal("no files or directories specified")
    mode = next((_PACK[flag] for flag in request.flags if flag in _PACK), "w")
    buffer = io.BytesIO()
    linked: dict[int, str] = {}
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for folder, operand in request.operands:
            for member, place, path in _found(machine, answer, request, folder, operand, linked):
                if member.isreg():
                    archive.addfile(member, io.BytesIO(beneath.read(place.tree, path)))
                else:
                    archive.addfile(member)
    if answer.status:
        answer.warn("tar: Error exit delayed from previous errors.")
    if request.file == "-":
        return buffer.getvalue()
    try:
        place = machine.place(request.file)
        beneath.write(place.tree, place.inside, buffer.getvalue(), 0o644)
    except OSError as error:
        raise Refusal(f"Failed to open '{request.file}'") from error
    return b""


def _found(
    machine: Machine, answer: Answer, request: _Request, folder: str, operand: str, linked: dict[int, str]
) -> Iterator[tuple[tarfile.TarInfo, Place, str]]:
    if not request.names:
        _folder(machine, folder, write=False)
    try:
        place = machine.place(os.path.join(folder, operand), follow=False, write=False)
        os.lstat(place.real)
        if request.names and place.path != os.path.normpath(os.path.join(folder, operand)):
            raise NotADirectoryError(20, "Not a directory")  # in a jail a link leads elsewhere than from the host
    except OSError as error:
        answer.warn(f"tar: {operand}: Cannot stat: {reason(error)}")
        return
    shown = operand.lstrip("/") or "."
    yield from _below(machine, request, place, shown, linked)
    if "n" in request.flags:
        return
    # What is mounted below is archived too. Parents come first.
    for target in sorted({mount["target"] for mount in machine.mounts_below(place.path)} - {place.path}):
        inner = target[len(place.path) :].strip("/")
        yield from _below(machine, request, machine.place(target, write=False), f"{shown.rstrip('/')}/{inner}", linked)


def _below(
    machine: Machine, request: _Request, place: Place, shown: str, linked: dict[int, str]
) -> Iterator[tuple[tarfile.TarInfo, Place, str]]:
    """What lies in one mounted tree."""
    skipped: tuple[str, ...] = ()
    deep = "n" not in request.flags
    for member, path in members(place.tree, place.inside, shown, machine.sidecar(place), linked, deep=deep):
        if path.startswith(skipped) if skipped else False:
            continue
        if _excluded(request, member.name):
            skipped = (*skipped, path + "/")
            continue
        yield member, place, path


COMMAND = Simulated(("tar", "bsdtar"), _main, transaction=False)
