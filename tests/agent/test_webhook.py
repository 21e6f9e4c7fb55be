"""Webhooks: what each forge's documentation says is accepted, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.agent.webhook import FORGES, TOLERANCE, refusal

# (forge, secret, headers, body): where the values were published.
HELLO = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
JEFE = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
JEFE512 = (
    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
)
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
PUBLISHED = {
    # docs.github.com, "Testing the webhook payload validation"
    "github": ("github", "It's a Secret to Everybody", {"x-hub-signature-256": f"sha256={HELLO}"}, "Hello, World!"),
    # RFC 4231, test case 2
    "generic": ("generic", "Jefe", {"x-signature": f"sha256={JEFE}"}, "what do ya want for nothing?"),
    "generic-512": ("generic", "Jefe", {"x-signature": f"sha512={JEFE512}"}, "what do ya want for nothing?"),
    "gitea": ("gitea", "Jefe", {"x-gitea-signature": JEFE}, "what do ya want for nothing?"),
    "forgejo": ("gitea", "Jefe", {"x-forgejo-signature": JEFE}, "what do ya want for nothing?"),
    "gitea-hub": ("gitea", "Jefe", {"x-hub-signature-256": f"sha256={JEFE}"}, "what do ya want for nothing?"),
    # docs.gitlab.com: the secret token is sent as it is
    "gitlab-token": ("gitlab", "a token", {"x-gitlab-token": "a token"}, "{}"),
    # standardwebhooks.com, which GitLab's signing token follows
    "gitlab-signing": ("gitlab", STANDARD_SECRET, STANDARD, '{"test": 2432232314}'),
}
NOW = 1614265330.0


@pytest.mark.parametrize(("forge", "secret", "headers", "body"), PUBLISHED.values(), ids=list(PUBLISHED))
def test_published_examples_are_believed_and_nothing_near_them(forge: Any, secret: str, headers: Any, body: str):
    def ask(key: str = secret, given: Any = headers, text: str = body, forge: Any = forge) -> str:
        return refusal(forge, key.encode(), given, text.encode(), NOW)

    assert ask() == ""
    assert ask(key="another") and ask(key="") and ask(given={})
    if headers != {"x-gitlab-token": "a token"}:
        assert ask(text=body + " ")
    for name, value in headers.items():
        assert ask(given={**headers, name: ""})
        flipped = value[:-2] + ("0" if value[-2] != "0" else "1") + value[-1]
        assert ask(given={**headers, name: flipped})


def test_a_signature_made_with_sha1_is_not_believed():
    old = hmac.new(b"key", b"body", hashlib.sha1).hexdigest()
    for forge, header in (("github", "x-hub-signature"), ("github", "x-hub-signature-256"), ("generic", "x-signature")):
        assert refusal(forge, b"key", {header: f"sha1={old}"}, b"body", NOW)


def test_an_empty_secret_is_never_right_however_well_it_is_used():
    def tag(name: str, key: bytes = b"", body: bytes = b"{}") -> str:
        return hmac.new(key, body, name).hexdigest()

    signed = base64.b64encode(hmac.new(b"", b"a.1614265330.{}", hashlib.sha256).digest()).decode()
    made: list[tuple[Any, dict[str, str]]] = [
        ("generic", {"x-signature": f"sha256={tag('sha256')}"}),
        ("github", {"x-hub-signature-256": f"sha256={tag('sha256')}"}),
        ("gitea", {"x-gitea-signature": tag("sha256")}),
        ("gitlab", {"x-gitlab-token": ""}),
        ("gitlab", {"webhook-id": "a", "webhook-timestamp": "1614265330", "webhook-signature": f"v1,{signed}"}),
    ]
    for forge, headers in made:
        assert refusal(forge, b"", headers, b"{}", NOW) == "no secret is configured"
    assert refusal("github", b"key", {"x-hub-signature-256": f"sha512={tag('sha512', b'key')}"}, b"{}", NOW)


def test_a_good_second_header_does_not_rescue_a_bad_first_one():
    headers = {"x-forgejo-signature": "0" * 64, "x-gitea-signature": JEFE, "x-hub-signature-256": f"sha256={JEFE}"}
    assert refusal("gitea", b"Jefe", headers, b"what do ya want for nothing?", NOW)
    mixed = {**STANDARD, "webhook-signature": "v1,AAAA", "x-gitlab-token": STANDARD_SECRET}
    assert refusal("gitlab", STANDARD_SECRET.encode(), mixed, b'{"test": 2432232314}', NOW)


def test_a_signed_time_must_be_near():
    for late, believed in ((TOLERANCE, True), (TOLERANCE + 1, False), (-TOLERANCE - 1, False)):
        assert (refusal("gitlab", STANDARD_SECRET.encode(), STANDARD, b'{"test": 2432232314}', NOW + late) == "") is (
            believed
        )


def test_one_of_several_signatures_is_enough_while_a_secret_changes():
    key = base64.b64decode("bmV3LXNlY3JldA==")
    signed = base64.b64encode(hmac.new(key, b"a.1614265330.{}", hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "a", "webhook-timestamp": "1614265330", "webhook-signature": f"v1,AAAA v1,{signed}"}
    assert refusal("gitlab", b"whsec_bmV3LXNlY3JldA==", headers, b"{}", NOW) == ""


HEADERS = sorted({name for _, _, headers, _ in PUBLISHED.values() for name in headers})


@given(
    st.sampled_from(FORGES),
    st.dictionaries(st.sampled_from(HEADERS), st.text(st.characters(max_codepoint=255), max_size=80)),
    st.binary(max_size=64),
)
def test_no_headers_that_are_made_up_are_believed(forge: Any, headers: dict[str, str], body: bytes):
    assert refusal(forge, b"a secret of 32 characters, or so", headers, body, NOW)
