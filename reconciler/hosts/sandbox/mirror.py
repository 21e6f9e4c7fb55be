"""A small mirror in FreeBSD's layout: releases with MANIFEST and base.txz, signed update tags, packages.

Everything is made here, byte for byte the same each time on one machine.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import lzma
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from importlib import resources
from pathlib import Path

from reconciler.hosts.sandbox import base_mirror, signing, toys, update_mirror, userland
from reconciler.today import today

RELEASES = ("15.1-RELEASE", "14.4-RELEASE")
LEVELS = {"15.1-RELEASE": 1, "14.4-RELEASE": 3}
"""The newest patch level of each."""
SUPPORTED = {"15.1-RELEASE": 129, "14.4-RELEASE": 39}
"""Days from the making of the mirror to the end of life of each, so that no sandbox begins with what has passed."""
SEED = "a"
"""Of the key that signs the tags. It guards nothing but the sandbox."""
ABI = {"15": "FreeBSD:15:amd64", "14": "FreeBSD:14:amd64"}
_TIME = 1781568000
"""Modification time of every member, in seconds since 1970: the day 15.1-RELEASE came out."""
_FORMAT = "7"
_FOLDERS = (
    ".sandbox", "bin", "boot", "boot/kernel", "dev", "etc", "etc/cron.d", "etc/defaults", "etc/mtree",
    "etc/newsyslog.conf.d", "etc/pkg", "etc/rc.conf.d", "etc/rc.d", "etc/ssh", "etc/ssl", "lib", "libexec", "media",
    "mnt", "net", "proc", "rescue", "root", "sbin", "tmp", "usr", "usr/bin", "usr/home", "usr/include", "usr/lib",
    "usr/libdata", "usr/libexec", "usr/local", "usr/local/bin", "usr/local/etc", "usr/local/etc/rc.d",
    "usr/local/lib", "usr/local/sbin", "usr/local/share", "usr/local/www", "usr/sbin", "usr/share",
    "usr/share/zoneinfo", "usr/src", "var", "var/at", "var/audit", "var/cache", "var/cache/pkg", "var/crash",
    "var/cron", "var/cron/tabs", "var/db", "var/db/freebsd-update", "var/db/pkg", "var/empty", "var/log",
    "var/mail", "var/run", "var/spool", "var/tmp",
)  # fmt: skip
_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o750, "var/empty": 0o555, "var/cron/tabs": 0o700}
_VERSION_SCRIPT = """#!/bin/sh
#
# Print the version of the installed userland and kernel.

set -e

USERLAND_VERSION="{release}"

: ${{ROOT:=}}

usage() {{
	echo "usage: ${{0##*/}} [-kru] [-j jail]" >&2
	exit 1
}}

kernel= running= userland=
while getopts "kruj:" option; do
	case $option in
	k) kernel=1 ;;
	r) running=1 ;;
	u) userland=1 ;;
	*) usage ;;
	esac
done
[ -n "$kernel$running$userland" ] || userland=1
[ -z "$kernel" ] || uname -r
[ -z "$running" ] || uname -r
[ -z "$userland" ] || echo "$USERLAND_VERSION"
exit 0
"""
_TEXTS = {
    "COPYRIGHT": "# The sandbox's own base system: FreeBSD's layout, this machine's programs.\n",
    "etc/passwd": "root:*:0:0:Charlie &:/root:/bin/sh\ndaemon:*:1:1:Owner of many system processes:/root:"
    "/usr/sbin/nologin\noperator:*:2:5:System &:/:/usr/sbin/nologin\nsshd:*:22:22:Secure Shell Daemon:/var/empty:"
    "/usr/sbin/nologin\nwww:*:80:80:World Wide Web Owner:/nonexistent:/usr/sbin/nologin\n"
    "nobody:*:65534:65534:Unprivileged user:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "wheel:*:0:root\ndaemon:*:1:\noperator:*:5:root\nmail:*:6:\nsshd:*:22:\nwww:*:80:\n"
    "nogroup:*:65533:\nnobody:*:65534:\n",
    "etc/hosts": "::1\t\t\tlocalhost localhost.my.domain\n127.0.0.1\t\tlocalhost localhost.my.domain\n",
    "etc/shells": "/bin/sh\n/bin/csh\n/bin/tcsh\n",
    "etc/services": "ssh\t\t 22/tcp\ndomain\t\t 53/udp\nhttp\t\t 80/tcp\nhttps\t\t443/tcp\n",
    "etc/defaults/rc.conf": 'rc_info="NO"\ncron_enable="YES"\ncron_flags=""\nsyslogd_enable="YES"\n'
    'sshd_enable="NO"\nsendmail_enable="NONE"\n',
    "etc/crontab": "SHELL=/bin/sh\n#minute\thour\tmday\tmonth\twday\twho\tcommand\n",
    "etc/newsyslog.conf": "# logfilename\t[owner:group]\tmode\tcount\tsize\twhen\tflags\n",
    "etc/login.conf": "default:\\\n\t:umask=022:\n",
    "etc/freebsd-update.conf": "KeyPrint 800651ef4b4c71c27e60786d7b487188970f4b4169cc055784e21eb71d410cc5\n"
    "ServerName update.FreeBSD.org\nComponents src world kernel\n",
    "root/.profile": "HOME=/root\nexport HOME\n",
}
_CRON = """#!/bin/sh
#
# PROVIDE: cron
# REQUIRE: LOGIN FILESYSTEMS
# KEYWORD: shutdown

