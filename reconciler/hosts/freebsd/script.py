"""What is sent to a remote sh(1), and how its answers are framed. Text only; nothing runs here.

A script travels on standard input before the command's own, for the login shell may be csh(1), whose
quoting differs, and because ps(1) shows argument vectors to every user. It is one brace group: cut
short by a lost connection it is a syntax error, and does nothing. POSIX sh and FreeBSD's base tools.
"""

from __future__ import annotations

import io
import re
import shlex
import tarfile
from collections.abc import Mapping, Sequence

from reconciler.model.command import UNREAD, Command, Completed

ABSENT = 40
"""Exit status of a file script when there is no file."""
LINK = 41
"""Exit status of a file script for a symlink in the path, or what is no regular file."""
LOCKED = 75
"""Exit status of lockf(1) when the lock is held (EX_TEMPFAIL)."""

_TAIL = 128 * 1024  # bytes; more than arrive between two looks at the output

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_NOLINK = """\
nolink() {
  q=; r=$1
  while [ -n "$r" ]; do
    c=${r%%/*}
    if [ "$c" = "$r" ]; then r=; else r=${r#*/}; fi
    [ -n "$c" ] || continue
    [ "$c" != .. ] || return 1
    q=$q/$c
    [ ! -L "$q" ] || return 1
  done
}
"""

_PART = """\
umask 077
d=$(command -p mktemp -d /tmp/reconciler.XXXXXXXX) || exit 1
trap 'command -p rm -rf "$d"' EXIT
part() {
  "$@" >"$d/o" 2>"$d/e" </dev/null
  s=$?
  answer
}
answer() {
  echo $s $(command -p wc -c <"$d/o") $(command -p wc -c <"$d/e")
  command -p cat "$d/o" "$d/e"
}
tree() {
  if ! nolink "$1"; then echo 41 0 0; return; fi
  if ! [ -d "$1" ]; then echo 0 0 0; return; fi
  # A file that goes while it is read is an error to tar, and none to us: once more, then.
  for n in 1 2 3 4 5; do
    LC_ALL=C.UTF-8 tar -cf - --exclude '*/@UNREAD@*' -C "$1" . >"$d/o" 2>"$d/e" </dev/null
    s=$?
    [ $s -ne 0 ] || break
  done
  answer
}
"""


def quote(argv: Sequence[str]) -> str:
    """An argument vector as words of sh, each quoted once."""
    return " ".join(shlex.quote(word) for word in argv)


def exports(env: Mapping[str, str]) -> str:
    """Lines that set the environment. Raises ValueError for a name that sh cannot hold."""
    for name in env:
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is no name of a variable")
    return "".join(f"{name}={shlex.quote(value)}; export {name}\n" for name, value in env.items())


def bootstrap(script: bytes, become: str = "") -> str:
    """The fixed command for the login shell: read the script, whose length is known, and run it.

    `become` is the program that makes the user root, asking nothing.
    """
    first = f"{become} -n " if become else ""
    return f"exec {first}/usr/bin/env -i /bin/sh -c 'eval \"$(dd bs=1 count={len(script)} 2>/dev/null)\"'"


def framed(body: str, env: Mapping[str, str], mark: str, registers: Sequence[str] = ()) -> bytes:
    """A script around `body`: says where its output begins, and with what status it ended.

    `body` runs in a subshell, so that its `exit` ends nothing but itself. `registers` are folders in
    which the shell notes its process while it runs: whoever holds the lock beside them waits for it.
    """
    noted = "".join(f"echo >{shlex.quote(folder)}/$$ 2>/dev/null\n" for folder in registers)
    cleared = "".join(f"rm -f {shlex.quote(folder)}/$$\n" for folder in registers)
    text = (
        f"{{\numask 022\ncd /\n{exports(env)}{noted}echo {mark}\necho {mark} >&2\n(\n{body}\n)\ns=$?\n{cleared}"
        f"printf %s {mark}.\nprintf %s {mark}.$s. >&2\nexit 0\n}}"
    )
    return text.encode("utf-8", "surrogateescape")


def over(mark: str, stdout: bytearray, stderr: bytearray) -> bool:
    """Whether the body has ended, even if a daemon that it left keeps its output open."""
    end = f"{mark}.".encode()
    found = stderr.rfind(end, max(0, len(stderr) - _TAIL))
    if found < 0 or stderr.find(b".", found + len(end)) < 0:
        return False
    return stdout.rfind(end, max(0, len(stdout) - _TAIL)) >= 0


def unframed(completed: Completed, mark: str) -> Completed | None:
    """What the body answered; None when the end did not arrive, so that nothing is known of it."""
    end = f"{mark}.".encode()
    stderr, _, status = completed.stderr.rpartition(end)
    status = status.partition(b".")[0]
    stdout, ended, _ = completed.stdout.rpartition(end)
    # What came before the marks is the login shell's. Of a long standard error the beginning is cut off.
    start = f"{mark}\n".encode()
    _, began, said = stderr.partition(start)
    if not ended or not status.isdigit():
        return None
    return Completed(completed.argv, int(status), stdout.partition(start)[2], said if began else stderr)


def gather(commands: Sequence[Command], trees: Sequence[str]) -> str:
    """Run read-only commands and read folders; each answer is preceded by its status and two lengths."""
    parts = [f"part {quote(command.argv)}\n" for command in commands]
    return (
        _NOLINK
        + _PART.replace("@UNREAD@", UNREAD)
        + "".join(parts)
        + "".join(f"tree {shlex.quote(path)}\n" for path in trees)
    )


