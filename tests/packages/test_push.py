"""Packages on a web server: what is put there is read back before it is said to be there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reconciler.cli.main import main
from reconciler.packages.write import build_package

from .trees import CONTENTS, file, manifest, of


@dataclass
class Shelf:
    """A server that takes what is put. `refuses` answers 403; `spoils` changes what it keeps."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    refuses: bool = False
    spoils: str = ""


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    kept = Shelf()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if not kept.refuses:
                spoiled = bool(kept.spoils) and self.path.endswith(kept.spoils)
                kept.files[self.path] = data[:-1] + b"!" if spoiled else data
                kept.order.append(self.path.rpartition(".")[2])
            self.answer(403 if kept.refuses else 201, b"")

        def do_GET(self) -> None:
            data = kept.files.get(self.path)
            self.answer(404 if data is None else 200, data or b"")

        def answer(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/packages/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "made").mkdir()
    made = build_package(tmp_path / "made", manifest(of(file("etc/x", b"text"))), lambda e: [CONTENTS[e.sha256]])
    made.path.with_name(made.path.name + ".sig").write_bytes(b"whoever")
    return made.path


def test_a_package_is_pushed_whole_with_its_digest_last_and_pulled_by_it(
    shelf: Shelf, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["package", "push", str(archive), shelf.url]) == 0
    assert capsys.readouterr().out.startswith(f"{shelf.url}{archive.name.replace(',', ',')}: sha256:")
    assert shelf.order == ["xz", "sig", "sha256"]
    assert sorted(shelf.files) == [f"/packages/{archive.name}{end}" for end in ("", ".sha256", ".sig")]
    assert main(["package", "pull", shelf.url + archive.name, "--out", str(tmp_path / "here")]) == 0
    assert {path.name: path.read_bytes() for path in archive.parent.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()
    }


@pytest.mark.parametrize("spoils", [".xz", ".sha256", ".sig"])
def test_a_server_that_keeps_other_bytes_is_caught(
    shelf: Shelf, archive: Path, capsys: pytest.CaptureFixture[str], spoils: str
) -> None:
    shelf.spoils = spoils
    assert main(["package", "push", str(archive), shelf.url]) == 1
    assert "error[upload-failed]" in capsys.readouterr().err


def test_a_server_that_refuses_is_told(shelf: Shelf, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shelf.refuses = True
    assert main(["package", "push", str(archive), shelf.url]) == 1
    err = capsys.readouterr().err
    assert "error[upload-failed]" in err and "403" in err and shelf.files == {}
