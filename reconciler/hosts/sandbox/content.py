"""Trees on disk: what datasets and snapshots hold, made by copying and renamed into place.

`DIR/data/ID` is a tree. Beside it, `ID.meta` keeps what an unprivileged user cannot set (see
`sidecar.py`) and `ID.objects` which object each file was before it was copied, so that a rename can be
told from a removal. A tree appears under its name only when it is whole.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

try:
    from fcntl import ioctl
except ImportError:  # pragma: no cover - every Unix has it
    ioctl = None  # type: ignore[assignment]

_FICLONE = 0x40049409
Mark = list[int]


class Contents:
    """The trees of one machine."""

    def __init__(self, folder: Path) -> None:
        """Keep them in `folder`."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.empty = folder / "empty"
        self.empty.mkdir(exist_ok=True)
        self.measured: dict[str, tuple[int, list[int]]] = {}

    def path(self, content: str) -> Path:
        """Where a tree lies; "" is the empty one, which nobody may write."""
        return self.folder / content if content else self.empty

    def copy(self, content: str) -> str:
        """A new tree, equal to `content`; its name."""
        name = secrets.token_hex(8)
        temporary = self.folder / f"tmp-{name}"
        objects = copy_tree(self.path(content), temporary, self.objects(content), content)
        if content and (meta := self.folder / f"{content}.meta").exists():
            shutil.copyfile(meta, self.folder / f"{name}.meta")
        if objects:
            (self.folder / f"{name}.objects").write_text(json.dumps(objects))
        os.rename(temporary, self.folder / name)
        return name

    def objects(self, content: str) -> dict[str, str]:
        """The object of each inode that was copied from elsewhere."""
        try:
            found: dict[str, str] = json.loads((self.folder / f"{content}.objects").read_text())
        except FileNotFoundError:
            return {}
        return found

    def remove(self, content: str) -> None:
        """Delete a tree nobody refers to."""
        if content:
            remove_tree(self.folder / content)
            for suffix in ("meta", "objects"):
                (self.folder / f"{content}.{suffix}").unlink(missing_ok=True)

    def sweep(self, wanted: set[str]) -> None:
        """Delete what a killed process left: trees that no dataset and no snapshot names."""
        for entry in list(os.scandir(self.folder)):
            if entry.name != "empty" and entry.name.split(".")[0] not in wanted:
                remove_tree(self.folder / entry.name)

    def mark(self, content: str) -> Mark:
        """A number list that differs once anything in the tree was changed."""
        return self.measure(content)[:4]

    def measure(self, content: str, since: Mark | None = None) -> list[int]:
        """Entries, newest change (ns), sum of sizes and times, sidecar size, bytes, bytes changed since."""
        entries = newest = weight = size = changed = 0
        after = since[1] if since else 0
        if content:
            for info in _infos(str(self.path(content))):
                entries += 1
                newest = max(newest, info.st_ctime_ns)
                weight += info.st_size + info.st_mtime_ns % 1_000_000_007 + info.st_nlink
                size += info.st_blocks * 512
                if info.st_ctime_ns > after:
                    changed += max(512, info.st_blocks * 512)
            meta = self.folder / f"{content}.meta"
            return [entries, newest, weight, meta.stat().st_size if meta.exists() else 0, size, changed]
        return [0, 0, 0, 0, 0, 0]


def _infos(folder: str) -> Iterator[os.stat_result]:
    yield os.lstat(folder)
    pending = [folder]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except (FileNotFoundError, PermissionError):
            continue
        for entry in entries:
            try:
                yield entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)


def copy_tree(source: Path, target: Path, objects: dict[str, str], origin: str) -> dict[str, str]:
    """Copy a tree with links, modes and times. Returns the object behind each new inode.

    Links between names stay links inside the copy; no file is ever shared with the source.
    """
    copied: dict[str, str] = {}
    linked: dict[int, str] = {}
    folders: list[tuple[str, os.stat_result]] = []
    pending = [(str(source), str(target))]
    os.mkdir(target)
    while pending:
        here, there = pending.pop()
        info = os.lstat(here)
        folders.append((there, info))
        _note(copied, objects, origin, info, there)
        for entry in list(os.scandir(here)):
            try:
                info = entry.stat(follow_symlinks=False)
                new = f"{there}/{entry.name}"
                if stat.S_ISDIR(info.st_mode):
                    os.mkdir(new)
                    pending.append((entry.path, new))
                    continue
                if copy_entry(entry.path, new, info, linked):
                    _note(copied, objects, origin, info, new)
            except FileNotFoundError:
                continue  # a running process took it away meanwhile
    for folder, info in reversed(folders):
        os.chmod(folder, stat.S_IMODE(info.st_mode) | 0o700)
        os.utime(folder, ns=(info.st_atime_ns, info.st_mtime_ns))
    return copied


def _note(copied: dict[str, str], objects: dict[str, str], origin: str, info: os.stat_result, new: str) -> None:
    copied[str(os.lstat(new).st_ino)] = objects.get(str(info.st_ino), f"{origin}:{info.st_ino}")


def copy_entry(old: str, new: str, info: os.stat_result, linked: dict[int, str]) -> bool:
    """Copy what is no folder; False where it became one more name of what was copied, or is a socket."""
    if info.st_nlink > 1:
        if info.st_ino in linked:
            os.link(linked[info.st_ino], new, follow_symlinks=False)
            return False
        linked[info.st_ino] = new
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(old), new)
        os.utime(new, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)
        return True
    if stat.S_ISFIFO(info.st_mode):
        os.mkfifo(new, stat.S_IMODE(info.st_mode))
    elif stat.S_ISREG(info.st_mode):
        _copy_file(old, new)
        os.chmod(new, stat.S_IMODE(info.st_mode))
    else:
        return False  # sockets die with their process
    os.utime(new, ns=(info.st_atime_ns, info.st_mtime_ns))
    return True


def _copy_file(old: str, new: str) -> None:
    with open(old, "rb", buffering=0) as reader, open(new, "xb", buffering=0) as writer:
        try:
            ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            shutil.copyfileobj(reader, writer, 1024 * 1024)


def remove_tree(path: Path) -> None:
    """Delete a file or a tree, also folders whose owner made them unwritable."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for folder, _names, _files in os.walk(path):
        if os.lstat(folder).st_mode & 0o700 != 0o700:
            os.chmod(folder, 0o700)
    shutil.rmtree(path, ignore_errors=True)
