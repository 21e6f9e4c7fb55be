"""What runs inside: the machine's own programs, bound read-only, under FreeBSD's names.

`DIR/machine/VERSION` is bound at /.sandbox of every root: `bin` has links to the machine's programs and our
scripts, `shims` the commands that the simulator answers, `base` both for roots without a userland.
"""

from __future__ import annotations

import functools
import hashlib
import os
import py_compile
import shutil
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

PLACE = "/.sandbox"
HELPER = "confine.pyc"
"""What starts each process, compiled once: compiling it takes longer than starting one."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Programs of the machine under the names that FreeBSD's base system has for them.
TOOLS = _words(
    "[ awk b2sum base64 basename bc bunzip2 bzip2 cat chmod cmp comm cp csplit cut date dc dd df diff dirname"
    " du echo ed env expand expr false find fmt fold getent getopt grep egrep fgrep gunzip gzip head iconv install"
    " join kill link ln logger ls make mkdir mkfifo mknod mktemp mv nc nice nl nohup od openssl paste patch perl"
    " pgrep pkill pr printenv printf ps pwd readlink realpath renice rm rmdir sed seq setsid sha1sum sha256sum"
    " sha512sum md5sum sleep sort split stat stdbuf strings stty sync tail tar tee test time timeout touch tr"
    " true truncate tsort tty uniq unlink unxz users wc which whoami xargs xz xzcat yes zcat zstd base32 bash"
)  # fmt: skip
# Commands inside a jail that the simulator answers from what the jail may see.
JAIL_SHIMS = ("hostname", "ifconfig", "jail", "jls", "netstat", "route", "sysctl", "uname", "zfs", "mount",
              "umount", "chown", "chgrp", "chflags", "ping", "kldstat", "pkg", "dhclient", "rtsol",
              "freebsd-update")  # fmt: skip
_BIN = _words(
    "[ cat chflags chmod cp date dd df echo ed expr freebsd-version hostname kill link ln ls mkdir mv pgrep pkill"
    " ps pwd realpath rm rmdir sh sleep stty sync test timeout unlink"
)
_SBIN = _words(
    "zfs zpool ifconfig mount umount mount_nullfs mount_tmpfs mount_fdescfs mount_procfs pfctl route devfs"
    " kldload kldstat kldunload sysctl ping rcorder reboot shutdown mdconfig md5 sha256 sha512 dhclient rtsol"
)
_USR_SBIN = _words("jail jls jexec service sysrc pkg freebsd-update chown pw daemon nologin")
# These tell of owners, flags and jails that only the simulator knows.
_SIDECAR_TOOLS = frozenset({"stat", "tar", "install", "ps", "pkill"})
# The first process of a jail ends when the folder of its sandbox is deleted, so that nothing stays behind.
_KEEPER = f'$SIG{{CHLD}} = "IGNORE"; sleep 20 while -e "{PLACE}/stamp";\n'
# Numbers of sendmsg and getcwd; machines of 64 bits only, since client.pl lays out their structures.
_SYSTEM_CALLS = {"x86_64": (46, 79), "aarch64": (211, 17), "riscv64": (211, 17), "ppc64le": (341, 182),
                 "s390x": (370, 183)}  # fmt: skip
_FOREIGN_FOLDERS = ("bin", "sbin", "usr/bin", "usr/sbin")


@dataclass(frozen=True, slots=True)
class Userland:
    """The prepared folder and the machine's folders that it needs. All paths are real."""

    folder: Path
    mounts: tuple[tuple[str, str], ...]
    """Pairs of a machine's folder and the place inside a root."""


def loader_places() -> tuple[tuple[str, str], ...]:
    """Where programs of this machine look for their loader and libraries, as (machine, root) pairs."""
    triplet = getattr(sys.implementation, "_multiarch", "") or f"{os.uname().machine}-linux-gnu"
    wanted = ["lib64", "usr/lib64", f"lib/{triplet}", f"usr/lib/{triplet}"]
    found = []
    for name in wanted:
        real = os.path.realpath(f"/{name}")
        if os.path.isdir(real):
            found.append((real, f"/{name}"))
    return tuple(found)


HIDDEN_NAMES = frozenset({PLACE.lstrip("/"), *(place.lstrip("/") for _, place in loader_places())})
"""Paths, relative to a root, of mount points that are made on demand; the host never shows them."""


