"""What is said of downloads that failed."""

from __future__ import annotations

from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.url import redact


class DownloadError(FetchError):
    """A download failed; `transient` says whether trying again may help."""

    def __init__(self, diagnostic: Diagnostic, *, transient: bool = False) -> None:
        """Keep whether the failure may pass beside the diagnostic."""
        super().__init__(diagnostic)
        self.transient = transient


def failed(url: str, reason: str) -> Diagnostic:
    """A download that did not work, and why."""
    return Diagnostic(
        "download-failed",
        "A download failed",
        f"{redact(url)}: {reason}",
        "Try again later, or use another mirror.",
    )


def truncated(url: str, reason: str) -> Diagnostic:
    """One that ended before all had come."""
    detail = f"{redact(url)}: {reason}. The next attempt goes on from there, where the server can."
    return Diagnostic("download-truncated", "A download ended early", detail, "Try again.")


def too_large(url: str, limit: int, *, told: bool = True) -> Diagnostic:
    """One of more bytes than are taken; `told`: the server said how many."""
    detail = f"{redact(url)} has more than {limit} bytes, the most that is taken here"
    detail += ". Nothing of it was kept." if told else " of a server that does not say how many there are."
    return Diagnostic("download-too-large", "A download is larger than allowed", detail, "Check the URL.")


def not_found(url: str) -> Diagnostic:
    """A file that a server does not have."""
    return Diagnostic(
        "mirror-not-found",
        "The file is not there",
        f"{redact(url)} does not exist.",
        "Check the name. Releases past their end of life move to "
        "http://ftp-archive.freebsd.org/pub/FreeBSD-Archive/old-releases",
    )


def not_allowed(url: str) -> Diagnostic:
    """The network, where it is not to be used."""
    return Diagnostic(
        "download-denied",
        "The network is not to be used",
        f"{redact(url)} is not in the cache, and downloads are off (policy.downloads or --offline).",
        "Fetch it before, or use a file: mirror.",
    )


def offline(url: str) -> Diagnostic:
    """A network that cannot be reached."""
    detail = f"{redact(url)}: the server's name cannot be resolved, or there is no route to it."
    return Diagnostic("offline", "The network cannot be reached", detail, "Check the network, proxy and name service.")