def parts(commands: Sequence[Command], trees: Sequence[str], stdout: bytes) -> list[Completed]:
    """The answers of `gather`, in order. Raises ValueError when the framing is broken."""
    found, at = [], 0
    for argv in [*(command.argv for command in commands), *(("tar", path) for path in trees)]:
        end = stdout.index(b"\n", at)
        status, out, err = (int(word) for word in stdout[at:end].split())
        middle, last = end + 1 + out, end + 1 + out + err
        if last > len(stdout):
            raise ValueError("an answer is shorter than it says")
        found.append(Completed(argv, status, stdout[end + 1 : middle], stdout[middle:last]))
        at = last
    if at != len(stdout):
        raise ValueError("there is more than was asked for")
    return found


def files(archive: bytes) -> dict[str, bytes]:
    """The regular files of a tar archive by path; {} for an empty one. Raises tarfile.TarError.

    A file larger than the whole is refused: with holes, a header of a few bytes can promise any size.
    """
    found: dict[str, bytes] = {}
    if archive:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                if member.size > len(archive):
                    raise tarfile.TarError(f"{_plain(member.name)} is larger than the archive that holds it")
                if member.islnk():
                    found[_plain(member.name)] = found[_plain(member.linkname)]
                elif member.isreg() and (content := tar.extractfile(member)) is not None:
                    found[_plain(member.name)] = content.read()
    return found


def _plain(name: str) -> str:
    return name.removeprefix("./")


def read(path: str) -> str:
    """Print a regular file."""
    where = shlex.quote(path)
    return (
        f"{_NOLINK}nolink {where} || exit {LINK}\n[ -e {where} ] || exit {ABSENT}\n"
        f"[ -f {where} ] || exit {LINK}\nexec cat {where}"
    )


_STABLE = 'stable() { if command -v fsync >/dev/null; then fsync "$@"; else sync; fi; }\n'


def write(path: str, size: int, mode: int) -> str:
    """Write standard input, which holds `size` bytes, to a file: beside it, checked, synced, renamed."""
    head, _, name = path.rpartition("/")
    where, folder = shlex.quote(path), shlex.quote(head or "/")
    temporary = shlex.quote(f"{head}/.{name[:200]}.XXXXXXXX")
    return f"""{_NOLINK}nolink {folder} || exit {LINK}
[ ! -d {where} ] || [ -L {where} ] || exit {LINK}
{_STABLE}t=$(mktemp {temporary}) || exit 1
if cat >"$t" && [ $(wc -c <"$t") -eq {size} ] && chmod {mode:o} "$t" && stable "$t" && mv -f "$t" {where}; then
  stable {folder}
else
  rm -f "$t"; exit 1
fi"""


def packed(contents: Sequence[bytes]) -> bytes:
    """A tar archive of files by their number, for `write_all`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, data in enumerate(contents):
            member = tarfile.TarInfo(str(number))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def write_all(files: Sequence[tuple[str, int, int]]) -> str:
    """Write the files of `packed` (path, size, mode) in order: below a folder of their own, checked, synced, renamed.

    That folder lies in the outermost of theirs, in whose file system all of them are to lie.
    """
    folders = sorted({path.rpartition("/")[0] or "/" for path, _, _ in files})
    checks = [f"nolink {shlex.quote(folder)} || exit {LINK}" for folder in folders]
    checks += [f"[ ! -d {q} ] || [ -L {q} ] || exit {LINK}" for q in (shlex.quote(path) for path, _, _ in files)]
    whole = " && ".join(f'[ $(wc -c <"$t/{number}") -eq {size} ]' for number, (_, size, _) in enumerate(files))
    modes = " && ".join(f'chmod {mode:o} "$t/{number}"' for number, (_, _, mode) in enumerate(files))
    moves = " && ".join(f'mv -f "$t/{number}" {shlex.quote(path)}' for number, (path, _, _) in enumerate(files))
    names = " ".join(f'"$t/{number}"' for number in range(len(files)))
    return f"""{_NOLINK}{chr(10).join(checks)}
{_STABLE}t=$(mktemp -d {shlex.quote(f"{min(folders, key=len)}/.new.XXXXXXXX")}) || exit 1
if tar -xmof - -C "$t" && {whole} && {modes} && stable {names} && {moves}; then
  rmdir "$t" && stable {" ".join(map(shlex.quote, folders))}
else
  rm -rf "$t"; exit 1
fi"""


def lock(path: str, text: str) -> str:
    """Hold lockf(1) on a file until standard input ends and every noted process is gone.

    Says `locked` once it is held; ends with LOCKED, printing who holds it, when it is not to be had.
    """
    where, folder = shlex.quote(path), shlex.quote(path.rpartition("/")[0] or "/")
    inner = """printf %s "$2" >"$1"
rm -rf "$1.processes"; mkdir -m 700 "$1.processes" || exit 1
echo locked
cat >/dev/null
for f in "$1.processes"/*; do
  while kill -0 "${f##*/}" 2>/dev/null; do sleep 1; done
done
rm -rf "$1.processes"
"""
    return f"""{_NOLINK}nolink {folder} || exit {LINK}
[ ! -L {where} ] || exit {LINK}
lockf -k -s -t 0 {where} sh -c {shlex.quote(inner)} sh {where} {shlex.quote(text)}
s=$?
[ $s -ne {LOCKED} ] || cat {where} >&2
exit $s"""


def processes(path: str) -> str:
    """The folder beside a lock in which commands note their process."""
    return f"{path}.processes"
