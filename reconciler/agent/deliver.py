"""Sends one message: to a URL or to a command. Bounded in size and time; never more than an error comes back.

A target's URL may hold a secret (chat services hand out such), and so may what it answers: neither is in any error.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from reconciler.agent.forge import Post
from reconciler.url import is_loopback

if TYPE_CHECKING:  # a tenth of a second to load, and most agents tell nobody
    import httpx

CONNECT, SECONDS = 5.0, 20.0
ANSWER = 64 << 10
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})

Secret = Callable[[], bytes]


class Undelivered(Exception):
    """It did not arrive. `again` says whether another attempt may help."""

    def __init__(self, words: str, *, again: bool) -> None:
        """Keep why, in words without secrets."""
        super().__init__(words)
        self.again = again


def read_secret(file: str) -> Secret:
    """A secret that is read from its file each time; b"" where that cannot be."""

    def read() -> bytes:
        with suppress(OSError):
            descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as stream:
                return stream.read(4096).strip()
        return b""

    return read


def signed(url: str, body: bytes, secret: bytes) -> Post:
    """A message to a URL, signed as the `generic` webhook expects it."""
    headers = {"Content-Type": "application/json"}
    if secret:
        headers["X-Signature"] = f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
    return Post(url, headers, body)


def post(request: Post, *, seconds: float = SECONDS) -> None:
    """Post it. Redirects are not followed: they would carry tokens elsewhere. Raises Undelivered."""
    import httpx

    timeout = httpx.Timeout(seconds, connect=min(CONNECT, seconds))
    until = time.monotonic() + seconds
    try:
        host = httpx.URL(request.url).host
        with (
            httpx.Client(timeout=timeout, trust_env=not is_loopback(host), follow_redirects=False) as client,
            client.stream("POST", request.url, content=request.body, headers=request.headers) as answer,
        ):
            _drain(answer, until)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
        raise Undelivered("its URL is not one of http or https", again=False) from error
    except httpx.HTTPError as error:
        raise Undelivered(f"it cannot be reached ({type(error).__name__})", again=True) from error
    if not (answer.is_success or answer.status_code in request.fine):
        raise Undelivered(f"it answered {answer.status_code}", again=answer.status_code in _AGAIN)


def _drain(answer: httpx.Response, until: float) -> None:
    """Read what is answered, so that the connection ends well, but not for ever."""
    size = 0
    for piece in answer.iter_raw():
        size += len(piece)
        if size > ANSWER or time.monotonic() > until:
            return


def run(argv: Sequence[str], body: bytes, environ: Mapping[str, str], *, seconds: float = SECONDS) -> None:
    """Run a command with the message on its input, in a session of its own, without what it prints.

    It has `seconds`; then it and what it started are killed. Raises Undelivered.
    """
    pipe, none = subprocess.PIPE, subprocess.DEVNULL
    try:
        child = subprocess.Popen(
            argv, stdin=pipe, stdout=none, stderr=none, cwd="/", env=dict(environ), start_new_session=True
        )
    except OSError as error:
        raise Undelivered(f"the command cannot be started ({error.strerror})", again=False) from error
    with child:
        try:
            child.communicate(body, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise Undelivered(f"the command did not end within {seconds:g} s", again=True) from error
        finally:
            with suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)
    if child.returncode:
        raise Undelivered(f"the command ended with status {child.returncode}", again=True)
