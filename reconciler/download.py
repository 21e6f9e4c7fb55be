"""The one door to HTTP: bounded, resumed, hashed while it streams, kept only when verified.

A transient failure is only classified here (`DownloadError.transient`); who retries is `wraps.retry`.
Proxies come from the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY), but are never
used for loopback: there `http:` is trusted because it does not leave the machine.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from reconciler.cache import CHUNK, Cache, bare_digest, mismatch, open_regular, private
from reconciler.download_errors import DownloadError as DownloadError
from reconciler.download_errors import failed, not_allowed, not_found, offline, too_large, truncated
from reconciler.model.diagnostic import Diagnostic
from reconciler.url import is_loopback, redact

if TYPE_CHECKING:  # a tenth of a second to load, and most runs download nothing
    import httpx

Progress = Callable[[int, int | None], None]
"""Called with bytes done and bytes in all; None where the server does not say."""

_REDIRECTS = 5
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: to connect, for the next bytes, for the whole download.

    With `offline` nothing but file: URLs and the cache is used.
    """

    connect: float = 15.0
    read: float = 30.0
    total: float = 3600.0
    offline: bool = False


PATIENT = Patience()
UNTOLD = 1 << 30
"""Bytes taken at most from a server that does not say how many there are, whatever the limit: it may never end."""
_SMALL, _SLOWEST = 30.0, 32 * 1024  # seconds for the smallest file; bytes a second below which others are given up
OFFLINE = Patience(offline=True)


@dataclass(slots=True)
class _Body:
    """An answer on its way: `start` is the offset of its first byte, `total` the size of the whole."""

    chunks: Iterator[bytes]
    start: int = 0
    total: int | None = None
    validator: str = ""


def fetch(
    url: str,
    sha256: str,
    cache: Cache,
    *,
    limit: int,
    progress: Progress | None = None,
    patience: Patience = PATIENT,
) -> Path:
    """Have the content with this digest in the cache, and give its path there.

    What is there already is hashed again and used. A partial download goes on where it stopped
    (Range with If-Range), and starts over where the server does not play along. At most `limit` bytes
    are taken, and at most UNTOLD of an answer without a length. Raises DownloadError (`download-failed`,
    `download-truncated`, `download-too-large`,
    `digest-mismatch`, `mirror-not-found`, `offline`, `download-denied`) and FetchError (`cache-full`,
    `cache-unusable`). After any error no file with that digest is there, at most its partial, where one could go on
    from it; partials that nobody came back for within a week go.
    """
    with cache.locked(sha256):
        found = cache.find(sha256)
        if found is not None:
            return found
        cache.sweep()
        partial = cache.path(sha256, ".partial")
        with cache.guarded(remove=partial), open(partial, "a+b", opener=private) as file:
            whole = _Partial(url, bare_digest(sha256), cache, file, limit)
            try:
                if not whole.complete():
                    whole.receive(patience, progress)
                whole.verify()
            except BaseException:
                whole.tidy()
                raise
        return cache.finish(sha256)


def fetch_bytes(url: str, *, limit: int, patience: Patience = PATIENT) -> bytes:
    """A small file, whole and in memory, such as MANIFEST. Raises DownloadError as `fetch` does.

    The time for the whole is what `limit` needs at a modem's speed: a list must not wait an hour for a trickle.
    """
    patience = replace(patience, total=min(patience.total, _SMALL + limit / _SLOWEST))
    data = bytearray()
    with _opened(url, {}, patience) as body:
        for chunk in body.chunks:
            data += chunk
            if len(data) > limit:
                raise DownloadError(too_large(url, limit))
    _check_length(url, len(data), body.total)
    return bytes(data)


def digest_of(url: str, limit: int, patience: Patience = PATIENT) -> str:
    """The SHA256 (hex) of what a URL gives, of which nothing is kept. Raises DownloadError as `fetch` does."""
    digest, size = hashlib.sha256(), 0
    with _opened(url, {}, patience) as body:
        for chunk in body.chunks:
            digest.update(chunk)
            size += len(chunk)
            if size > limit:
                raise DownloadError(too_large(url, limit))
    return digest.hexdigest()


