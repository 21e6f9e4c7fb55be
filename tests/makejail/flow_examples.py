"""The example Makejails hold every instruction; they are built and run in a sandbox, and their effects are looked at.

Not part of the default tests, as it takes half a minute: `make test-slow`.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import pty
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.makejail.files import LocalFiles
from reconciler.makejail.include import flatten
from reconciler.makejail.instructions import instructions
from reconciler.makejail.parse import parse_lines
from reconciler.makejail.problem import Problems
from tests.cli.conftest import Desk

EXAMPLES = Path(__file__).parent / "examples"
SPEC = """
kind: Jail
name: web
release: 15.1-RELEASE
makejail: {file: every.makejail, args: {port: "8081"}, build_args: {URL: "%s"}}
"""
EFFECTS = {
    "/root/image": "image\n",
    "/usr/local/share/word": "tooled\n",
    "/usr/local/etc/app.conf": "listen=8081\n",
    "/usr/local/www/site/index.html": "added\n",
    "/etc/motd.template": "welcome\n",
    "/etc/localtime": "zone\n",
    "/root/cmd": "port=8081 note=\n",
    "/root/var": "80818081\n",
    "/root/raw.txt": "one\ntwo\n",
    "/usr/local/work/ran": "hello www\n",
    "/var/scratch/started": "started\n",
    "/root/passing": "kept\n",
    "/root/runs": "shutdown\nrc\nshutdown\nrc\n",
    "/var/running/file": "running\n",
}

OWNERS = {
    "/usr/local/work/by-root": ["-rw-r--r--", "1", "root"],
    "/srv/data": ["drwxr-x---", "2", "root"],
}


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk whose specs lie beside the examples; the sandbox has a mirror and a repository of its own."""
    made = Desk(tmp_path, capsys, monkeypatch)
    shutil.copytree(EXAMPLES, tmp_path / "specs", dirs_exist_ok=True)
    yield made
    made.run("sandbox", "shutdown")


def archive(name: str, data: bytes) -> bytes:
    """An archive with one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        made.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def url(desk: Desk) -> Iterator[str]:
    """A loopback server with what ADD and FROM read; the image's description lies beside the Makejail."""
    files = {"/site.tgz": archive("site/index.html", b"added\n"), "/image": archive("./jail/root/image", b"image\n")}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(files[self.path])))
            self.end_headers()
            self.wfile.write(files[self.path])

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    place = f"http://127.0.0.1:{server.server_port}"
    lines = ("tags: 15.1", "15.1.arch: amd64", f"15.1.source.amd64: {place}/image")
    digest = hashlib.sha256(files["/image"]).hexdigest()
    (desk.folder / "specs/image.ajspec").write_text("\n".join((*lines, f"15.1.sum.amd64: {digest}", "")))
    yield f"{place}/site.tgz"
    server.shutdown()
    server.server_close()
    thread.join()


def used(name: str) -> set[str]:
    """The instructions of an example, INCLUDE and STAGE among them where it holds them."""
    flat = flatten(name, LocalFiles(), str(EXAMPLES))
    found = {line.name for line in parse_lines(flat.lines, flat.root, Problems()) if line.name.isalpha()}
    text = (EXAMPLES / name).read_text()
    return found | {word for word in ("INCLUDE", "STAGE") if f"\n{word} " in text}


def test_the_examples_hold_every_instruction() -> None:
    assert used("every.makejail") | used("refused.makejail") == {*instructions(), "INCLUDE", "STAGE"}


def test_an_example_is_built_and_each_of_its_instructions_had_its_effect(desk: Desk, url: str) -> None:
    desk.write("web.yaml", SPEC % url)
    assert desk.run("lock").status == 0
    done = desk.run("apply")
    assert done.status == 0, (done.out, done.err)
    for path, text in EFFECTS.items():
        assert desk.run("exec", "web", "--", "cat", path).out == text, path
    owners = {path: desk.run("exec", "web", "--", "ls", "-ld", path).out.split()[:3] for path in OWNERS}
    assert owners == OWNERS
    assert desk.run("exec", "web", "--", "sysrc", "-n", "nginx_enable", "motd").out == "YES\ntwo words\n"
    assert "nginx" in desk.run("exec", "web", "--", "ls", "/usr/local/sbin").out
    assert desk.run("run", "web", "--stage", "custom:hello", "--", "--who", "you").out == "hello you\n"
    assert desk.run("run", "web", "--stage", "apply").out == "applied\n"
    assert desk.run("exec", "web", "--", "ls", "/var/passing").out == ""
    assert desk.run("run", "web", "--stage", "custom:undo").status == 0
    assert desk.run("exec", "web", "--", "ls", "/var/running").out == ""
    assert desk.run("exec", "web", "--", "readlink", "/etc/localtime").out == "/usr/share/zoneinfo/Europe/Berlin\n"
    shown = desk.run("render").out
    for words in (
        "team.name: web",
        "kind: example",
        "children.max: 3",
        "priority: 5",
        "maxproc: ",
        "path bpf* unhide",
        "/var/scratch",
    ):
        assert words in shown, words
    assert "/var/none" not in shown
    assert "No changes" in desk.run("plan").out


def test_a_login_is_a_session_at_the_terminal(desk: Desk) -> None:
    desk.write("web.yaml", "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nmakejail: {file: look.makejail}\n")
    (desk.folder / "specs/look.makejail").write_text("STAGE custom:look\nLOGIN --user www\n")
    assert desk.run("apply").status == 0
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "reconciler.cli.main", "run", "web", "--stage", "custom:look"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(argv, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env) as process:
        os.write(ours, b"echo I am $USER; exit 4\n")
        said, _ = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, said) == (4, b"I am www\n")


def test_what_no_build_carries_out_is_refused_with_its_line(desk: Desk) -> None:
    desk.write("web.yaml", "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nmakejail: {file: refused.makejail}\n")
    done = desk.run("plan")
    assert done.status == 1 and done.err.count("instruction-unavailable") == 2
    assert "refused.makejail:2:1" in done.err and "refused.makejail:3:1" in done.err
