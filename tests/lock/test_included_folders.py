"""What an included repository holds is read by its lines wherever the tool keeps it, and layers do not know where."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.makejail.files import LocalFiles
from reconciler.makejail.pinned import Pinned
from reconciler.makejail.program import Program, compile_makejail, segment_digest

from .test_include import again, commit, git, learning

INNER = """INCLUDE sub/more
COPY motd /etc/motd.template
RAW printf 'host %s\\n' "$(cat motd sub/word)" > "${APPJAIL_JAILDIR}/root/one"
CMD true
RAW printf '%s\\n' "$(cat motd)" > "${APPJAIL_JAILDIR}/root/two"
STAGE start
CMD echo started
"""
SPEC = """kind: Jail
name: web
release: 15.1-RELEASE
makejail: {file: Makejail}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-q")
    files = {"Makejail": INNER, "motd": "hello\n", "sub/more": "RAW cat word >&2\n", "sub/word": "word\n"}
    commit(folder, files)
    return folder


def compiled(pinned: Pinned, folder: Path, *lines: str) -> Program:
    specs = folder / "specs"
    specs.mkdir(exist_ok=True)
    (specs / "Top").write_text("".join(f"{line}\n" for line in lines))
    return compile_makejail("Top", LocalFiles(), str(specs), methods=pinned.methods())


def digests(program: Program) -> list[str]:
    return [segment_digest(segment, "", "amd64") for segment in program.segments]


def test_digests_and_scripts_do_not_depend_on_where_the_cache_lies(repository, tmp_path):
    lines = (f"INCLUDE git+{repository}", "RAW ls >&2", "CMD true")
    pinned = learning(tmp_path)
    first = compiled(pinned, tmp_path, *lines)
    second = compiled(again(pinned, tmp_path / "far/away/cache"), tmp_path, *lines)
    assert digests(first) == digests(second)
    assert first.stages == second.stages
    assert str(tmp_path / "cache") not in "".join(first.stages.values())
    commit(repository, {"README": "nothing reads it, but host code may\n"})
    assert digests(compiled(learning(tmp_path / "far"), tmp_path, *lines)) != digests(first)


def test_what_is_included_later_changes_nothing_before_it(repository, tmp_path):
    lines = ("RAW cat x >&2", "CMD true")
    alone = digests(compiled(learning(tmp_path), tmp_path, *lines))
    assert digests(compiled(learning(tmp_path), tmp_path, *lines, f"INCLUDE git+{repository}"))[: len(alone)] == alone


def test_host_code_of_an_included_repository_finds_its_files(desk, repository):
    desk.write("web.yaml", SPEC)
    desk.write("own", "own\n")
    desk.write("Makejail", f'INCLUDE git+{repository}\nRAW cp own "${{APPJAIL_JAILDIR}}/root/three"\n')
    assert desk.run("lock", "specs").status == 0
    said = desk.run("plan").out
    assert f"git+{repository}/Makejail:3 RAW" in said and "/included/git/" not in said
    answer = desk.run("apply")
    assert answer.status == 0, answer
    said = desk.run("exec", "web", "--", "cat", "/root/one", "/root/two", "/root/three", "/etc/motd.template").out
    assert said == "host hello\nword\nhello\nown\nhello\n"
    desk.run("sandbox", "shutdown")
