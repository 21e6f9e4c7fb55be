"""A Makejail includes from the network what the lock pins, and nothing else, whatever happens upstream."""

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.hosts.sandbox.mirror import serve
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.include import flatten
from reconciler.makejail.pinned import Pinned
from reconciler.makejail.problem import MakejailError

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")


def git(folder: Path, *words: str) -> str:
    """Run git in a folder and give what it says."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run([*GIT, *words], cwd=folder, check=True, capture_output=True, env=environment, text=True)
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, str]) -> str:
    """Commit files in a repository; its commit."""
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    commit(folder, {"Makejail": "RAW one\n"})
    return folder


def include(pinned: Pinned, folder: Path, *lines: str) -> list[str]:
    """The lines of a Makejail that has these, without those that change the folder."""
    (folder / "Top").write_text("".join(f"{line}\n" for line in lines))
    flat = flatten("Top", LocalFiles(), str(folder), methods=pinned.methods())
    return [line.text for line in flat.lines if not line.directory]


def refused(pinned: Pinned, folder: Path, *lines: str) -> str:
    with pytest.raises(MakejailError) as error:
        include(pinned, folder, *lines)
    return error.value.diagnostics[0].code


def learning(folder: Path) -> Pinned:
    return Pinned({}, {}, folder / "cache", learn=True)


def again(pinned: Pinned, cache: Path) -> Pinned:
    """The same pins in the hands of another machine."""
    return Pinned(dict(pinned.git), dict(pinned.files), cache)


def test_without_a_pin_nothing_is_included(repository, tmp_path):
    nothing = Pinned({}, {}, tmp_path / "cache")
    assert refused(nothing, tmp_path, f"INCLUDE git+{repository}") == "include-unpinned"
    assert refused(nothing, tmp_path, "INCLUDE gh+owner/repository --file x") == "include-unpinned"
    assert refused(nothing, tmp_path, "INCLUDE fetch+http://127.0.0.1:1/Makejail") == "include-unpinned"
    assert refused(nothing, tmp_path, "INCLUDE cmd+echo RAW x") == "include-method-unavailable"
    assert not (tmp_path / "cache").exists()


def test_a_repository_stays_at_its_commit_when_its_branch_moves(repository, tmp_path):
    pinned = learning(tmp_path)
    line = f"INCLUDE git+{repository}"
    first = git(repository, "rev-parse", "HEAD")
    assert include(pinned, tmp_path, line) == ["RAW one"]
    assert pinned.git == {str(repository): first}
    commit(repository, {"Makejail": "RAW two\n"})
    assert include(again(pinned, tmp_path / "cache"), tmp_path, line) == ["RAW one"]
    assert include(again(pinned, tmp_path / "other"), tmp_path, line) == ["RAW one"]


def test_a_branch_and_a_tag_are_pinned_for_themselves(repository, tmp_path):
    git(repository, "tag", "-am", "x", "v1")
    git(repository, "checkout", "-qb", "side")
    commit(repository, {"other": "RAW side\n"})
    pinned = learning(tmp_path)
    # the last word counts only as the value before it, as in the original
    assert include(pinned, tmp_path, f"INCLUDE git+{repository} --branch side --file other --global x") == ["RAW side"]
    assert include(pinned, tmp_path, f"INCLUDE git+{repository} --branch v1 --global x") == ["RAW one"]
    assert sorted(pinned.git) == [f"{repository}#side", f"{repository}#v1"]


def test_a_branch_that_was_rewritten_still_gives_the_commit_or_it_is_said_that_it_has_gone(repository, tmp_path):
    pinned = learning(tmp_path)
    line = f"INCLUDE git+{repository}"
    include(pinned, tmp_path, line)
    git(repository, "commit", "-q", "--amend", "-m", "rewritten")
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    assert include(again(pinned, tmp_path / "other"), tmp_path, line) == ["RAW one"]
    gone = Pinned({str(repository): "12" * 20}, {}, tmp_path / "third")
    assert refused(gone, tmp_path, line) == "include-failed"


def test_nothing_of_a_repository_runs(repository, tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[filter "x"]\n\tsmudge = touch {ran}; cat\n\trequired = true\n')
    monkeypatch.setenv("HOME", str(home))
    commit(repository, {".gitattributes": "* filter=x\n", ".gitmodules": '[submodule "s"]\n\tpath = s\n\turl = /x\n'})
    hooks = repository / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "post-merge", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (hooks / name).chmod(0o755)
    assert include(learning(tmp_path), tmp_path, f"INCLUDE git+{repository}") == ["RAW one"]
    assert not ran.exists()


def test_a_link_out_of_a_repository_is_not_followed(repository, tmp_path):
    (tmp_path / "secret").write_text("RAW secret\n")
    (repository / "link").symlink_to(tmp_path / "secret")
    commit(repository, {})
    assert (
        refused(learning(tmp_path), tmp_path, f"INCLUDE git+{repository} --file link --global x") == "include-outside"
    )


def test_a_file_is_held_to_its_digest(tmp_path):
    served = tmp_path / "www"
    served.mkdir()
    (served / "Makejail").write_text("RAW one\n")
    url, stop = serve(served)
    try:
        pinned, line = learning(tmp_path), f"INCLUDE fetch+{url}/Makejail"
        assert include(pinned, tmp_path, line) == ["RAW one"]
        (served / "Makejail").write_text("RAW two\n")
        assert include(again(pinned, tmp_path / "cache"), tmp_path, line) == ["RAW one"]
        assert refused(again(pinned, tmp_path / "other"), tmp_path, line) == "include-failed"
    finally:
        stop()


def test_an_option_in_place_of_an_address_is_no_option_of_git(tmp_path):
    bad = "--upload-pack=touch${IFS}" + str(tmp_path / "ran")
    assert refused(learning(tmp_path), tmp_path, f"INCLUDE git+{bad}") == "include-failed"
    assert refused(learning(tmp_path), tmp_path, "INCLUDE git+ext::sh -c true") in (
        "include-failed",
        "instruction-option",
    )
    assert not (tmp_path / "ran").exists()
