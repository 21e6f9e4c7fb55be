"""Whether a webhook comes from who knows the secret. Pure: secret, headers, body and time in, a reason out.

All that a forge's message ever does is to make the agent look again, so nothing is read from the body: a
message that is sent twice, or late, costs one `git fetch` and no more. Headers and what they sign:

- generic: `X-Signature: sha256=HEX` (or sha512), the HMAC of the body.
- github: `X-Hub-Signature-256: sha256=HEX`, the HMAC of the body (docs.github.com, "Validating webhook deliveries").
- gitea: `X-Forgejo-Signature`, `X-Gitea-Signature`: HEX, the HMAC-SHA256 of the body (Gitea and Forgejo,
  "Webhooks"), or what they send in GitHub's manner.
- gitlab: `webhook-signature: v1,BASE64`, the HMAC-SHA256 of `ID.TIMESTAMP.BODY` (the signing token, in the form of
  standardwebhooks.com), or `X-Gitlab-Token`, the secret itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Literal, get_args

Forge = Literal["generic", "github", "gitlab", "gitea"]
FORGES: tuple[Forge, ...] = get_args(Forge)
TOLERANCE = 300.0
"""Seconds by which a signed time may be off, to either side."""

_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_SIGNATURES = 8
_HEX = re.compile(r"[0-9A-Fa-f]{64}|[0-9A-Fa-f]{128}", re.ASCII)
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)


def refusal(forge: Forge, secret: bytes, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Why this message is not to be believed, in fixed words; "" when it is.

    `headers` has lower-case names. `now` is in seconds since 1970. Every comparison takes the same time
    wherever two values differ. An empty secret is never right.
    """
    if not secret:
        return "no secret is configured"
    return _CHECKS[forge](secret, headers, body, now)


def _generic(secret: bytes, headers: Mapping[str, str], body: bytes, _now: float) -> str:
    return _named("x-signature", secret, headers, body)


def _github(secret: bytes, headers: Mapping[str, str], body: bytes, _now: float) -> str:
    return _named("x-hub-signature-256", secret, headers, body, only="sha256")


def _gitea(secret: bytes, headers: Mapping[str, str], body: bytes, now: float) -> str:
    for name in ("x-forgejo-signature", "x-gitea-signature"):
        if name in headers:
            return _compare(headers[name], secret, body, "sha256")
    return _github(secret, headers, body, now)


def _gitlab(secret: bytes, headers: Mapping[str, str], body: bytes, now: float) -> str:
    if "webhook-signature" in headers:
        return _standard(secret, headers, body, now)
    token = headers.get("x-gitlab-token", "")
    if not token:
        return "it carries no signature"
    return "" if hmac.compare_digest(token.encode("latin-1", "replace"), secret) else "its signature is wrong"


def _named(header: str, secret: bytes, headers: Mapping[str, str], body: bytes, *, only: str = "") -> str:
    """A header of the form HASH=HEX."""
    value = headers.get(header, "")
    if not value:
        return "it carries no signature"
    name, _, digest = value.partition("=")
    if name not in _HASHES or (only and name != only):
        return "its signature is of a kind that is not accepted"
    return _compare(digest, secret, body, name)


def _compare(digest: str, secret: bytes, body: bytes, name: str) -> str:
    if not _HEX.fullmatch(digest):
        return "its signature is malformed"
    right = hmac.new(secret, body, _HASHES[name]).hexdigest()
    return "" if hmac.compare_digest(digest.lower(), right) else "its signature is wrong"


def _standard(secret: bytes, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Standard Webhooks: several signatures may stand in the header, so that a secret can be changed."""
    name, when = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not name or not _SECONDS.fullmatch(when):
        return "its signature is malformed"
    if abs(now - int(when)) > TOLERANCE:
        return "it was signed at another time"
    signed = b".".join((name.encode("latin-1", "replace"), when.encode(), body))
    right = base64.b64encode(hmac.new(_standard_key(secret), signed, hashlib.sha256).digest()).decode()
    offered = headers["webhook-signature"].split(" ")[:_SIGNATURES]
    same = [hmac.compare_digest(one.encode("latin-1", "replace"), f"v1,{right}".encode()) for one in offered]
    return "" if any(same) else "its signature is wrong"


def _standard_key(secret: bytes) -> bytes:
    """The key of a secret in its written form, `whsec_BASE64`; any other is taken as it stands."""
    text = secret.removeprefix(b"whsec_")
    if text != secret:
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            return secret
    return secret


_CHECKS: dict[Forge, Callable[[bytes, Mapping[str, str], bytes, float], str]] = {
    "generic": _generic,
    "github": _github,
    "gitlab": _gitlab,
    "gitea": _gitea,
}
