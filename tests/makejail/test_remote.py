"""git+, gh+, fetch+ and cmd+ include what they name, cached as the original does, from this machine only."""

import functools
import hashlib
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.makejail.files import LocalFiles
from reconciler.makejail.include import Flat, flatten
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.remote import Remote, read_git_options, repository_name

from .cases import outcome

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")


def git(folder: Path, *words: str) -> None:
    """Run git in a folder."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run([*GIT, *words], cwd=folder, check=True, capture_output=True, env=environment)


def commit(folder: Path, files: dict[str, str]) -> None:
    """Commit files in a repository."""
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "change")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a main and another branch."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    commit(folder, {"Makejail": "RAW main\n", "other": "RAW other\n"})
    git(folder, "checkout", "-qb", "side")
    commit(folder, {"Makejail": "RAW side\n"})
    git(folder, "checkout", "-q", "main")
    return folder


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """Empty folders for what is read."""
    (tmp_path / "temporary").mkdir()
    return Remote(tmp_path / "temporary", tmp_path / "cache")


def texts(flat: Flat) -> list[str]:
    """The lines without those that change the folder."""
    return [line.text for line in flat.lines if not line.directory]


def include(remote: Remote, folder: Path, entry: str) -> Flat:
    """Flatten one INCLUDE argument."""
    return flatten(entry, LocalFiles(), str(folder), methods=remote.methods())


def test_a_repository_is_cloned_once_and_brought_up_to_date(remote: Remote, repository: Path, tmp_path: Path) -> None:
    url = f"file://{repository}"
    found = include(remote, tmp_path, f"git+{url}")
    name = hashlib.sha256(f"{url}\n".encode()).hexdigest()
    assert (texts(found), found.root) == (["RAW main"], str(tmp_path / "cache" / name))
    commit(repository, {"Makejail": "RAW newer\n"})
    assert texts(include(Remote(remote.temporary, remote.cache, False), tmp_path, f"git+{url}")) == ["RAW main"]
    assert texts(include(remote, tmp_path, f"git+{url}")) == ["RAW newer"]


def test_branch_file_and_place_are_chosen_by_options(remote: Remote, repository: Path, tmp_path: Path) -> None:
    url = f"file://{repository}"
    side = include(remote, tmp_path, f"git+{url} --branch side")
    assert (texts(side), Path(side.root).name) == (["RAW side"], repository_name(url, "side"))
    assert repository_name(url, "side").startswith("side+")
    assert texts(include(remote, tmp_path, f"git+{url} --file other")) == ["RAW other"]
    local = include(remote, tmp_path, f"git+repository --local --baseurl file://{tmp_path}/")
    assert Path(local.root).parent == tmp_path / ".makejail_local"
    placed = include(remote, tmp_path, f"git+{url} --local --cachedir kept --file other")
    assert Path(placed.root).parent == tmp_path / "kept"
    assert Path(include(remote, tmp_path, f"git+{url} --tmp").root).parent == remote.cache
    assert Path(include(remote, tmp_path, f"git+{url} --tmp --file Makejail").root).parent == remote.temporary


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("--tmp", {}),
        ("--branch B", {"--branch": "B"}),
        ("--branch B --file F", {"--branch": "B", "--file": "F"}),
        ("--tmp --baseurl U", {"--tmp": "", "--baseurl": "U"}),
        ("--branch B --tmp --baseurl U", {"--branch": "B", "--tmp": "", "--baseurl": "U"}),
    ],
)
def test_the_last_word_counts_only_as_a_value(words: str, read: dict[str, str]) -> None:
    assert read_git_options(words.split()) == read


@pytest.mark.parametrize("words", ["--branch B --tmp", "--nope --tmp", "--local --cachedir D --tmp"])
def test_options_that_cannot_be_read_are_a_usage_error(words: str) -> None:
    assert outcome(lambda: read_git_options(words.split()))[0] == 64


def test_what_cannot_be_had_says_so_with_the_line_that_asks(remote: Remote, repository: Path, tmp_path: Path) -> None:
    (repository / "out").symlink_to("/etc/passwd")
    commit(repository, {"more": ""})
    for line, code, status in (
        (f"git+file://{tmp_path}/nothing", "include-failed", 128),
        (f"git+file://{repository} --file nothing", "include-missing", 66),
        (f"git+file://{repository} --file out", "include-outside", 65),
        (f"git+file://{repository} --file ../x", "include-outside", 65),
        ("cmd+no-such-program 3", "include-failed", 127),
        ("cmd+sh -c 'exit 3'", "include-failed", 3),
        ("fetch+http://127.0.0.1:9/x", "include-failed", 1),
    ):
        (tmp_path / "Makejail").write_text(f"RAW a\nINCLUDE {line}\n")
        with pytest.raises(MakejailError) as caught:
            include(remote, tmp_path, "Makejail")
        (found,) = caught.value.diagnostics
        assert (found.code, caught.value.status, str(found.span)) == (code, status, "Makejail:2:1")
        assert found.hint
    assert not list((tmp_path / "cache").glob(".clone*"))


def test_words_of_a_command_mean_themselves(remote: Remote, tmp_path: Path) -> None:
    found = include(remote, tmp_path, "cmd+printf 'RAW %s\\n' \"$HOME `id` $(id)\" 'a b'")
    assert texts(found) == ["RAW $HOME `id` $(id)", "RAW a b"]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server on this machine that serves `tmp_path`."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_url_is_read_whole_with_its_spaces_as_they_stand(remote: Remote, tmp_path: Path, address: str) -> None:
    (tmp_path / "file").write_text("RAW fetched\n")
    assert texts(include(remote, tmp_path, f"fetch+{address}/file")) == ["RAW fetched"]