def upload(url: str, path: Path, patience: Patience = PATIENT) -> None:
    """Put a file on a web server (RFC 9110, PUT; a password comes from ~/.netrc). What lies there then is for the
    caller to see. Raises DownloadError (`upload-failed`, `download-failed`)."""
    import httpx

    timeout = httpx.Timeout(patience.read, connect=patience.connect)
    with _classified(url), _client(url, timeout) as client, open_regular(path, follow=True) as file:
        headers = {"Content-Length": str(os.fstat(file.fileno()).st_size)}
        there = Path(os.environ.get("HOME", "/var/empty"), ".netrc").exists()
        auth = httpx.NetRCAuth() if there else httpx.USE_CLIENT_DEFAULT
        response = client.put(url, content=iter(lambda: file.read(CHUNK), b""), headers=headers, auth=auth)
    if response.status_code not in (200, 201, 204):
        reason = f"{redact(url)[:300]}: the server answered {response.status_code} {response.reason_phrase[:60]}."
        hint = "Give it the rights for PUT there, with a password in ~/.netrc; or copy the files by other means."
        raise DownloadError(Diagnostic("upload-failed", "A file could not be put on a server", reason, hint))


class _Partial:
    """A download under way: the partial file, what it hashes to so far, and where it came from."""

    def __init__(self, url: str, sha256: str, cache: Cache, file: IO[bytes], limit: int) -> None:
        self.url, self.sha256, self.cache, self.file, self.limit = url, sha256, cache, file, limit
        file.seek(0)
        self.digest, self.size = hashlib.sha256(), 0
        while chunk := file.read(CHUNK):
            self.digest.update(chunk)
            self.size += len(chunk)

    def complete(self) -> bool:
        """Whether the partial is already all of it, as after a kill before the rename."""
        return self.digest.hexdigest() == self.sha256

    def receive(self, patience: Patience, progress: Progress | None) -> None:
        """Take the rest from the server."""
        validator = self._validator()
        if not validator:
            self._restart()
        headers = {"Range": f"bytes={self.size}-", "If-Range": validator} if self.size else {}
        with _opened(self.url, headers, patience) as body:
            if body.start not in (0, self.size):
                raise DownloadError(failed(self.url, "The server sent another part than asked for."), transient=True)
            if body.start != self.size:
                self._restart()
            if body.start == 0:
                self._remember(body.validator)
            self._refuse_larger(body.total or 0)
            self.cache.check_room((body.total or self.size) - self.size)
            self.limit, told = (self.limit, True) if body.total is not None else (min(self.limit, UNTOLD), False)
            for chunk in body.chunks:
                self._refuse_larger(self.size + len(chunk), told=told)
                self.file.write(chunk)
                self.digest.update(chunk)
                self.size += len(chunk)
                if progress is not None:
                    progress(self.size, body.total)
        _check_length(self.url, self.size, body.total)

    def verify(self) -> None:
        """See the digest, with the bytes on disk; what is wrong does not stay."""
        if not self.complete():
            actual = self.digest.hexdigest()
            self._restart()
            raise DownloadError(mismatch(redact(self.url), self.sha256, actual))
        self.file.flush()
        os.fsync(self.file.fileno())

    def _restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.digest, self.size = hashlib.sha256(), 0
        self.cache.path(self.sha256, ".resume").unlink(missing_ok=True)

    def tidy(self) -> None:
        """Leave no partial that nobody could go on from."""
        if not self.size or not self._validator():
            self.cache.path(self.sha256, ".partial").unlink(missing_ok=True)
            self.cache.path(self.sha256, ".resume").unlink(missing_ok=True)

    def _refuse_larger(self, size: int, *, told: bool = True) -> None:
        if size > self.limit:
            self._restart()
            raise DownloadError(too_large(self.url, self.limit, told=told))

    def _validator(self) -> str:
        """What makes going on safe; none when the partial came from another URL."""
        note = self.cache.note(self.sha256, "resume")
        known = note is not None and note.get("url") == redact(self.url)
        return str(note.get("validator", "")) if known and note is not None else ""

    def _remember(self, validator: str) -> None:
        self.cache.set_note(self.sha256, "resume", {"url": redact(self.url), "validator": validator})


@contextmanager
def _opened(url: str, headers: dict[str, str], patience: Patience) -> Iterator[_Body]:
    """The answer to one GET, redirects followed, or the content of a file: URL."""
    if url.startswith("file:"):
        with _opened_file(url) as body:
            yield body
        return
    if patience.offline:
        raise DownloadError(not_allowed(url))
    deadline = time.monotonic() + patience.total
    with _classified(url), _answered(url, headers, patience) as response:
        if response.status_code == 416 and headers:
            # The partial is no part of what the server has now: begin again without it.
            response.close()
            with _answered(url, {}, patience) as again:
                yield _judge(url, again, deadline)
        else:
            yield _judge(url, response, deadline)


