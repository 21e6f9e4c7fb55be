"""The ways of including that reach outside the folder: cmd, fetch and git with its short forms.

They run programs and read whatever is there now, so only a person's own command line uses them; specs include
what their lock pins (`pinned.py`). Repositories are kept in a cache folder, one per URL and branch, named
`[BRANCH+]SHA256(URL + newline)`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.download import fetch_bytes
from reconciler.makejail.include import Method
from reconciler.makejail.options import near
from reconciler.makejail.problem import DATA, UNAVAILABLE, USAGE, MakejailError, problem
from reconciler.makejail.quoting import literal_text
from reconciler.makejail.tokens import words
from reconciler.model.diagnostic import FetchError, Span

BASES = {
    "gh": "https://github.com/",
    "github": "https://github.com/",
    "gh-ssh": "git@github.com:",
    "github-ssh": "git@github.com:",
    "gl": "https://gitlab.com/",
    "gitlab": "https://gitlab.com/",
    "gl-ssh": "git@gitlab.com:",
    "gitlab-ssh": "git@gitlab.com:",
}
_VALUED = ("--baseurl", "--branch", "--cachedir", "--file")
_FLAGS = ("--global", "--local", "--tmp")
LIMIT = 16 * 1024 * 1024
_TIMEOUT = 600.0
_USAGE = "Write INCLUDE git+URL, or INCLUDE gh+OWNER/REPOSITORY --file FILE."


@dataclass(frozen=True, slots=True)
class Remote:
    """Where things are put: `temporary` for output of cmd and fetch, `cache` for repositories.

    `update` is whether a repository that is there already is brought up to date.
    """

    temporary: Path
    cache: Path
    update: bool = True

    def methods(self) -> Mapping[str, Method]:
        """All methods, for `flatten`."""
        named = {name: self._based(base) for name, base in BASES.items()}
        return {"cmd": self._command, "fetch": self._fetch, "git": self._git, **named}

    def _command(self, rest: str, cwd: str, span: Span) -> str:
        """Run the words as a command of sh, each meaning itself; its output is the file."""
        line = " ".join(f'"{literal_text(word)}"' for word in words(rest, span))
        done = run(("sh", "-c", line), cwd, span, rest)
        return self._keep(done)

    def _fetch(self, rest: str, cwd: str, span: Span) -> str:
        """Read a URL; the whole rest of the line."""
        try:
            return self._keep(fetch_bytes(rest, limit=LIMIT))
        except FetchError as error:
            (first, *_others) = error.diagnostics
            raise failed(rest, first.detail or first.summary, 1, span) from error

    def _keep(self, data: bytes) -> str:
        descriptor, name = tempfile.mkstemp(dir=self.temporary, prefix="makejail.")
        with open(descriptor, "wb") as file:
            file.write(data)
        return name

    def _based(self, base: str) -> Method:
        return lambda rest, cwd, span: self._repository([*words(rest, span), "--baseurl", base], cwd, span)

    def _git(self, rest: str, cwd: str, span: Span) -> str:
        return self._repository(words(rest, span), cwd, span)

    def _repository(self, given: list[str], cwd: str, span: Span) -> str:
        """Have the repository up to date, and give the path of the file in it."""
        url, options = _address(given, span)
        branch = options.get("--branch", "")
        folder = self._folder(options, cwd) / repository_name(url, branch)
        self._have(url, branch, folder, cwd, span)
        return inside_repository(url, str(folder), options.get("--file", "Makejail"), span)

    def _folder(self, options: Mapping[str, str], cwd: str) -> Path:
        if "--local" in options:
            return Path(cwd) / options.get("--cachedir", ".makejail_local")
        return self.temporary if "--tmp" in options else self.cache

    def _have(self, url: str, branch: str, folder: Path, cwd: str, span: Span) -> None:
        if shutil.which("git") is None:
            detail = f"{url} is read with git, and there is none."
            raise problem(UNAVAILABLE, "git-missing", "The program git is missing", detail, "pkg install git", span)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with open(f"{folder}.lock", "wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._clone_or_update(url, branch, folder, cwd, span)
        except OSError as error:
            raise failed(url, f"{folder}: {error.strerror}.", UNAVAILABLE, span) from error

    def _clone_or_update(self, url: str, branch: str, folder: Path, cwd: str, span: Span) -> None:
        git = ("git", "-c", "protocol.ext.allow=never")
        if not folder.exists():
            # Cloned beside its place, so that a clone that is cut off is never taken for one.
            new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".clone."))
            named = ("-b", branch) if branch else ()
            try:
                run((*git, "clone", "-q", "-o", "origin", *named, "--", url, str(new)), cwd, span, url)
                new.rename(folder)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        elif self.update:
            here = (*git, "-C", str(folder))
            run((*here, "fetch", "-q", "origin"), cwd, span, url)
            run((*here, "reset", "-q", "--hard", "@{upstream}"), cwd, span, url)


def _address(given: list[str], span: Span) -> tuple[str, dict[str, str]]:
    if not given:
        raise problem(USAGE, "include-empty", "INCLUDE needs a file", hint=_USAGE, span=span)
    options = read_git_options(given[1:], span)
    return options.get("--baseurl", "") + given[0], options


def git_words(rest: str, span: Span, base: str = "") -> tuple[str, str, str]:
    """(URL, branch or "", file in the repository) of what follows git+; `base` is put before its URL.

    Raises MakejailError 64.
    """
    given = words(rest, span)
    url, options = _address([*given, "--baseurl", base] if base and given else given, span)
    return url, options.get("--branch", ""), options.get("--file", "Makejail")


def inside_repository(url: str, folder: str, file: str, span: Span) -> str:
    """The path of a file in a repository's folder. Raises MakejailError 65 where it leads out of it."""
    path = os.path.join(folder, file)
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        detail = f"{file} leads out of the repository {url}."
        hint = "Name a file of the repository after --file."
        raise problem(DATA, "include-outside", "An included file lies outside its repository", detail, hint, span)
    return path