def prepare(directory: Path, shims: tuple[str, ...]) -> Userland:
    """Make a folder below `directory/machine` for this interpreter and these commands, and say what to bind.

    Folders of other versions stay: jails that run have them mounted.
    """
    mark = f"{_sources()} {sys.base_prefix} {sys.version_info[:2]} {' '.join(shims)}"
    place = directory / "machine" / hashlib.sha256(mark.encode()).hexdigest()[:12]
    tops = _tops()
    mounts = tuple((real, f"{PLACE}/{name}") for real, name in tops.items()) + loader_places()
    if place.is_dir():
        return Userland(place, mounts)
    folder = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("bin", "shims", "base", "host", "run", *tops.values()):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _link_tools(folder, tops)
    here = Path(__file__).parent
    for name in ("client", "confine"):
        py_compile.compile(str(here / f"{name}.py"), str(folder / f"{name}.pyc"), doraise=True)
    quick = _perl_client(folder, here)
    for name in sorted({*shims, *JAIL_SHIMS}):
        _script(folder / "shims" / name, _shim(name, quick))
    for source in resources.files("reconciler.hosts.sandbox").joinpath("userland").iterdir():
        if source.is_file():
            _script(folder / "bin" / source.name, source.read_text())
    for name in (*os.listdir(folder / "bin"), *JAIL_SHIMS):
        for lower in ("base", "host"):
            text = _shim(name, quick) if name in JAIL_SHIMS else stub(name)
            _script(folder / lower / home(name) / name, text)
    # What has a program of its own runs as that, or a script would go out and come back in for ever.
    for name in set(shims) - (set(os.listdir(folder / "bin")) - _SIDECAR_TOOLS):
        _script(folder / "host" / home(name) / name, _shim(name, quick))
    (folder / "keeper").write_text(_KEEPER)
    (folder / "stamp").write_text(mark)
    folder.rename(place)
    return Userland(place, mounts)


@functools.cache
def _sources() -> str:
    """A digest of everything of ours that goes into the folder."""
    here = Path(__file__).parent
    files = [*(here / name for name in ("client.py", "client.pl", "confine.py")), Path(__file__)]
    files += sorted((here / "userland").iterdir())
    return hashlib.sha256(b"\0".join(f.read_bytes() for f in files if f.is_file())).hexdigest()


def home(name: str) -> str:
    """The folder, relative to the root, where FreeBSD keeps a program."""
    if name in _BIN:
        return "bin"
    return "sbin" if name in _SBIN else "usr/sbin" if name in _USR_SBIN else "usr/bin"


def stub(name: str) -> str:
    """The script that stands for a program in a root."""
    where = "shims" if name in JAIL_SHIMS else "bin"
    return f'#!{PLACE}/bin/sh\nexec {PLACE}/{where}/{name} "$@"\n'


def _shim(name: str, quick: bool) -> str:
    """The script that hands a command on; `quick` where perl can."""
    operands = f'{PLACE}/run/socket {name} "$@"'
    if quick:
        return f"#!{PLACE}/bin/sh\nPERL_BADLANG=0 exec {PLACE}/bin/perl {PLACE}/client.pl {operands}\n"
    python = f"{PLACE}/python/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.base_prefix == "/usr":
        python = f"{PLACE}/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    line = f"exec {python} -I -S {PLACE}/client.pyc {operands}"
    return f"#!{PLACE}/bin/sh\nexport LD_LIBRARY_PATH={PLACE}/python/lib\n{line}\n"


def _perl_client(folder: Path, here: Path) -> bool:
    """Write the client in perl, which starts in a fifth of Python's time; False where this machine cannot run it."""
    calls = _SYSTEM_CALLS.get(os.uname().machine)
    if calls is None or not (folder / "bin" / "perl").is_symlink():
        return False
    text = (here / "client.pl").read_text()
    (folder / "client.pl").write_text(text.replace("@SENDMSG@", str(calls[0])).replace("@GETCWD@", str(calls[1])))
    return True


def _tops() -> dict[str, str]:
    """Folders of the machine to bind, and their names below /.sandbox."""
    tops = {"/usr": "usr"}
    for name in ("bin", "sbin", "lib"):
        if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}"):
            tops[f"/{name}"] = f"machine-{name}"
    if sys.base_prefix != "/usr":
        tops[sys.base_prefix] = "python"
    return tops


def _link_tools(folder: Path, tops: dict[str, str]) -> None:
    for name in TOOLS:
        _link(folder / "bin" / name, shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin"), tops)
    # bash called sh is nearest to FreeBSD's sh: it knows pipefail and functrace.
    shell = shutil.which("bash", path="/usr/bin:/bin") or "/bin/sh"
    _link(folder / "bin" / "sh", shell, tops)


def _link(target: Path, program: str | None, tops: dict[str, str]) -> None:
    real = os.path.realpath(program) if program else ""
    for top, name in tops.items():
        if real.startswith(top + "/"):
            target.symlink_to(f"{PLACE}/{name}{real[len(top) :]}")
            return


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def foreign_folders(root: Path) -> list[str]:
    """The folders of a root that need our programs in front: those of a root whose sh cannot run here."""
    shell = root / "bin" / "sh"
    try:
        with open(shell, "rb", opener=lambda p, f: os.open(p, f | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            head = file.read(64)
    except OSError:
        head = b""
    ours = head.startswith(b"#!" + PLACE.encode())
    # Byte 7 of an ELF file names the system: 9 is FreeBSD.
    linux = head.startswith(b"\x7fELF") and head[7] != 9
    return [] if ours or linux else list(_FOREIGN_FOLDERS)
