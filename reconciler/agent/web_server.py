"""The server: the one door to waitress. Bounded in connections, threads, sizes and times.

One thread reads and writes all sockets, so that a slow client holds a descriptor and no thread; requests
that are whole are answered by a fixed number of threads.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from reconciler.agent import logs
from reconciler.agent.web import BODY_LIMIT, Web
from reconciler.model.diagnostic import Diagnostic, ReconcilerError

CONNECTIONS = 96
THREADS = 12
HEADER_LIMIT = 16 << 10
REQUEST_SECONDS = 20.0
"""How long a client may take to say what it wants, headers and body together."""
IDLE_SECONDS = 60
_BACKLOG = 64


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    def parse_header(self, header_plus: bytes) -> None:
        """Refuse what says its length twice: a proxy in front may believe the other one (RFC 9112, 6.1)."""
        super().parse_header(header_plus)
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding exclude each other")


class _Channel(HTTPChannel):  # type: ignore[misc]
    """One connection, which knows since when it has owed the rest of a request."""

    parser_class = _Parser
    began: float | None = None

    def received(self, data: bytes) -> Any:
        done = super().received(data)
        if self.request is None:
            self.began = None
        elif self.began is None:
            self.began = time.monotonic()
        return done


class _Server(TcpWSGIServer):  # type: ignore[misc]
    channel_class = _Channel
    patience = REQUEST_SECONDS

    def maintenance(self, now: float) -> None:
        """Close what is idle, and whoever sends a byte now and then to be taken for busy."""
        super().maintenance(now)
        owed = time.monotonic() - self.patience
        for channel in self.active_channels.values():
            if channel.began is not None and channel.began < owed:
                channel.will_close = True


class Server:
    """An application at an address, from `start` to `close`. Raises ReconcilerError (`listen-failed`)."""

    def __init__(self, web: Web, listen: str, *, patience: float = REQUEST_SECONDS) -> None:
        """Take the address `HOST:PORT` or `[HOST]:PORT`; port 0 takes a free one."""
        self._socket = _listening(listen)
        adjustments = Adjustments(
            sockets=[self._socket],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=max(1, int(patience / 4)),
            max_request_header_size=HEADER_LIMIT,
            max_request_body_size=BODY_LIMIT + 1,
            inbuf_overflow=BODY_LIMIT + 2,  # never into a temporary file
            channel_request_lookahead=1,  # so that a client that hangs up is noticed while it is served
            asyncore_use_poll=True,
            log_socket_errors=False,
            expose_tracebacks=False,
            ident="",
        )
        self._map: dict[int, Any] = {}
        self._tasks = ThreadedTaskDispatcher()
        where = (self._socket.family, self._socket.type, self._socket.proto, self._socket.getsockname())
        self._server = _Server(web, self._map, True, self._socket, self._tasks, adjustments, where, bind_socket=False)
        self._server.patience = patience
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Begin to answer."""
        self._tasks.set_thread_count(THREADS)
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Stop listening, and give what is being answered `timeout` seconds to end."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._server.pull_trigger()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._tasks.shutdown(timeout=timeout)
        for part in list(self._map.values()):
            part.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._server.asyncore.loop(timeout=1.0, use_poll=True, map=self._map, count=1)
            except Exception as error:  # whatever one connection causes, the page stays for the others
                logs.log.error(logs.PROBLEM_FOUND, exc_info=error)
                self._closing.wait(1.0)


def _listening(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    try:
        if not port.isdigit() or int(port) > 65535:
            raise OSError("it is not of the form HOST:PORT")
        host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        detail = f"{listen}: {error.strerror or error}."
        hint = "Choose another address in `web: {listen: HOST:PORT}`, or end what listens there: sockstat -l"
        raise ReconcilerError(
            Diagnostic("listen-failed", "The status page's address cannot be had", detail, hint)
        ) from error