@contextmanager
def _answered(url: str, headers: dict[str, str], patience: Patience) -> Iterator[httpx.Response]:
    """The first answer that is no redirect; where a redirect may lead is our decision."""
    import httpx

    timeout = httpx.Timeout(patience.read, connect=patience.connect)
    for _ in range(_REDIRECTS + 1):
        with (
            _client(url, timeout) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity", **headers}) as response,
        ):
            if not response.has_redirect_location:
                yield response
                return
            url = _redirected(response.url, response.headers["Location"])
    raise DownloadError(failed(url, f"More than {_REDIRECTS} redirects."))


def _client(url: str, timeout: httpx.Timeout) -> httpx.Client:
    """A client for one URL. What the environment says of proxies and certificates may be wrong."""
    import httpx

    local = is_loopback(httpx.URL(url).host)
    try:
        return httpx.Client(timeout=timeout, trust_env=not local, follow_redirects=False)
    except (OSError, ValueError, ImportError) as error:
        reason = f"The proxy or the certificates that the environment names cannot be used: {error}."
        raise DownloadError(failed(url, redact(reason))) from error


def _redirected(source: httpx.URL, location: str) -> str:
    """Where a redirect leads. Never from https: to http:, nor by http: onto or off this machine."""
    target = source.join(location)
    safe = target.scheme == "https" or (
        target.scheme == "http" == source.scheme and is_loopback(target.host) == is_loopback(source.host)
    )
    if not safe:
        raise DownloadError(failed(str(source), f"It redirects to {redact(str(target))[:200]}, which is less safe."))
    return str(target)


def _judge(url: str, response: httpx.Response, deadline: float) -> _Body:
    """Make a body of a good answer, an error of any other."""
    status = response.status_code
    if status in (404, 410):
        raise DownloadError(not_found(url))
    if status not in (200, 206):
        reason = f"The server answered {status} {response.reason_phrase[:60]}."
        raise DownloadError(failed(url, reason), transient=status in _TRANSIENT_STATUS)
    etag = response.headers.get("ETag", "")
    # A weak ETag says nothing about bytes, so RFC 9110 forbids it in If-Range.
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
    body = _Body(_timely(url, response.iter_raw(), deadline), validator=validator)
    length = response.headers.get("Content-Length", "")
    body.total = int(length) if length.isascii() and length.isdigit() else None
    if status == 206:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None:
            raise DownloadError(failed(url, "The server's Content-Range cannot be read."), transient=True)
        body.start = int(found[1])
        body.total = None if found[3] == "*" else int(found[3])
    return body


def _timely(url: str, chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    """The same chunks, until the time for the whole is over: a trickle is a failure too."""
    for chunk in chunks:
        if time.monotonic() > deadline:
            raise DownloadError(failed(url, "It took longer than the time for a whole download."), transient=True)
        yield chunk


@contextmanager
def _opened_file(url: str) -> Iterator[_Body]:
    try:
        file = open_regular(Path(unquote(urlsplit(url).path)), follow=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DownloadError(not_found(url)) from error
    except (OSError, ValueError) as error:
        raise DownloadError(failed(url, f"{error}.")) from error
    with file:
        yield _Body(iter(lambda: file.read(CHUNK), b""), total=os.fstat(file.fileno()).st_size)


@contextmanager
def _classified(url: str) -> Iterator[None]:
    """Nothing of httpx leaves this module: every failure becomes a DownloadError."""
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise DownloadError(failed(url, "The server did not answer in time."), transient=True) from error
    except httpx.RemoteProtocolError as error:
        raise DownloadError(truncated(url, str(error)), transient=True) from error
    except httpx.ReadError as error:
        raise DownloadError(truncated(url, "the connection was lost"), transient=True) from error
    except httpx.ConnectError as error:
        if _is_offline(error):
            raise DownloadError(offline(url), transient=True) from error
        raise DownloadError(failed(url, f"{error}."), transient="CERTIFICATE" not in str(error)) from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
        transient = isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)
        raise DownloadError(failed(url, f"{error}."), transient=transient) from error


def _is_offline(error: BaseException) -> bool:
    """Whether a failed connection means no name service or no route, not a server that is down."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror) or (isinstance(cause, OSError) and cause.errno in _UNREACHABLE):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _check_length(url: str, size: int, total: int | None) -> None:
    if total is not None and size < total:
        raise DownloadError(truncated(url, f"{size} of {total} bytes came"), transient=True)
