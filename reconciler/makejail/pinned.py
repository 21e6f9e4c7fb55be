"""INCLUDE from the network, held to a lock: repositories at exactly one commit, files of exactly one digest.

What is there is kept in a folder of the tool's own, one folder for each commit, and never changed again. Nothing of
a repository runs: no hooks, no submodules, no filters, and none of git's configuration when its files are written.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.cache import Cache
from reconciler.download import fetch, fetch_bytes
from reconciler.makejail.commanded import CommandError, output
from reconciler.makejail.include import Method, OwnOnly
from reconciler.makejail.problem import DATA, MISSING, UNAVAILABLE, USAGE, MakejailError, problem
from reconciler.makejail.quoting import literal_text
from reconciler.makejail.remote import BASES, LIMIT, failed, git_words, inside_repository, repository_name, run
from reconciler.makejail.tokens import words
from reconciler.model.diagnostic import FetchError, Span
from reconciler.spec.lock import git_key

PRINTED = 1 << 20
"""Bytes that a command of INCLUDE cmd+ may print."""
SECONDS = 120.0
"""Seconds that it may take."""
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_FETCHING = (
    "git",
    "-c", "core.hooksPath=/dev/null",
    "-c", "protocol.ext.allow=never",
    "-c", "protocol.file.allow=user",
    "-c", "fetch.recurseSubmodules=false",
)  # fmt: skip
# Writing out files needs nothing of the user's: a filter of theirs (LFS) would run on a stranger's content.
_CLEAN = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
}


@dataclass(slots=True)
class Pinned:
    """What is pinned (`git`: URL#BRANCH to commit, `files`: URL to SHA256), kept below `cache`.

    With `learn` what is missing is asked of the network and added to them; else it is an error. `used` are the
    keys that were asked for. `commands` maps what cmd+ runs to SHA256; what it printed lies in `beside`. A command is
    run only to learn, for a file of the user's own below `area`, and where nothing has `held_back`: it says what to do.
    """

    git: dict[str, str]
    files: dict[str, str]
    cache: Path
    learn: bool = False
    used: set[tuple[str, str]] = field(default_factory=set)
    commands: dict[str, str] = field(default_factory=dict)
    beside: Path | None = None
    area: Path | None = None
    held_back: str = "Look at what it runs, then: reconcile lock --run-commands"

    def methods(self) -> Mapping[str, Method]:
        """The ways of including that can be pinned, for `flatten`; cmd where there is a place for what it prints."""
        named = {name: self._based(base) for name, base in BASES.items()}
        here = {"cmd": OwnOnly(self._command)} if self.beside is not None else {}
        return {"fetch": self._fetch, "git": self._git, **named, **here}

    def _command(self, rest: str, cwd: str, span: Span) -> str:
        """What a command printed when the lock was written."""
        assert self.beside is not None
        kept, folder = self.beside.absolute(), Path(os.path.realpath(cwd))
        if not self._own(folder):
            detail = f"{rest}: a file that is itself included from elsewhere has no command run."
            hint = "Put what it prints beside your own Makejail, and include it by its path."
            summary = "This way of including is not available"
            raise problem(UNAVAILABLE, "include-method-unavailable", summary, detail, hint, span)
        key = command_key(rest, os.path.relpath(folder, os.path.realpath(kept.parent)))
        self.used.add(("commands", key))
        if key not in self.commands and self.learn and not self.held_back:
            line = " ".join(f'"{literal_text(word)}"' for word in words(rest, span))
            try:
                data = output(("sh", "-c", line), str(folder), limit=PRINTED, timeout=SECONDS)
                self.commands[key] = hashlib.sha256(data).hexdigest()
                _put(kept / self.commands[key], data)
            except CommandError as error:
                raise failed(rest, str(error), DATA, span) from error
            except OSError as error:
                raise failed(rest, f"{kept}: {error.strerror}.", UNAVAILABLE, span) from error
        sha256 = self.commands.get(key)
        if sha256 is None:
            detail = f"cmd+{rest} runs on the machine of the tool, and reconcile.lock does not hold what it printed."
            raise problem(USAGE, "include-unpinned", "What is included is not pinned", detail, self.held_back, span)
        if not _holds(kept / sha256, sha256):
            raise failed(rest, f"{kept / sha256}, which the lock names, is not there or not as it was.", MISSING, span)
        return str(kept / sha256)

    def _own(self, folder: Path) -> bool:
        """Whether a folder is the user's own: not what was included from elsewhere, or printed by a command."""
        others = [Path(os.path.realpath(one)) for one in (self.cache, self.beside) if one is not None]
        inside = self.area is None or folder.is_relative_to(os.path.realpath(self.area))
        return inside and not any(folder.is_relative_to(one) for one in others)

    def _based(self, base: str) -> Method:
        return lambda rest, cwd, span: self._repository(rest, cwd, span, base)

    def _git(self, rest: str, cwd: str, span: Span) -> str:
        return self._repository(rest, cwd, span)

    def _fetch(self, rest: str, _cwd: str, span: Span) -> str:
        """A file by its URL, the whole rest of the line."""
        self.used.add(("files", rest))
        try:
            if rest not in self.files and self.learn:
                self.files[rest] = hashlib.sha256(fetch_bytes(rest, limit=LIMIT)).hexdigest()
            sha256 = self.files.get(rest)
            if sha256 is None:
                raise _unpinned(rest, span)
            folder = self.cache / "files" / sha256
            if not _holds(folder / "Makejail", sha256):
                found = fetch(rest, sha256, Cache(self.cache / "fetched"), limit=LIMIT)
                _put(folder / "Makejail", found.read_bytes())
            return str(folder / "Makejail")
        except FetchError as error:
            (first, *_others) = error.diagnostics
            raise failed(rest, first.detail or first.summary, UNAVAILABLE, span) from error
        except OSError as error:
            raise failed(rest, f"{self.cache}: {error.strerror}.", UNAVAILABLE, span) from error

    def _repository(self, rest: str, cwd: str, span: Span, base: str = "") -> str:
        """A file of a repository at the commit that is pinned."""
        url, branch, file = git_words(rest, span, base)
        key = git_key(url, branch)
        self.used.add(("git", key))
        if key not in self.git and self.learn:
            self.git[key] = tip(url, branch, cwd, span)
        commit = self.git.get(key)
        if commit is None:
            raise _unpinned(key, span)
        try:
            folder = self._checked_out(url, branch, commit, cwd, span)
        except OSError as error:
            raise failed(url, f"{self.cache}: {error.strerror}.", UNAVAILABLE, span) from error
        return inside_repository(url, str(folder), file, span)

    def _checked_out(self, url: str, branch: str, commit: str, cwd: str, span: Span) -> Path:
        place = self.cache / "git" / repository_name(url, branch)
        folder = place / commit
        if folder.is_dir():
            return folder
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(place / "lock", "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                _fetched(place / "repository", url, branch, commit, cwd, span)
                _written(place, commit, span, url)
        return folder


def command_key(rest: str, folder: str) -> str:
    """The name in the lock of what a command of a Makejail in `folder`, relative to the lock's, printed."""
    return rest.strip() if folder == "." else f"{folder}: {rest.strip()}"


def forget(beside: Path, wanted: Iterable[str]) -> None:
    """Remove what commands printed once and the lock does not name any more."""
    kept = set(wanted)
    with contextlib.suppress(OSError):
        for path in beside.iterdir():
            if re.fullmatch("[0-9a-f]{64}", path.name) and path.name not in kept:
                path.unlink()
        if not kept:
            beside.rmdir()


def tip(url: str, branch: str, cwd: str, span: Span) -> str:
    """The commit that a branch or tag (or HEAD, for "") is at now. Raises MakejailError, `include-failed`."""
    _have_git(url, span)
    wanted = [f"refs/heads/{branch}", f"refs/tags/{branch}^{{}}", f"refs/tags/{branch}"] if branch else ["HEAD"]
    told = run((*_FETCHING, "ls-remote", "-q", "--", url, *wanted), cwd, span, url)
    lines = (line.partition("\t") for line in told.decode("utf-8", "replace").splitlines())
    rows = {name: found for found, _tab, name in lines}
    commit = next((rows[name] for name in wanted if name in rows), "")
    if not _COMMIT.fullmatch(commit):
        raise failed(url, f"It has no branch or tag {branch or 'HEAD'}.", DATA, span)
    return commit


def _fetched(repository: Path, url: str, branch: str, commit: str, cwd: str, span: Span) -> None:
    """Have the commit in the bare repository; a branch that was rewritten may still give it by its name."""
    _have_git(url, span)
    here = (*_FETCHING, f"--git-dir={repository}")
    if not (repository / "HEAD").exists():
        run((*here, "init", "-q", "--bare", "--template=", str(repository)), cwd, span, url)
    if _has(here, commit, cwd, span):
        return
    take = (*here, "fetch", "-q", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--", url)
    for wanted in (f"+{branch or 'HEAD'}:refs/reconciler/tip", f"+{commit}:refs/reconciler/pin"):
        try:
            run((*take, wanted), cwd, span, url)
        except MakejailError as error:
            if wanted.startswith(f"+{commit}") or not _refused(error):
                raise
        if _has(here, commit, cwd, span):
            return
    raise failed(url, f"The commit {commit}, which the lock names, is not there any more.", UNAVAILABLE, span)


def _refused(error: MakejailError) -> bool:
    """Whether the branch has gone; the commit may still be there."""
    return "couldn't find remote ref" in error.diagnostics[0].detail


def _has(here: tuple[str, ...], commit: str, cwd: str, span: Span) -> bool:
    try:
        return run((*here, "cat-file", "-t", commit), cwd, span, commit).strip() == b"commit"
    except MakejailError:
        return False


def _written(place: Path, commit: str, span: Span, url: str) -> None:
    """Write out the files of a commit, beside their place first."""
    new = Path(tempfile.mkdtemp(dir=place, prefix=".new."))
    index = place / ".index"
    try:
        git = (*_FETCHING, "-c", "core.symlinks=true", f"--git-dir={place / 'repository'}", f"--work-tree={new}")
        index.unlink(missing_ok=True)
        environment = {**_CLEAN, "GIT_INDEX_FILE": str(index)}
        run((*git, "read-tree", "--reset", "-u", "--no-recurse-submodules", commit), str(new), span, url, environment)
        new.rename(place / commit)
    finally:
        index.unlink(missing_ok=True)
        shutil.rmtree(new, ignore_errors=True)


def _holds(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    with open(descriptor, "wb") as file:
        file.write(data)
    os.replace(temporary, path)


def _have_git(url: str, span: Span) -> None:
    if shutil.which("git") is None:
        detail = f"{url} is read with git, and there is none."
        raise problem(UNAVAILABLE, "git-missing", "The program git is missing", detail, "pkg install git", span)


def _unpinned(what: str, span: Span) -> MakejailError:
    detail = f"{what} is on the network, and reconcile.lock does not say which state of it is meant."
    return problem(USAGE, "include-unpinned", "What is included is not pinned", detail, "reconcile lock", span)
