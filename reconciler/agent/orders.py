"""What an operator tells the agent: approvals in a file of its folder, suspension in the pool.

An approval lasts as long as the folder, and losing it only means to wait again. A suspension outlives everything but
the pool.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from reconciler.guard import Consent
from reconciler.model.diagnostic import Diagnostic, SpecError

COMMIT = "reconciler:commit"
SUSPENDED = "reconciler:agent_suspended"
_FILE = "approved.json"
_KEPT = 50
_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Approved:
    """One commit that may be applied, by whom, and what its plan may do that an agent may not."""

    sha: str
    by: str
    at: float
    prune: bool = False
    data_loss: tuple[str, ...] = ()
    rewrite: bool = False

    @property
    def consent(self) -> Consent:
        """What the guard lets pass for this commit."""
        return Consent(self.prune, frozenset(self.data_loss))


@dataclass(frozen=True, slots=True)
class Orders:
    """All that was approved, by commit."""

    approved: Mapping[str, Approved] = field(default_factory=dict)

    def consent(self, sha: str) -> Consent:
        """What the guard lets pass for a commit."""
        return self.approved[sha].consent if sha in self.approved else Consent()

    def rewritten(self, sha: str) -> bool:
        """Whether a commit may follow although the last applied one is not among its ancestors."""
        return sha in self.approved and self.approved[sha].rewrite


def load_orders(state: Path) -> Orders:
    """What stands in the agent's folder; a file that is missing, damaged or not ours is as none."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        held = json.loads(read_own(state / _FILE))["approved"]
        return Orders({item["sha"]: _approved(item) for item in held})
    return Orders()


def read_own(path: Path) -> bytes:
    """A file that only we may have written, at most a megabyte of it. Raises OSError, of another's file too."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise PermissionError(errno.EPERM, "others may have written it", str(path))
        return file.read(_MAX)


def _approved(item: Mapping[str, object]) -> Approved:
    sha, by, at = item["sha"], item["by"], item["at"]
    loss = item["data_loss"]
    if not (isinstance(sha, str) and isinstance(by, str) and isinstance(at, int | float) and isinstance(loss, list)):
        raise ValueError("not an approval")
    return Approved(sha, by, float(at), item["prune"] is True, tuple(map(str, loss)), item["rewrite"] is True)


def approve(state: Path, approval: Approved) -> None:
    """Add an approval. Raises SpecError (`agent-folder`) where the folder cannot be written."""
    kept = {**load_orders(state).approved, approval.sha: approval}
    newest = sorted(kept.values(), key=lambda one: one.at)[-_KEPT:]
    data = json.dumps({"approved": [asdict(one) for one in newest]}, indent=1).encode()
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(state / _FILE, data)
    except OSError as error:
        detail = f"{state}: {error.strerror or error}."
        hint = "Run it as the user that the agent runs as."
        raise SpecError(Diagnostic("agent-folder", "The agent's folder cannot be used", detail, hint)) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 by rename. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
