"""cat, ls, stat, test, readlink, realpath, find, df and sha256: what only looks."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
import time
from collections.abc import Callable, Sequence

from reconciler.hosts.sandbox import beneath
from reconciler.hosts.sandbox.answer import Answer, Refusal, encode, options, reason
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.modes import name_of
from reconciler.hosts.sandbox.mounts import Place
from reconciler.model.command import Command, Completed

_TYPES = {
    stat.S_IFDIR: "Directory",
    stat.S_IFLNK: "Symbolic Link",
    stat.S_IFREG: "Regular File",
    stat.S_IFIFO: "Fifo File",
}
_BITS = (("schg", 0x20000), ("uchg", 2), ("nodump", 1), ("sappnd", 0x40000), ("uappnd", 4), ("sunlnk", 0x100000),
         ("uunlnk", 16), ("arch", 0x800), ("uarch", 0x800), ("uhidden", 0x8000))  # fmt: skip


def _at(machine: Machine, path: str, *, follow: bool = True) -> tuple[Place, os.stat_result]:
    place = machine.place(path, follow=follow, write=False)
    return place, os.lstat(place.real)


def _cat(machine: Machine, command: Command, answer: Answer, argv: Sequence[str]) -> bytes:
    _given, operands = options(argv, "belnstuv", "usage: cat [-belnstuv] [file ...]", 1)
    parts = []
    for path in operands or ["-"]:
        if path == "-":
            parts.append(command.stdin if isinstance(command.stdin, bytes) else b"".join(command.stdin))
            continue
        try:
            place, info = _at(machine, path)
            if stat.S_ISDIR(info.st_mode):
                raise IsADirectoryError(21, "Is a directory")
            parts.append(beneath.read(place.tree, place.inside))
        except OSError as error:
            answer.warn(f"cat: {path}: {reason(error)}")
    return b"".join(parts)


def _ls(machine: Machine, command: Command, answer: Answer, argv: Sequence[str]) -> bytes:
    given, operands = options(argv, "aAdlo1FRhnTrtSi", "usage: ls [-aAdlo1] [file ...]", 1)
    for path in sorted(operands) or ["/"]:
        try:
            place, info = _at(machine, path, follow="l" not in given and "d" not in given)
        except OSError as error:
            answer.warn(f"ls: {path}: {reason(error)}")
            continue
        rows = [(path, place)]
        if stat.S_ISDIR(info.st_mode) and "d" not in given:
            rows = _listed(machine, place, given)
            if len(operands) > 1:
                answer.say(f"{path}:")
        if "l" in given:
            _long_list(machine, answer, rows, "o" in given, total=stat.S_ISDIR(info.st_mode) and "d" not in given)
        else:
            answer.out += [f"{name}\n" for name, _ in rows]
    return b""


def _listed(machine: Machine, place: Place, given: dict[str, list[str]]) -> list[tuple[str, Place]]:
    names = sorted(os.listdir(place.real))
    if not {"a", "A"} & given.keys():
        names = [name for name in names if not name.startswith(".")]
    if "a" in given:
        names = [".", "..", *names]
    base = place.path.rstrip("/")
    return [(name, machine.place(f"{base}/{name}", follow=False, write=False)) for name in names]


def _long_list(machine: Machine, answer: Answer, rows: list[tuple[str, Place]], flags: bool, *, total: bool) -> None:
    table, blocks = [], 0
    for name, place in rows:
        info = os.lstat(place.real)
        sidecar = machine.sidecar(place)
        meta = sidecar.get(place.inside)
        blocks += info.st_blocks
        mode = stat.filemode(stat.S_IFMT(info.st_mode) | sidecar.mode(place.inside))
        link = f" -> {os.readlink(place.real)}" if stat.S_ISLNK(info.st_mode) else ""
        shown = [",".join(meta.get("flags", [])) or "-"] if flags else []
        table.append([mode, str(info.st_nlink), name_of(machine, meta.get("uid", 0)),
                      name_of(machine, meta.get("gid", 0), group=True), *shown, str(info.st_size),
                      time.strftime("%b %e %H:%M", time.gmtime(info.st_mtime)), name + link])  # fmt: skip
    if total:
        answer.say(f"total {blocks // 2}")
    if not table:
        return
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = [
            cell.rjust(w) if i in (1, len(row) - 3) else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        cells[0] += " "
        answer.say(" ".join(cells[:-1]) + " " + row[-1])


def _stat(machine: Machine, command: Command, answer: Answer, argv: Sequence[str]) -> bytes:
    given, operands = options(
        argv, "FLHlnqrsxf:t:", "usage: stat [-FHLnq] [-f format | -l | -r | -s | -x] [file ...]", 1
    )
    form = given.get("f", ["%d %i %Sp %l %Su %Sg %r %z %m %N"])[-1]
    for path in operands:
        try:
            place, info = _at(machine, path, follow="L" in given)
        except OSError as error:
            if "q" not in given:
                answer.warn(f"stat: {path}: {reason(error)}")
            answer.status = 1
            continue
        text = _formatted(machine, place, info, form, path)
        answer.out.append(text + ("" if "n" in given else "\n"))
    return b""


def _formatted(machine: Machine, place: Place, info: os.stat_result, form: str, path: str) -> str:
    sidecar = machine.sidecar(place)
    meta = sidecar.get(place.inside)
    mode = stat.S_IFMT(info.st_mode) | sidecar.mode(place.inside)
    uid, gid, flags = meta.get("uid", 0), meta.get("gid", 0), meta.get("flags", [])
    link = os.readlink(place.real) if stat.S_ISLNK(info.st_mode) else ""
    words = {
        "Sp": stat.filemode(mode), "Su": name_of(machine, uid), "Sg": name_of(machine, gid, group=True),
        "Sf": ",".join(flags) or "-", "HT": _TYPES.get(stat.S_IFMT(mode), ""), "OLp": f"{mode & 0o7777:o}",
        "Lp": f"{mode & 0o7777:04o}", "Mp": f"{(mode >> 9) & 7:o}", "Op": f"{mode:o}", "p": f"{mode:o}",
        "u": str(uid), "g": str(gid), "z": str(info.st_size), "m": str(int(info.st_mtime)),
        "a": str(int(info.st_atime)), "c": str(int(info.st_ctime)), "B": str(int(info.st_ctime)),
        "f": str(sum(bit for name, bit in _BITS if name in flags)), "N": path, "l": str(info.st_nlink),
        "i": str(info.st_ino), "d": str(info.st_dev), "r": "0", "b": str(info.st_blocks), "Y": link, "SY": link,
        "T": {stat.S_IFDIR: "/", stat.S_IFLNK: "@", stat.S_IFIFO: "|"}.get(stat.S_IFMT(mode), ""), "n": "\n", "t": "\t",
        "%": "%",
    }  # fmt: skip
    out, rest = [], form
    while "%" in rest:
        before, _, rest = rest.partition("%")
        key = next((rest[:n] for n in (3, 2, 1) if rest[:n] in words), "")
        out += [before, words.get(key, "")]
        rest = rest[len(key) or 1 :]
    return "".join(out) + rest


def _test(machine: Machine, command: Command, answer: Answer, argv: Sequence[str]) -> bytes:
    words = [word for word in argv if word != "]"]
    wanted = True
    if words[:1] == ["!"]:
        wanted, words = False, words[1:]
    if len(words) == 2 and words[0] in ("-d", "-e", "-f", "-h", "-L", "-s", "-x", "-r", "-w", "-p"):
        true = _is(machine, words[0], words[1])
    elif len(words) == 2 and words[0] in ("-n", "-z"):
        true = bool(words[1]) == (words[0] == "-n")
    elif len(words) == 3 and words[1] in ("=", "!="):
        true = (words[0] == words[2]) == (words[1] == "=")
    else:
        true = len(words) == 1 and bool(words[0])
    answer.status = 0 if true == wanted else 1
    return b""


def _is(machine: Machine, flag: str, path: str) -> bool:
    try:
        _place, info = _at(machine, path, follow=flag not in ("-h", "-L"))
    except OSError:
        return False
    mode = info.st_mode
    tests: dict[str, bool] = {
        "-d": stat.S_ISDIR(mode), "-f": stat.S_ISREG(mode), "-h": stat.S_ISLNK(mode), "-L": stat.S_ISLNK(mode),
        "-p": stat.S_ISFIFO(mode), "-s": info.st_size > 0, "-x": bool(mode & 0o111),
    }  # fmt: skip
    return tests.get(flag, True)


def _readlink(machine: Machine, command: Command, answer: Answer, argv: Sequence[str]) -> bytes:
    given, operands = options(argv, "fn", "usage: readlink [-fn] [file ...]", 1)
    for path in operands:
        try:
            if "f" in given:
                answer.say(machine.place(path, write=False).path)
            else:
                answer.say(os.readlink(_at(machine, path, follow=False)[0].real))
        except OSError:
            answer.status = 1
    return b""


def _realpath(machine: Machine, command: Command, answer: Answer, argv: Sequence[str]) -> bytes:
    for path in argv:
        try:
            answer.say(_at(machine, path)[0].path)
        except OSError as error:
            answer.warn(f"realpath: {path}: {reason(error)}")
    return b""


_FIND_TYPES = {
    "d": stat.S_ISDIR, "f": stat.S_ISREG, "l": stat.S_ISLNK, "p": stat.S_ISFIFO, "s": stat.S_ISSOCK,
    "b": stat.S_ISBLK, "c": stat.S_ISCHR,
}  # fmt: skip


def _find(machine: Machine, command: Command, answer: Answer, argv: Sequence[str]) -> bytes:
    """Paths with -type, -name, -maxdepth, -mindepth, -links, -print and -print0."""
    roots = list(argv[: next((i for i, w in enumerate(argv) if w.startswith("-")), len(argv))])
    tests = list(argv[len(roots) :])
    wanted: dict[str, str] = {}
    end = "\n"
    while tests:
        word = tests.pop(0)
        if word in ("-type", "-name", "-maxdepth", "-mindepth", "-links") and tests:
            wanted[word] = tests.pop(0)
        elif word in ("-print", "-x", "-xdev", "-print0"):
            end = "\0" if word == "-print0" else end
        else:
            raise Refusal(f"find: {word}: unknown primary or operator")
    if wanted.get("-type", "d") not in _FIND_TYPES:
        raise Refusal(f"find: -type: {wanted['-type']}: unknown type")
    for root in roots:
        try:
            place, _info = _at(machine, root, follow=False)
        except OSError as error:
            answer.warn(f"find: {root}: {reason(error)}")
            continue
        answer.out += [path + end for path in _walk(machine, place, root, 0, wanted)]
    return b""


def _walk(machine: Machine, place: Place, shown: str, depth: int, wanted: dict[str, str]) -> list[str]:
    info = os.lstat(place.real)
    kind = _FIND_TYPES.get(wanted.get("-type", ""))
    links = wanted.get("-links", "")
    fits = (
        (kind is None or kind(info.st_mode))
        and fnmatch.fnmatchcase(os.path.basename(shown), wanted.get("-name", "*"))
        and depth >= int(wanted.get("-mindepth", "0"))
        and (not links or (info.st_nlink > int(links[1:]) if links.startswith("+") else info.st_nlink == int(links)))
    )
    found = [shown] if fits else []
    if stat.S_ISDIR(info.st_mode) and depth < int(wanted.get("-maxdepth", "9999")):
        for name in sorted(os.listdir(place.real)):
            below = machine.place(f"{place.path.rstrip('/')}/{name}", follow=False, write=False)
            found += _walk(machine, below, f"{shown.rstrip('/')}/{name}", depth + 1, wanted)
    return found


def _sha256(machine: Machine, command: Command, answer: Answer, argv: Sequence[str]) -> bytes:
    given, operands = options(argv, "qrpc:s:", "usage: sha256 [-pqrtx] [-c string] [-s string] [files ...]", 1)
    if "s" in given:
        digest = hashlib.sha256(encode(given["s"][-1])).hexdigest()
        answer.say(digest if "q" in given else f'SHA256 ("{given["s"][-1]}") = {digest}')
    elif not operands:
        data = command.stdin if isinstance(command.stdin, bytes) else b"".join(command.stdin)
        answer.say(hashlib.sha256(data).hexdigest())
    for path in operands:
        try:
            place, _info = _at(machine, path)
            digest = hashlib.sha256(beneath.read(place.tree, place.inside)).hexdigest()
        except OSError as error:
            answer.warn(f"sha256: {path}: {reason(error)}")
            continue
        if "c" in given and given["c"][-1].lower() != digest:
            answer.status = 2
        answer.say(digest if "q" in given else f"{digest} {path}" if "r" in given else f"SHA256 ({path}) = {digest}")
    return b""


_NAMES: dict[str, Callable[[Machine, Command, Answer, Sequence[str]], bytes]] = {
    "cat": _cat, "ls": _ls, "stat": _stat, "test": _test, "[": _test, "readlink": _readlink,
    "realpath": _realpath, "find": _find, "sha256": _sha256,
}  # fmt: skip


def _main(machine: Machine, command: Command) -> Completed:
    answer = Answer()
    data = b""
    try:
        data = _NAMES[command.argv[0].rsplit("/", 1)[-1]](machine, command, answer, command.argv[1:])
    except Refusal as refusal:
        answer.warn(refusal.message, refusal.status)
    done = answer.completed(command)
    return Completed(done.argv, done.status, data or done.stdout, done.stderr)


COMMAND = Simulated(tuple(_NAMES), _main)
