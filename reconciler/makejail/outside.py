"""Folders that INCLUDE enters and that lie out of the first file's folder: those of repositories, downloads and others.

Where they lie on the machine of the tool differs from user to user, so a name stands for each in digests and in
scripts; host code finds a copy of the folder, as far as it is more than the included file, beside the Makejail's own.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.makejail.lines import head
from reconciler.makejail.sources import Sources
from reconciler.makejail.tokens import words

_ALONE = ("cmd", "fetch")
"""Methods that give one file and no folder."""


@dataclass(frozen=True, slots=True)
class Outside:
    """One such folder. `path` is absolute; `name` is the same on every machine; it is staged as
    `$RECONCILER_INCLUDED/NUMBER`, empty unless `whole`."""

    path: str
    name: str
    number: int
    whole: bool = True

    @property
    def remote(self) -> bool:
        """Whether it comes from elsewhere; another folder of the user's own is named from the first file's."""
        return self.name.split("/")[0] != ".."

    def holds(self, path: str) -> bool:
        """Whether an absolute path is this folder or lies in it."""
        return path == self.path or path.startswith(self.path.rstrip("/") + "/")

    def below(self, path: str) -> str:
        """The rest of a path that it holds; "" for itself."""
        return path[len(self.path) :].lstrip("/")

    def named(self, path: str) -> str:
        """What stands for a path that it holds."""
        return posixpath.join(self.name, self.below(path)) if self.below(path) else self.name


def named(path: str, outside: Iterable[Outside]) -> str:
    """What stands for an absolute path; itself where no such folder holds it."""
    return next((one.named(path) for one in outside if one.holds(path)), path)


@dataclass(slots=True)
class Outsides:
    """Those found so far, in order; `root` is the first file's folder once it is known."""

    found: list[Outside] = field(default_factory=list)
    root: str = ""

    def enter(self, argument: str, path: str, root: str, sources: Sources) -> None:
        """Take note of the file at `path` that an INCLUDE argument led to."""
        self.root = root
        method, rest = head(argument, "+")
        folder = posixpath.dirname(sources.realpath(path))
        if not rest.strip() or method == "file":
            if not self._inside(folder) and self.of(folder) is None:
                self._add(folder, posixpath.relpath(folder, root), True)
            return
        given = words(rest)
        top = folder if method in _ALONE else sources.realpath(_top(path, given))
        if self.of(top) is None:
            self._add(top, f"{method}+{given[0] if given else ''}", method not in _ALONE)

    def of(self, folder: str) -> Outside | None:
        """The one that holds a folder; None for what is the first file's own."""
        holding = (one for one in self.found if one.holds(folder))
        return next((one for one in holding if not (self._inside(folder) and one.holds(self.root))), None)

    def _inside(self, folder: str) -> bool:
        return folder == self.root or folder.startswith(self.root.rstrip("/") + "/")

    def _add(self, path: str, name: str, whole: bool) -> None:
        number = len(self.found)
        taken = any(one.name == name for one in self.found)
        self.found.append(Outside(path, f"{name}#{number}" if taken else name, number, whole))


def _top(path: str, given: list[str]) -> str:
    """The folder of the repository that a method gave the file of."""
    file = given[given.index("--file") + 1] if "--file" in given[:-1] else "Makejail"
    return path[: -len(file)].rstrip("/") or "/" if path.endswith("/" + file) else posixpath.dirname(path)