. /etc/rc.subr

name="cron"
desc="Daemon to execute scheduled commands"
rcvar="cron_enable"
command="/usr/sbin/cron"
pidfile="/var/run/cron.pid"

load_rc_config $name
run_rc_command "$1"
"""
_CRON_PROGRAM = """#!/bin/sh
# Holds the place of cron(8): it waits, and says nothing.
setsid sleep infinity </dev/null >/dev/null 2>&1 &
echo $! > /var/run/cron.pid
"""


def ensure_mirror(sandbox: Path) -> Path:
    """The mirror of the sandbox in a folder, built when it is missing: `DIR/mirror`."""
    directory = sandbox.resolve() / "mirror"
    mark = directory / ".complete"
    if not mark.is_file() or mark.read_text() != _FORMAT:
        build(directory)
        mark.write_text(_FORMAT)
    return directory


def build(directory: Path, day: date | None = None) -> None:
    """Write releases and packages below `directory`; ends of life are counted from `day`, today when absent."""
    for release in RELEASES:
        folder = directory / "releases" / "amd64" / "amd64" / release
        folder.mkdir(parents=True, exist_ok=True)
        data, members = base(release)
        _put(folder / "base.txz", data)
        digest = hashlib.sha256(data).hexdigest()
        line = f'base.txz\t{digest}\t{members}\tbase\t"Base system (MANDATORY)"\ton\n'
        _put(folder / "MANIFEST", line.encode())
    _updates(directory / "updates", day or today())
    for abi in ABI.values():
        packages(directory / "pkg" / abi / "latest")
    key = signing.make_key(SEED)
    place = directory / "base" / ABI["15"] / base_mirror.FOLDER.replace("${VERSION_MINOR}", "1")
    base_mirror.publish(place, base_packages("15.1-RELEASE", LEVELS["15.1-RELEASE"]), key)


def _updates(folder: Path, day: date) -> None:
    """The update server: tags, and the patches that they lead to."""
    key = signing.make_key(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    for release in RELEASES:
        update_mirror.publish(folder, patches(release, day), key)
    _put(folder / "key-print", key.key_print.encode())


def key_print(directory: Path) -> str:
    """The SHA256 of the key that signs the tags of a mirror that was built."""
    return (directory / "updates" / "key-print").read_text()


def _put(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.rename(path)


def base(release: str) -> tuple[bytes, int]:
    """base.txz of a release and how many members it has."""
    return _archive(sorted(folders()), files(release), prefix="./")


def end_of_life(release: str, day: date) -> date:
    """The last supported day of a release of a mirror that was made on `day`."""
    return day + timedelta(days=SUPPORTED[release])


def patches(release: str, day: date) -> update_mirror.Offer:
    """What freebsd-update(8) makes of a release: its version, and one file of each kind of change."""
    level = LEVELS[release]
    old = files(release)
    new = dict(old)
    new["bin/freebsd-version"] = (0o555, _VERSION_SCRIPT.format(release=f"{release}-p{level}"))
    new["etc/defaults/rc.conf"] = (0o644, _TEXTS["etc/defaults/rc.conf"] + 'patched_enable="NO"\n')
    new["usr/share/patched"] = (0o444, f"This came with patch level {level}.\n")
    del new["etc/newsyslog.conf"]
    end = datetime.combine(end_of_life(release, day), time(), UTC)
    return update_mirror.Offer(release, level, old, new, int(end.timestamp()))


def base_packages(release: str, level: int) -> list[base_mirror.Package]:
    """A release as packages, at a level: the same files as its base.txz, and two sets for jails."""
    tree = files(release)
    if level:
        tree["bin/freebsd-version"] = (0o555, _VERSION_SCRIPT.format(release=f"{release}-p{level}"))
    return base_mirror.divided(release, level, ABI[release.partition(".")[0]], tree, sorted(folders()))


def folders() -> frozenset[str]:
    """The folders of a release."""
    return frozenset({*_FOLDERS, *(place.lstrip("/") for _, place in userland.loader_places()), "usr/lib64"})


def files(release: str) -> dict[str, tuple[int, str]]:
    """The files of a release by path: mode and text."""
    folder = resources.files("reconciler.hosts.sandbox").joinpath("userland")
    scripts = {source.name: source.read_text() for source in folder.iterdir() if source.is_file()}
    found: dict[str, tuple[int, str]] = {name: (0o644, text) for name, text in _TEXTS.items()}
    for name in sorted({*userland.TOOLS, "sh", *userland.JAIL_SHIMS, *scripts} - {"rc", "rc.shutdown", "rc.subr"}):
        found[f"{userland.home(name)}/{name}"] = (0o555, userland.stub(name))
    found["usr/sbin/nologin"] = (0o555, '#!/bin/sh\necho "This account is currently not available."\nexit 1\n')
    found["bin/freebsd-version"] = (0o555, _VERSION_SCRIPT.format(release=release))
    found["etc/rc.d/cron"] = (0o555, _CRON)
    found["usr/sbin/cron"] = (0o555, _CRON_PROGRAM)
    for name in ("rc", "rc.shutdown", "rc.subr"):
        text = scripts[name].replace(f"#!{userland.PLACE}/bin/sh", "#!/bin/sh")
        found[f"etc/{name}"] = (0o644, text)
    return found


def _archive(folders: list[str], files: dict[str, tuple[int, str]], *, prefix: str) -> tuple[bytes, int]:
    held = io.BytesIO()
    count = 0
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ["", *folders] if folders else []:
            info = tarfile.TarInfo(prefix + name if name else ".")
            info.type, info.mode = tarfile.DIRTYPE, _MODES.get(name, 0o755)
            archive.addfile(_stamped(info))
            count += 1
        for name, (mode, text) in sorted(files.items()):
            data = text.encode()
            info = tarfile.TarInfo(prefix + name)
            info.size, info.mode = len(data), mode
            archive.addfile(_stamped(info), io.BytesIO(data))
            count += 1
    return lzma.compress(held.getvalue(), preset=1), count


def _stamped(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime, info.uname, info.gname = _TIME, "root", "wheel"
    return info


def packages(folder: Path, offered: Iterable[toys.Toy] | None = None) -> None:
    """A package repository: `All/NAME-VERSION.pkg`, and `packagesite.jsonl` with a line for each.

    What it had before goes, as FreeBSD's repositories keep only the newest build of a package.
    """
    shutil.rmtree(folder / "All", ignore_errors=True)
    (folder / "All").mkdir(parents=True)
    lines = []
    for toy in toys.catalogue() if offered is None else offered:
        files = {name.lstrip("/"): entry for name, entry in toy.files.items()}
        data, _ = _archive([], {"+MANIFEST": (0o644, _manifest(toy)), **files}, prefix="")
        path = f"All/{toy.name}-{toy.version}.pkg"
        _put(folder / path, data)
        lines.append(json.dumps({
            "name": toy.name, "version": toy.version, "comment": toy.comment, "deps": list(toy.needs),
            "sum": hashlib.sha256(data).hexdigest(), "path": path, "files": sorted(toy.files), "script": toy.script,
        }))  # fmt: skip
    _put(folder / "packagesite.jsonl", ("\n".join(lines) + "\n").encode())


def _manifest(toy: toys.Toy) -> str:
    """What an archive says of itself, in pkg's own names: the first member of each."""
    return json.dumps({
        "name": toy.name, "origin": f"local/{toy.name}", "version": toy.version, "comment": toy.comment,
        "deps": {name: {"origin": f"local/{name}"} for name in toy.needs},
        "files": dict.fromkeys(sorted(toy.files), "-"),
        "scripts": {"post-install": toy.script} if toy.script else {},
    }, sort_keys=True)  # fmt: skip


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's own name
        """Say nothing."""


def serve(directory: Path) -> tuple[str, Callable[[], None]]:
    """Serve a folder over HTTP on the loopback: its URL (no slash at the end), and the call that stops it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return f"http://127.0.0.1:{server.server_address[1]}", stop
