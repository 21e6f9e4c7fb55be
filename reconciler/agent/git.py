"""git(1), held on a short leash: argument vectors, no configuration but ours, no hooks, filters or helpers.

The repository is bare, so nothing of it is ever checked out by git: attributes, filters, LFS and submodules have
nothing to act on. What a remote sends is data; it is checked as it arrives (`transfer.fsckObjects`), bounded in
time and size, and read by object name.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.agent.config import SourceConfig
from reconciler.agent.remote import MAX_REPOSITORY, access, too_large, unreachable
from reconciler.model.command import Command, Completed, Runner
from reconciler.model.diagnostic import Diagnostic, FetchError, HostError

MAX_REFS = 20_000
MAX_COMMITS = 20_000
"""Commits between two that are applied one after the other."""
VAIN = 3
"""Fetches in a row after which a remote that answers is no longer held to be at fault alone."""
_LIMIT = 64 * 1024 * 1024
_LOCAL = 600.0
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.symlinks": "false",
    "core.attributesFile": "/dev/null",
    "core.logAllRefUpdates": "false",
    "credential.helper": "",
    "fetch.fsckObjects": "true",
    "transfer.fsckObjects": "true",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "submodule.recurse": "false",
    "protocol.ext.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "30",
    "gpg.x509.program": "/nonexistent",
    "log.showSignature": "false",
    "i18n.logOutputEncoding": "UTF-8",
}


Over = Callable[[bytearray, bytearray], bool]
"""Whether a command has run for long enough, by what it printed so far."""
_LEFT = ("*.lock", "gc.pid", "objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/??/tmp_obj_*", "objects/tmp_objdir*")
"""What a git that was killed leaves."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What signatures are checked against; neither: nothing verifies."""

    allowed_signers: str | None = None
    gpg_home: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """One commit as git shows it. `signature` is git's letter (G good, U good by a key of unknown worth, N none,
    B bad, X and Y expired, R revoked, E not to be checked); `signer` the principal or user id, `key` its print."""

    sha: str
    author: str
    email: str
    date: float
    subject: str
    signature: str = "N"
    signer: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree; `size` in bytes."""

    path: str
    mode: str
    oid: str
    size: int


class Repository:
    """A bare repository of ours that follows remotes. Everything raises FetchError."""

    def __init__(
        self, folder: Path, runner: Runner, *, timeout: float = 120.0, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Keep it in `folder`, which is ours alone. `timeout` (seconds) is for talking to a remote, which ends as well
        once `stop` says so."""
        self.folder, self._runner, self._timeout, self._stop = folder, runner, timeout, stop
        self.damaged = False
        """Whether git could not read something that should be there."""
        self._least, self._vain = -1, 0

    @property
    def there(self) -> bool:
        """Whether it was made, and nobody has removed it since."""
        return (self.folder / "HEAD").exists()

    def open(self) -> None:
        """Make it where it is missing; one that is damaged is made anew, for it is a copy."""
        if self.there and self._try(("rev-parse", "--is-bare-repository")).stdout == b"true\n":
            self._sweep()
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self.folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise unusable(self.folder, error) from error
        self._git(("init", "--quiet", "--bare", "--template=", "--initial-branch=none", str(self.folder)))

    def tips(self, source: SourceConfig, refs: Sequence[str]) -> dict[str, str]:
        """What these refs (patterns of ls-remote(1)) are at the remote; `^{}` ends the names of peeled tags."""
        done = self._remote(source, ("ls-remote", "--quiet", "--", source.url or "", *refs))
        found: dict[str, str] = {}
        for line in done.decode("utf-8", "replace").splitlines():
            sha, _, ref = line.partition("\t")
            if _SHA.fullmatch(sha) and len(found) < MAX_REFS:
                found[ref] = sha
        return found

    def fetch(self, source: SourceConfig, refs: Mapping[str, str]) -> None:
        """Get remote refs under names of ours, all or none. Raises FetchError, `repository-too-large` among others."""
        specs = tuple(f"+{remote}:{local}" for remote, local in refs.items())
        options = ("--quiet", "--force", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--atomic")
        progress = ("--progress",)  # so that the size is looked at while it grows
        argv = ("fetch", *options[1:], *progress, "--refmap=", "--", source.url or "", *specs)
        try:
            self._remote(source, argv, watch=self._growth())
        except FetchError as error:
            # It answered a moment ago: what git cannot do again and again may be our copy's fault as well.
            self._vain += error.__cause__ is None and not self._stop()
            self.damaged = self.damaged or self._vain >= VAIN
            self._sweep()
            raise
        self._vain = 0
        if size_of(self.folder) > MAX_REPOSITORY:
            self._shrink()
            raise FetchError(too_large(source))

    def has(self, sha: str) -> bool:
        """Whether a commit is here with all that it needs."""
        return self._try(("cat-file", "-e", f"{sha}^{{tree}}")).status == 0

    def contains(self, sha: str, older: str) -> bool:
        """Whether `older` is `sha` or among its ancestors; False where it is not here at all."""
        return self._try(("merge-base", "--is-ancestor", older, sha)).status == 0

    def commits(self, tip: str, since: str | None, keys: Keys | None = None) -> list[Made]:
        """The commits of `tip` that `since` does not have, oldest first; only `tip` where `since` is None.

        With `keys` their signatures are checked. Raises FetchError (`history-too-long`).
        """
        shown = "%H%x00%an%x00%ae%x00%ct%x00%s" + ("%x00%G?%x00%GS%x00%GF" if keys else "%x00N%x00%x00")
        some = (tip, f"^{since}") if since else ("--no-walk", tip)
        limit = (f"--max-count={MAX_COMMITS + 1}",) if since else ()
        argv = ("log", "-z", "--no-color", "--no-mailmap", *limit, f"--format=tformat:{shown}", *some, "--")
        fields = self._git(argv, keys=keys).decode("utf-8", "replace").split("\0")[:-1]
        if len(fields) % 8 or len(fields) // 8 > MAX_COMMITS:
            detail = f"{tip[:12]} has more than {MAX_COMMITS} commits that the last applied one has not."
            raise FetchError(Diagnostic("history-too-long", "There are too many commits to look at", detail))
        return [_made(fields[at : at + 8]) for at in range(0, len(fields), 8)][::-1]

    def tag_name(self, tag: str) -> str:
        """The name that a tag object says it has, which its signature covers; "" where there is no such object."""
        head = self._try(("cat-file", "tag", tag)).stdout.partition(b"\n\n")[0]
        found = re.search(rb"^tag (.+)$", head, re.MULTILINE)
        return os.fsdecode(found[1]) if found else ""

    def tag_signer(self, tag: str, keys: Keys) -> str | None:
        """Who signed a tag object; None where nobody did whom the keys know."""
        done = self._try(("verify-tag", "--raw", tag), keys=keys)
        said = done.stderr.decode("utf-8", "replace")
        if done.status != 0:
            return None
        good = re.search(r'Good "git" signature for (\S+) with|\[GNUPG:\] GOODSIG \S+ (.*)', said)
        return (good[1] or good[2]) if good else None

    def listing(self, sha: str) -> Iterator[Entry]:
        """Every entry of a commit's tree, whole paths."""
        for line in self._git(("ls-tree", "-r", "-l", "-z", "--full-tree", sha)).split(b"\0")[:-1]:
            head, _, path = line.partition(b"\t")
            mode, _kind, oid, size = head.decode().split()
            yield Entry(os.fsdecode(path), mode, oid, int(size) if size.isdigit() else 0)

    def changes(self, old: str, new: str) -> Iterator[Entry]:
        """What differs between two commits' trees; an entry with an empty `oid` is gone. Sizes are not told (0)."""
        argv = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", old, new)
        words = iter(self._git(argv).split(b"\0")[:-1])
        for head in words:
            _old, mode, _oid, oid, status = head.decode().lstrip(":").split()
            path = os.fsdecode(next(words))
            yield Entry(path, mode, "" if status == "D" else oid, 0)

    def sizes(self, oids: Sequence[str]) -> list[int]:
        """How many bytes these objects have."""
        asked = "".join(f"{oid}\n" for oid in oids).encode()
        lines = self._git(("cat-file", "--batch-check=%(objectsize)"), stdin=asked).splitlines()
        if missing := next((line for line in lines if not line.isdigit()), b""):
            raise self._damage(missing.decode("utf-8", "replace"))
        return [int(line) for line in lines]

    def blobs(self, oids: Sequence[str], limit: int) -> list[bytes]:
        """The content of these objects, together at most `limit` bytes and their heads."""
        asked = "".join(f"{oid}\n" for oid in oids).encode()
        data = self._git(("cat-file", "--batch"), stdin=asked, limit=limit + 200 * len(oids) + 4096)
        found, at = [], 0
        for oid in oids:
            end = data.find(b"\n", at)
            words = data[at:end].split()
            if len(words) != 3 or words[0].decode() != oid or words[1] != b"blob":
                raise self._damage(f"{oid} is no file, or is missing")
            size = int(words[2])
            found.append(data[end + 1 : end + 1 + size])
            at = end + size + 2
        return found

    def diff(self, sha: str, limit: int) -> str | None:
        """What a commit changed against its first parent, as text; None when that is more than `limit` bytes."""
        how = ("-p", "-m", "--first-parent", "--root", "--no-commit-id", "--no-color", "--no-ext-diff", "--no-textconv")
        argv = ("diff-tree", *how, "--find-renames", sha, "--")
        try:
            return self._git(argv, limit=limit).decode("utf-8", "replace")
        except FetchError as error:
            if error.diagnostics[0].code == "tree-too-large":
                return None
            raise

    def keep(self, sha: str, name: str) -> None:
        """Hold a commit by a ref of ours, so that it stays whatever a remote does."""
        self._git(("update-ref", f"refs/reconciler/{name}", sha))

    def tidy(self) -> None:
        """Pack what fetches have piled up, and drop what no ref holds."""
        packs = list((self.folder / "objects/pack").glob("*.pack"))
        loose = sum(1 for _ in (self.folder / "objects").glob("[0-9a-f][0-9a-f]/*"))
        if len(packs) > 20 or loose > 2000:
            self._git(("gc", "--quiet", "--prune=now"))

    def _sweep(self) -> None:
        """Remove what a git left that was killed or ended; nobody else writes here."""
        for left in [found for pattern in _LEFT for found in self.folder.glob(pattern)]:
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        for lock in (self.folder / "refs").rglob("*.lock"):
            lock.unlink(missing_ok=True)

    def _shrink(self) -> None:
        """Make room for the next try, unless the last time came to nothing."""
        self._sweep()
        size = size_of(self.folder)
        if size > MAX_REPOSITORY and size != self._least:
            self._git(("gc", "--quiet", "--prune=now"))
            self._least = size_of(self.folder)

    def _growth(self) -> Over:
        looked = 0.0

        def over(_out: bytearray, _err: bytearray) -> bool:
            nonlocal looked
            if time.monotonic() - looked < 1.0:
                return False
            looked = time.monotonic()
            return size_of(self.folder) > MAX_REPOSITORY

        return over

    def _remote(self, source: SourceConfig, argv: tuple[str, ...], watch: Over = lambda _out, _err: False) -> bytes:
        """Talk to a remote. Raises FetchError, code `source-unreachable`."""
        settings, env = access(source)
        command = self._command(argv, settings, env, timeout=self._timeout)
        try:
            # Only the runner of this machine can look at a command while it runs.
            done = self._runner.run(command, lambda out, err: self._stop() or watch(out, err))  # type: ignore[call-arg]
        except HostError as error:
            raise FetchError(unreachable(source, error.diagnostics[0].detail)) from error
        if self._stop():
            raise FetchError(unreachable(source, "the agent was told to end"))
        if done.status != 0:
            said = done.stderr.decode("utf-8", "replace").replace("\r", "\n").strip().splitlines()
            kept = [line for line in said if line.strip() and not line.startswith(("Receiving", "Resolving"))]
            # The reason stands first: after it git says at length what else it might be.
            raise FetchError(unreachable(source, "\n".join(kept[:8])[:2000] or f"git ended with {done.status}"))
        return done.stdout

    def _git(
        self, argv: tuple[str, ...], *, stdin: bytes = b"", keys: Keys | None = None, limit: int = _LIMIT
    ) -> bytes:
        done = self._try(argv, stdin=stdin, keys=keys, limit=limit)
        if done.status != 0:
            raise self._damage(f"git {argv[0]}: {done.stderr.decode('utf-8', 'replace').strip()[-1000:]}")
        return done.stdout

    def _damage(self, why: str) -> FetchError:
        self.damaged = True
        return FetchError(_broken(why))

    def _try(
        self, argv: tuple[str, ...], *, stdin: bytes = b"", keys: Keys | None = None, limit: int = _LIMIT
    ) -> Completed:
        settings = {"gpg.ssh.allowedSignersFile": keys.allowed_signers} if keys and keys.allowed_signers else {}
        # A folder that holds no keys: the keyring of whoever runs the agent has no say.
        home = (keys.gpg_home if keys else None) or str(self.folder / "no-keys")
        try:
            return self._runner.run(self._command(argv, settings, {"GNUPGHOME": home}, stdin, _LOCAL, limit))
        except HostError as error:
            problem = error.diagnostics[0]
            large = problem.code == "output-too-large"
            raise FetchError(_too_much(problem) if large else _broken(problem.detail)) from error

    def _command(
        self,
        argv: tuple[str, ...],
        settings: Mapping[str, str],
        env: Mapping[str, str],
        stdin: bytes = b"",
        timeout: float = _LOCAL,
        limit: int = _LIMIT,
    ) -> Command:
        """A git command with our settings alone; they travel in the environment, where no ps(1) shows a token."""
        both = [*_SETTINGS.items(), *settings.items()]
        given = {"GIT_CONFIG_COUNT": str(len(both))}
        for number, (key, value) in enumerate(both):
            given |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        given |= {
            "GIT_DIR": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS_REQUIRE": "never",
            **env,
        }
        return Command(("git", *argv), stdin, timeout, tuple(given.items()), limit)


def _made(fields: Sequence[str]) -> Made:
    sha, author, email, date, subject, signature, signer, key = fields
    when = float(date) if date.lstrip("-").isdigit() else 0.0
    return Made(sha, author[:200], email[:200], when, subject[:300], signature, signer[:300], key)


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterable[int]:
    for where, _folders, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(where, name)).st_size
            except OSError:  # git renames its temporary files
                continue


def unusable(folder: Path, error: OSError) -> FetchError:
    """Our own folder cannot be written."""
    detail = f"{folder}: {error.strerror or error}."
    hint = "Make room, or name another folder: --set state=DIR. What was applied last stays in force."
    return FetchError(Diagnostic("agent-folder", "The agent's folder cannot be used", detail, hint))


def _too_much(problem: Diagnostic) -> Diagnostic:
    return Diagnostic("tree-too-large", "The commit is too large", problem.detail, "Keep specs in a repository alone.")


def _broken(why: str) -> Diagnostic:
    hint = "The copy is made anew where it is damaged; see whether the disk is full."
    return Diagnostic("repository-failed", "The copy of the repository cannot be read", why, hint)
