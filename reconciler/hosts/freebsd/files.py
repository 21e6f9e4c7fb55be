"""Files of the host: the Files facet over a Runner's own file methods, mkdir(1), rm(1), tar(1), sh(1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from reconciler.hosts.freebsd.failure import failed, run
from reconciler.model.command import Command, Completed, Output, Runner

EXTRACT_TIMEOUT = 6 * 3600.0
"""Seconds that unpacking an archive may take."""


ABSENT = b"No such file or directory"


def mkdir(path: str, mode: int) -> tuple[str, ...]:
    """Make a folder and its parents; the mode is that of the last one."""
    return ("mkdir", "-p", "-m", f"{mode:04o}", path)


def listed(path: str, kind: str) -> tuple[str, ...]:
    """Name everything of a kind below a folder, on its file system, by find(1), which follows no link."""
    return ("find", path, "-xdev", "-type", kind, "-print0")


NAMES = ("LC_ALL", "C.UTF-8")
"""The locale that tar(1) needs to unpack names beyond ASCII, which it takes for an error elsewhere."""


def extract(target: str) -> tuple[str, ...]:
    """Unpack standard input below `target`. Without -P, bsdtar refuses `..` and paths through symlinks."""
    return ("tar", "-xpf", "-", "-C", target)


class HostFiles:
    """The Files facet. Every method raises HostError when it fails."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def read(self, path: str) -> bytes | None:
        """The content of a regular file, None where there is none; symlinks are refused."""
        return self._runner.read(path)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file whole, by rename; its folder must exist."""
        self._runner.write(path, data, mode)

    def write_all(self, folder: str, files: Sequence[tuple[str, bytes, int]]) -> None:
        """Write files below a folder of ours, in order, each whole and by rename; folders in it are made."""
        for below in sorted({path.rpartition("/")[0] for path, _, _ in files} - {""}):
            self.mkdir(f"{folder}/{below}", 0o700)
        self._runner.write_all([(f"{folder}/{path}", data, mode) for path, data, mode in files])

    def remove(self, path: str) -> None:
        """Remove a file; fine where there is none."""
        run(self._runner, Command(("rm", "-f", path)), "file-failed", "A file could not be changed")

    def clear(self, path: str) -> None:
        """Remove a folder of ours and all that is in it; fine where there is none. Links are not followed."""
        run(self._runner, Command(("rm", "-rf", path)), "file-failed", "A file could not be changed")

    def rmdir(self, path: str) -> None:
        """Remove an empty folder of ours; one that holds something, is a mount point or is not there stays as it is."""
        self._runner.run(Command(("rmdir", path)))

    def chmod(self, path: str, mode: int) -> None:
        """Set the mode of a file or folder of ours."""
        run(self._runner, Command(("chmod", f"{mode:04o}", path)), "file-failed", "A file could not be changed")

    def listed(self, path: str, kind: str) -> tuple[str, ...]:
        """Paths, relative to `path`, of folders (d), links (l) or files (f) below it; no link is followed."""
        done = run(self._runner, Command(listed(path, kind)), "file-failed", "A folder could not be listed")
        found = (item.decode("utf-8", "surrogateescape") for item in done.stdout.split(b"\0"))
        return tuple(item.removeprefix(f"{path}/") for item in found if item.startswith(f"{path}/"))

    def mkdir(self, path: str, mode: int = 0o755) -> None:
        """Make a folder and its parents; fine where it is there."""
        run(self._runner, Command(mkdir(path, mode)), "file-failed", "A file could not be changed")

    def extract(self, archive: Iterable[bytes], target: str) -> None:
        """Unpack a tar stream of any compression below a folder of ours."""
        command = Command(extract(target), stdin=archive, timeout=EXTRACT_TIMEOUT, env=(NAMES,))
        run(self._runner, command, "extract-failed", "An archive could not be unpacked")

    def send(self, path: str, sink: Output) -> None:
        """Give the content of a file to `sink`, in order, however much it is."""
        command = Command(("cat", path), timeout=EXTRACT_TIMEOUT, sink=sink)
        run(self._runner, command, "file-failed", "A file could not be read")

    def sha256(self, path: str) -> str:
        """The digest of a file, hexadecimal; "" where there is none."""
        command = Command(("sha256", "-q", path), timeout=EXTRACT_TIMEOUT)
        return self._where_there(command).decode("ascii", "replace").strip()

    def names(self, folder: str) -> tuple[str, ...]:
        """The names in a folder, in no order; none where there is no folder."""
        return tuple(self._where_there(Command(("ls", "-A", folder))).decode("utf-8", "replace").split("\n")[:-1])

    def _where_there(self, command: Command) -> bytes:
        """What a command says of a path, nothing where it says that there is no such path."""
        done = self._runner.run(command)
        if done.status and ABSENT in done.stderr:
            return b""
        if done.status:
            raise failed(done, "file-failed", "A file could not be read")
        return done.stdout

    def script(
        self,
        path: str,
        env: Mapping[str, str],
        *,
        timeout: float = 6 * 3600.0,
        output: Output | None = None,
        stdin: bytes | Iterable[bytes] = b"",
    ) -> Completed:
        """Run a script that lies on the host with sh(1) and return how it ended, whatever its status.

        The environment is handed over as such, not in the argument vector, where ps(1) would show it.
        """
        words = tuple(env.items())
        return self._runner.run(Command(("sh", path), stdin=stdin, timeout=timeout, env=words, output=output))

    def lock(self, path: str, holder: str) -> AbstractContextManager[None]:
        """Hold a kernel lock; Refused (code `locked`) names who holds it."""
        return self._runner.lock(path, holder)