def repository_name(url: str, branch: str = "") -> str:
    """The name of a repository's folder in a cache."""
    digest = hashlib.sha256(f"{url}\n".encode("utf-8", "surrogateescape")).hexdigest()
    return f"{branch.replace('/', '%2f')}+{digest}" if branch else digest


def read_git_options(given: list[str], span: Span | None = None) -> dict[str, str]:
    """Read the words after the URL with the original's habit: the last word counts only as a value.

    Raises MakejailError 64 for an unknown option and for one whose value is the word before the last.
    """
    found: dict[str, str] = {}
    last = len(given) - 1
    at = 0
    while at < last and given[at].startswith("--") and given[at] != "--":
        option = given[at]
        if option in _FLAGS:
            found[option] = ""
            at += 1
        elif option not in _VALUED:
            raise _usage(f"{option} is no option of git+.", near(option, {*_FLAGS, *_VALUED}) or _USAGE, span)
        elif at + 1 == last - 1:
            detail = f"The value of {option} may not be the word before the last."
            raise _usage(detail, f"Put {given[last]} before {option}.", span)
        else:
            # Each base goes before what the address is by then.
            before = found.get(option, "") if option == "--baseurl" else ""
            found[option] = given[at + 1] + before
            at += 2
    return found


def run(argv: tuple[str, ...], cwd: str, span: Span, what: str, extra: Mapping[str, str] | None = None) -> bytes:
    """Run to the end and give standard output, at most 16 MiB of it; `extra` is put into the environment.

    Raises MakejailError, code `include-failed`.
    """
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **(extra or {})}
    try:
        done = subprocess.run(
            argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise failed(what, f"It did not end within {_TIMEOUT:.0f} seconds.", UNAVAILABLE, span) from error
    except (OSError, ValueError) as error:
        raise failed(what, f"{argv[0]} cannot be run: {error}.", UNAVAILABLE, span) from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        status = done.returncode if done.returncode > 0 else 128 - done.returncode
        raise failed(what, f"{argv[0]} ended with status {done.returncode}. {said}".rstrip(), status, span)
    if len(done.stdout) > LIMIT:
        raise failed(what, f"It printed more than {LIMIT} bytes.", DATA, span)
    return done.stdout


def failed(what: str, why: str, status: int, span: Span) -> MakejailError:
    """The error for something on the network that cannot be had."""
    hint = "Try the same by hand; or put the file beside the Makejail and include it by its path."
    return problem(status, "include-failed", "What is included cannot be had", f"{what}: {why}", hint, span)


def _usage(detail: str, hint: str, span: Span | None) -> MakejailError:
    return problem(USAGE, "instruction-option", "The instruction's options are not valid", detail, hint, span)
