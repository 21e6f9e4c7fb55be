"""Archives into and out of a tree of the sandbox, with bsdtar's care for where members lead.

No member is written outside the folder, through a link, or for real with an owner or a flag: those go
to the sidecar.
"""

from __future__ import annotations

import base64
import io
import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from reconciler.hosts.sandbox import beneath
from reconciler.hosts.sandbox.answer import reason
from reconciler.hosts.sandbox.sidecar import Meta, Sidecar

BROKEN = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError)
_XATTR = "SCHILY.xattr."
_LIBARCHIVE = "LIBARCHIVE.xattr."


class Chunks(io.RawIOBase):
    """A readable file over chunks of bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Read `chunks` as they are needed."""
        self._chunks = iter(chunks)
        self._left = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Exactly `size` bytes unless the end comes first."""
        parts, wanted = [], size if size >= 0 else 1 << 62
        while wanted:
            if not self._left:
                self._left = next(self._chunks, b"")
                if not self._left:
                    break
            parts.append(self._left[:wanted])
            self._left = self._left[wanted:]
            wanted -= len(parts[-1])
        return b"".join(parts)


class Extraction:
    """Members written below `tree/inside`. `complain` hears of each that was refused."""

    def __init__(
        self,
        tree: Path,
        inside: str,
        sidecar: Sidecar,
        complain: Callable[[str], None],
        *,
        keep: bool = False,
    ) -> None:
        """With `keep`, what is already there stays."""
        self.tree, self.inside, self.sidecar = tree, inside, sidecar
        self.complain, self.keep = complain, keep
        self._stripped = False
        self._folders: list[tuple[str, tarfile.TarInfo]] = []

    def add(self, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        """Write one member under `name`."""
        if name.startswith("/"):
            if not self._stripped:
                self.complain("Removing leading '/' from member names")
            self._stripped = True
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            self.complain(f"{name}: Path contains '..'")
            return
        if not parts:
            if member.isdir():
                self._folders.append((self.inside, member))
            return
        try:
            self._write(archive, member, parts)
        except OSError as error:
            self.complain(f"{name}: {reason(error)}")

    def finish(self) -> None:
        """Modes and times of folders, once nothing is written into them any more."""
        for path, member in reversed(self._folders):
            self._describe(path, member)
            with beneath.folder(self.tree, path) as fd:
                os.utime(fd, (member.mtime, member.mtime))
        self.sidecar.flush()

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, parts: list[str]) -> None:
        folder = self._enter(parts[:-1], "/".join(parts))
        if folder is None:
            return
        path = "/".join(part for part in (self.inside, *parts) if part)
        try:
            if self._in_the_way(folder, parts[-1], member):
                return
            if member.isdir():
                self._folders.append((path, member))
                return
            self._create(archive, member, folder, parts[-1])
        finally:
            os.close(folder)
        if not member.islnk():
            self._describe(path, member)
        elif known := self.sidecar.get("/".join(part for part in (self.inside, *self._parts(member)) if part)):
            self.sidecar.put(path, known)

    def _enter(self, parts: list[str], shown: str) -> int | None:
        """A descriptor of the folder, made when absent; None when a link is in the way."""
        with beneath.folder(self.tree, self.inside) as start:
            fd = os.dup(start)
        for place, part in enumerate(parts):
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            except FileNotFoundError:
                os.mkdir(part, 0o755, dir_fd=fd)
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            except OSError:
                os.close(fd)
                self.complain(f"{shown}: Cannot extract through symlink {'/'.join(parts[: place + 1])}")
                return None
            os.close(fd)
            fd = below
        return fd

    def _in_the_way(self, folder: int, name: str, member: tarfile.TarInfo) -> bool:
        """Clear the place. True when what is there stays: a folder for a folder, or anything with `keep`."""
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            if member.isdir():
                os.mkdir(name, 0o755, dir_fd=folder)
            return False
        if self.keep:
            return True
        if stat.S_ISDIR(mode):
            if not member.isdir():
                os.rmdir(name, dir_fd=folder)
            return False
        os.unlink(name, dir_fd=folder)
        if member.isdir():
            os.mkdir(name, 0o755, dir_fd=folder)
        return False

    def _create(self, archive: tarfile.TarFile, member: tarfile.TarInfo, folder: int, name: str) -> None:
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=folder)
            os.utime(name, (member.mtime, member.mtime), dir_fd=folder, follow_symlinks=False)
        elif member.islnk():
            self._link(member, folder, name)
        elif member.isfifo():
            os.mkfifo(name, 0o600, dir_fd=folder)
        elif member.isreg():
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
            with open(fd, "wb") as out:
                source = archive.extractfile(member)
                while source is not None and (chunk := source.read(1024 * 1024)):
                    out.write(chunk)
                out.flush()
                os.utime(fd, (member.mtime, member.mtime))
        else:
            self.complain(f"{member.name}: Operation not permitted")

    @staticmethod
    def _parts(member: tarfile.TarInfo) -> list[str]:
        return [part for part in member.linkname.split("/") if part not in ("", ".")]

    def _link(self, member: tarfile.TarInfo, folder: int, name: str) -> None:
        target = self._parts(member)
        if ".." in target or not target:
            self.complain(f"{member.name}: Path contains '..'")
            return
        inside = "/".join(part for part in (self.inside, *target) if part)
        with beneath.parent(self.tree, inside) as (source, last):
            os.link(last, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)

    def _describe(self, path: str, member: tarfile.TarInfo) -> None:
        meta = Meta()
        if member.uid or member.gid:
            meta["uid"], meta["gid"] = member.uid, member.gid
        if known := self.sidecar.get(path):  # a folder that stands, or one of this name before it
            meta |= Meta(uid=member.uid, gid=member.gid)
            meta |= Meta(flags=[]) if known.get("flags") else Meta()
            meta |= Meta(xattrs={}) if known.get("xattrs") else Meta()
        if flags := member.pax_headers.get("SCHILY.fflags"):
            meta["flags"] = [flag for flag in flags.split(",") if flag]
        if xattrs := _xattrs(member.pax_headers):
            meta["xattrs"] = xattrs
        if not member.isdir():
            self.sidecar.drop(path)
        if meta:
            self.sidecar.put(path, meta)
        if not (member.issym() or member.islnk()):
            self.sidecar.chmod(path, member.mode & 0o7777)


def _xattrs(headers: Mapping[str, str]) -> dict[str, str]:
    """Extended attributes, base64 as LIBARCHIVE writes them."""
    found = {}
    for key, value in headers.items():
        if key.startswith(_XATTR):
            found[key[len(_XATTR) :]] = base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
        elif key.startswith(_LIBARCHIVE):
            found[key[len(_LIBARCHIVE) :]] = value
    return found


def members(
    tree: Path, inside: str, name: str, sidecar: Sidecar, linked: dict[int, str], *, deep: bool = True
) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """What an archive of `tree/inside` holds, as members named from `name`, each with its path in the tree.

    `linked` are files with several names that the archive has already; without `deep` no folder is entered.
    """
    pending = [(inside, name)]
    while pending:
        path, shown = pending.pop()
        info = os.lstat(tree / path)
        member = _member(tree, path, shown, info, sidecar)
        if member is None:
            continue
        if info.st_nlink > 1 and member.isreg():
            if info.st_ino in linked:
                member.type, member.linkname, member.size = tarfile.LNKTYPE, linked[info.st_ino], 0
            else:
                linked[info.st_ino] = shown
        yield member, path
        if member.isdir() and deep:
            below = sorted(os.listdir(tree / path), reverse=True)
            pending += [(f"{path}/{n}".lstrip("/"), f"{shown.rstrip('/')}/{n}") for n in below]


def _member(tree: Path, path: str, shown: str, info: os.stat_result, sidecar: Sidecar) -> tarfile.TarInfo | None:
    member = tarfile.TarInfo(shown)
    member.mtime = info.st_mtime
    member.mode = sidecar.mode(path)
    meta = sidecar.get(path)
    member.uid, member.gid = meta.get("uid", 0), meta.get("gid", 0)
    member.uname, member.gname = ("" if member.uid else "root"), ("" if member.gid else "wheel")
    headers = {_LIBARCHIVE + attribute: value for attribute, value in meta.get("xattrs", {}).items()}
    if flags := meta.get("flags"):
        headers["SCHILY.fflags"] = ",".join(flags)
    member.pax_headers = headers
    if stat.S_ISDIR(info.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(info.st_mode):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, os.readlink(tree / path), 0o755
    elif stat.S_ISFIFO(info.st_mode):
        member.type = tarfile.FIFOTYPE
    elif stat.S_ISREG(info.st_mode):
        member.size = info.st_size
    else:
        return None
    return member
