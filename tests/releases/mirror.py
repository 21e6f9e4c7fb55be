"""A mirror on loopback that misbehaves on request: faults are a table of path -> answers to come."""

from __future__ import annotations

import hashlib
import io
import lzma
import re
import socket
import struct
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Fault:
    """How one answer is spoiled; the fields that are not set are as a good server has them."""

    status: int = 0
    location: str = ""
    cut: int | None = None
    reset: bool = False
    flip: int | None = None
    length: int | None = None
    no_length: bool = False
    ignore_range: bool = False
    stall: int | None = None
    etag: str | None = None
    content_range: str = ""


@dataclass(slots=True)
class Mirror:
    """What the mirror has, what goes wrong next, and what it was asked (path, Range)."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def next_fault(self, path: str) -> Fault:
        """The next answer's fault; the last of a list of them stays when it is marked so by repetition."""
        waiting = self.faults.get(path, [])
        return waiting.pop(0) if waiting else Fault()


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[Mirror]:
    """A mirror with these files (by path from the root, with a leading slash)."""
    mirror = Mirror(dict(files))

    class Handler(_Handler):
        state = mirror

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    mirror.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        mirror.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Mirror
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.state.asked.append((self.path, asked))
        fault = self.state.next_fault(self.path)
        data = self.state.files.get(self.path)
        self.close_connection = True
        if fault.location:
            self._head(302, {"Location": fault.location, "Content-Length": "0"})
        elif data is None or fault.status:
            self._head(fault.status or 404, {"Content-Length": "0"})
        else:
            self._send(data, fault, asked)

    def _send(self, data: bytes, fault: Fault, asked: str) -> None:
        etag = f'"{hashlib.sha256(data).hexdigest()}"' if fault.etag is None else fault.etag
        start, status, headers = 0, 200, {"ETag": etag}
        wanted = re.fullmatch(r"bytes=(\d+)-", asked)
        if wanted and not fault.ignore_range and self.headers.get("If-Range", etag) == etag:
            start, status = int(wanted[1]), 206
            if start >= len(data):
                self._head(416, {"Content-Length": "0", "Content-Range": f"bytes */{len(data)}"})
                return
            headers["Content-Range"] = fault.content_range or f"bytes {start}-{len(data) - 1}/{len(data)}"
        if fault.flip is not None:
            data = data[: fault.flip] + bytes([data[fault.flip] ^ 1]) + data[fault.flip + 1 :]
        body = data[start:]
        if not fault.no_length:
            headers["Content-Length"] = str(len(body) if fault.length is None else fault.length)
        self._head(status, headers)
        if fault.stall is not None:
            self.wfile.write(body[: fault.stall])
            self.wfile.flush()
            self.state.over.wait()
            return
        self.wfile.write(body if fault.cut is None else body[: fault.cut])
        self.wfile.flush()
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def base_set(version: str = "15.1-RELEASE-p1", filler: int = 0, extra: Mapping[str, bytes] | None = None) -> bytes:
    """A small base.txz in FreeBSD's layout; `filler` adds that many bytes that xz cannot shrink."""
    files = {
        "bin/freebsd-version": f'#!/bin/sh -\nset -e\nUSERLAND_VERSION="{version}"\necho $USERLAND_VERSION\n'.encode(),
        "bin/test": b"#!/bin/sh\n",
        "etc/rc.conf": b"",
        **(extra or {}),
    }
    if filler:
        files["usr/lib/filler"] = b"".join(hashlib.sha256(i.to_bytes(8)).digest() for i in range(filler // 32))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in (".", "bin", "etc", "usr", "usr/lib", "var"):
            add(tar, f"./{name}" if name != "." else ".", tarfile.DIRTYPE)
        for name, data in files.items():
            add(tar, f"./{name}", data=data)
        add(tar, "./bin/[", tarfile.LNKTYPE, "./bin/test")
        add(tar, "./etc/termcap", tarfile.SYMTYPE, "/usr/share/misc/termcap")
        add(tar, "./sys", tarfile.SYMTYPE, "usr/src/sys")
    return lzma.compress(out.getvalue(), preset=0)


def add(tar: tarfile.TarFile, name: str, kind: bytes = tarfile.REGTYPE, target: str = "", data: bytes = b"") -> None:
    """Add one member of any kind."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, len(data)
    member.mode = 0o755
    tar.addfile(member, io.BytesIO(data))


def manifest_of(sets: Mapping[str, bytes]) -> bytes:
    """The MANIFEST of these files, as make-manifest.sh writes it."""
    return "".join(
        f'{name}\t{hashlib.sha256(data).hexdigest()}\t9\t{name.removesuffix(".txz")}\t"Set {name}"\ton\n'
        for name, data in sets.items()
    ).encode()


def release_files(sets: Mapping[str, bytes], release: str = "15.1-RELEASE") -> dict[str, bytes]:
    """The files of a release by their paths on a mirror of amd64."""
    folder = f"/amd64/amd64/{release}"
    return {
        f"{folder}/MANIFEST": manifest_of(sets),
        **{f"{folder}/{name}": data for name, data in sets.items()},
    }
