"""Whose commits may be applied: what git said of each signature, held against the policy.

The newest commit must verify with the keys of today, whenever they change; so must every commit that came since the
last applied one, for each of them may have been the one that nobody signed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.agent.config import TrustConfig
from reconciler.agent.git import Keys, Made, Repository
from reconciler.model.diagnostic import Diagnostic, FetchError

_SHOWN = 20
_MEANING = {
    "N": "is not signed",
    "B": "has a signature that is wrong",
    "U": "is signed by a key that is not among the allowed ones",
    "E": "is signed by a key that is not among the allowed ones",
    "X": "has a signature that has expired",
    "Y": "is signed by a key that has expired",
    "R": "is signed by a key that was revoked",
}


def good(made: Made) -> bool:
    """Whether git's word on a signature is enough.

    A keyring of our own holds only keys that may sign, so a good signature counts although gpg(1) knows nothing of the
    key's worth (U). For SSH, U is a signature by a key that no line of the allowed signers names (git-log(1), %G?).
    """
    return made.signature == "G" or (made.signature == "U" and bool(made.key) and not made.key.startswith("SHA256:"))


def doubts(commits: Sequence[Made]) -> tuple[Diagnostic, ...]:
    """One diagnostic for each commit that does not verify, the newest first, at most twenty."""
    bad = [made for made in reversed(commits) if not good(made)]
    return tuple(_doubt(made) for made in bad[:_SHOWN])


def _doubt(made: Made) -> Diagnostic:
    who = f" ({made.signer or made.key})" if made.signer or made.key else ""
    what = _MEANING.get(made.signature, "cannot be verified")
    return Diagnostic(
        "commit-untrusted",
        "A commit is not signed by anybody who may",
        f"{made.sha[:12]} by {made.author} <{made.email}>, {made.subject!r}, {what}{who}.",
        "Sign it anew, or allow its key; the commit before stays in force.",
    )


@dataclass
class Trust:
    """Verifies, and remembers what verified with the keys of the time."""

    policy: TrustConfig
    repository: Repository
    _known: dict[tuple[str, str], str] = field(default_factory=dict)
    _keys: str = ""

    def check(self, tip: str, last: str, tag: str = "", name: str = "") -> str:
        """Who signed `tip`, where everything since `last` verifies. Raises FetchError (`commit-untrusted`, ...).

        "" where the policy asks for no signature. `last` is "" on a host that has applied nothing yet: then the
        commits since `trust.since` count, or only the newest. `tag` is our ref for a tag, `name` what the
        remote calls it.
        """
        if self.policy.verify == "none":
            return ""
        now = keys_digest(self.policy)
        if now != self._keys:
            self._known.clear()
            self._keys = now
        if (tip, last) not in self._known:
            self._known[tip, last] = self._check(tip, last, tag, name)
        return self._known[tip, last]

    def _check(self, tip: str, last: str, tag: str, name: str) -> str:
        keys = Keys(self.policy.allowed_signers, self.policy.gpg_home)
        signer = ""
        if self.policy.verify in ("tags", "all"):
            signer = self.repository.tag_signer(tag, keys) or "" if tag else ""
            if not signer:
                what = "is not signed, or by a key that is not among the allowed ones"
                raise FetchError(_tag(name or tip[:12], what))
            # Whoever serves the repository may offer an old signed tag under a new name; the signature covers the old.
            if (signed := self.repository.tag_name(tag)) != name:
                raise FetchError(_tag(name, f"was signed under another name, {signed}"))
        if self.policy.verify == "tags":
            return signer
        since = last or self.policy.since
        # The newest is looked at even when it is the last applied one: a key may have been taken away since.
        commits = self.repository.commits(tip, since, keys) if since and since != tip else []
        commits = commits or self.repository.commits(tip, None, keys)
        if problems := doubts(commits):
            raise FetchError(problems)
        return signer or commits[-1].signer or commits[-1].key


def keys_digest(policy: TrustConfig) -> str:
    """What the keys are at this moment: another digest means another answer."""
    summed = hashlib.sha256()
    for name in _key_files(policy):
        try:
            summed.update(f"{name}\0".encode() + Path(name).read_bytes() + b"\0")
        except OSError as error:
            summed.update(f"{name}: {error.errno}\0".encode())
    return summed.hexdigest()


def _key_files(policy: TrustConfig) -> Iterator[str]:
    if policy.allowed_signers:
        yield policy.allowed_signers
    if policy.gpg_home:
        for name in ("pubring.kbx", "pubring.gpg", "trustdb.gpg", "gpg.conf"):
            yield os.path.join(policy.gpg_home, name)


def _tag(name: str, what: str) -> Diagnostic:
    summary = "A tag is not signed by anybody who may"
    return Diagnostic("tag-untrusted", summary, f"{name} {what}.", "Sign the tag: git tag -s")
