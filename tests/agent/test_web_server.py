"""The server under clients that are slow, many, rude or gone; over real sockets on loopback."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from reconciler.agent.web import BODY_LIMIT, Answer, Ask, Route, Web, plain
from reconciler.agent.web_server import CONNECTIONS, HEADER_LIMIT, Server
from reconciler.model.diagnostic import ReconcilerError
from tests.waiting import PATIENCE, until

ROUTES = (
    Route("GET", "/", lambda _: plain(200, "home")),
    Route("POST", "/size", lambda ask: plain(200, str(len(ask.body)))),
)


@contextmanager
def serving(*routes: Route, patience: float = 20.0) -> Iterator[Server]:
    """A server on a free port of loopback."""
    server = Server(Web([*ROUTES, *routes]), "127.0.0.1:0", patience=patience)
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with two routes."""
    with serving() as running:
        yield running


def ask(server: Server, method: str = "GET", path: str = "/", body: bytes | None = None) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    with closing(HTTPConnection(*server.address, timeout=PATIENCE)) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def raw(server: Server, data: bytes) -> bytes:
    """Everything that is answered to these bytes, until the server hangs up."""
    with socket.create_connection(server.address, timeout=PATIENCE) as connection:
        connection.sendall(data)
        found = b""
        while piece := connection.recv(65536):
            found += piece
        return found


def open_now() -> int:
    """Descriptors of this process, beside the one that is open while they are counted."""
    return len(os.listdir("/dev/fd")) - 1


def test_it_answers_and_takes_bodies_up_to_the_limit(server: Server):
    assert ask(server) == (200, b"home\n")
    assert ask(server, "POST", "/size", b"x" * BODY_LIMIT) == (200, b"%d\n" % BODY_LIMIT)
    # Only the head: whoever sends the body too may be hung up on before all of it is sent.
    head = b"POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    assert b" 413 " in raw(server, head % (BODY_LIMIT + 1)).split(b"\r\n")[0]


def test_no_body_goes_into_a_temporary_file(server: Server, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError("a temporary file")

    monkeypatch.setattr("waitress.buffers.TempfileBasedBuffer.__init__", refuse)
    assert ask(server, "POST", "/size", b"x" * BODY_LIMIT) == (200, b"%d\n" % BODY_LIMIT)


def test_headers_without_end_are_refused(server: Server):
    found = raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (HEADER_LIMIT + 10) + b"\r\n\r\n")
    assert found.startswith(b"HTTP/1.0 431") and b"waitress" not in found.split(b"\r\n\r\n")[0].lower()


@pytest.mark.parametrize(
    "request_lines",
    [
        b"POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: +3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost : localhost\r\nConnection: close\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_requests_that_two_readers_could_take_for_different_ones_are_refused(server: Server, request_lines: bytes):
    assert not raw(server, request_lines).startswith(b"HTTP/1.1 200")


def test_a_client_that_sends_a_byte_now_and_then_is_hung_up_on():
    with serving(patience=1.0) as server, socket.create_connection(server.address, timeout=PATIENCE) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        slow.settimeout(0.2)
        hung_up = False
        for _ in range(300):
            try:
                slow.sendall(b"a")
                hung_up = slow.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                hung_up = True
            if hung_up:
                break
        assert hung_up
        assert ask(server) == (200, b"home\n")


def test_slow_clients_keep_no_thread_from_the_others(server: Server):
    waiting = [socket.create_connection(server.address, timeout=PATIENCE) for _ in range(CONNECTIONS // 2)]
    for one in waiting:
        one.sendall(b"POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
    assert ask(server) == (200, b"home\n")
    for one in waiting:
        one.close()


def test_more_clients_than_it_takes_wait_and_none_is_lost(server: Server):
    crowd = [socket.create_connection(server.address, timeout=PATIENCE) for _ in range(CONNECTIONS + 20)]
    for one in crowd:
        one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    for one in crowd:
        assert one.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
        one.close()


def test_a_stream_ends_when_its_client_hangs_up():
    ended = threading.Event()

    def stream(ask: Ask) -> Answer:
        def pieces() -> Iterator[bytes]:
            try:
                while not ask.gone():
                    yield b": still here\n\n"
                    ended.wait(0.01)
            finally:
                ended.set()

        return Answer(200, pieces(), "text/event-stream")

    with serving(Route("GET", "/live", stream)) as server:
        with socket.create_connection(server.address, timeout=PATIENCE) as client:
            client.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"event-stream" in client.recv(4096)
        assert ended.wait(PATIENCE)


def test_thousands_of_requests_leave_no_descriptor_and_no_memory(server: Server):
    def burst(count: int) -> None:
        with closing(HTTPConnection(*server.address, timeout=PATIENCE)) as connection:
            for number in range(count):
                connection.request("POST" if number % 2 else "GET", "/size" if number % 2 else "/", b"x" * 1000)
                connection.getresponse().read()
        for _ in range(20):
            ask(server)

    burst(500)
    before = open_now(), threading.active_count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    burst(2000)
    until(lambda: open_now() <= before[0], lambda: (before, open_now()))
    assert threading.active_count() <= before[1]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before[2] < 4096  # KiB


def test_closing_leaves_nothing(tmp_path: Path):
    threads, descriptors = threading.active_count(), open_now()
    for _ in range(5):
        with serving() as server:
            ask(server)
    until(lambda: threading.active_count() <= threads, threading.enumerate)
    until(lambda: open_now() <= descriptors, open_now)


@pytest.mark.parametrize("listen", ["192.0.2.1:80", "nonsense", "127.0.0.1:99999", "127.0.0.1:http", ""])
def test_an_address_that_cannot_be_had_is_a_diagnostic(listen: str):
    with pytest.raises(ReconcilerError) as caught:
        Server(Web(ROUTES), listen)
    assert caught.value.diagnostics[0].code == "listen-failed"


def test_a_port_that_is_taken_is_a_diagnostic(server: Server):
    with pytest.raises(ReconcilerError):
        Server(Web(ROUTES), ":".join(map(str, server.address)))


def test_it_listens_on_ipv6_where_the_machine_has_it():
    try:
        server = Server(Web(ROUTES), "[::1]:0")
    except ReconcilerError:
        return  # a machine without IPv6 on loopback
    server.start()
    assert ask(server) == (200, b"home\n")
    server.close()
