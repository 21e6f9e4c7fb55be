"""Host and Release documents: which machine, which trust, and a release for every jail."""

from __future__ import annotations

from typing import Any

from reconciler.spec.document import Release
from reconciler.spec.specset import Sourced
from reconciler.spec.suggest import did_you_mean
from reconciler.spec.view import Found, View, error

_SCHEMES = ("https://", "http://", "file:/")


def check(view: View) -> Found:
    """All rules about hosts and releases."""
    yield from _matches(view)
    yield from _policies(view)
    for item in view.releases:
        yield from _trust(item)
    yield from _without_release(view)


def _matches(view: View) -> Found:
    seen: dict[tuple[Any, ...], Sourced[Any]] = {}
    for host in view.hosts:
        match = host.doc.match
        if match.hostname is None and not match.labels:
            detail = f"The Host document `{host.name}` matches no machine."
            hint = "Write match: {hostname: NAME}, or match: {labels: {KEY: VALUE}}."
            yield error(host, ("match",), "host-without-match", "Host document matches nothing", detail, hint)
            continue
        key = (match.hostname, *sorted(match.labels.items()))
        if key in seen:
            detail = f"`{host.name}` matches the same machines as `{seen[key].name}` ({seen[key].place(('match',))})."
            hint = "A machine has one Host document: narrow one, or merge them."
            yield error(host, ("match",), "two-hosts-match", "Several Host documents match", detail, hint)
        seen.setdefault(key, host)


def _policies(view: View) -> Found:
    known = {item.name for item in view.jails}
    for host in view.hosts:
        for number, name in enumerate(host.doc.policy.host_code_allowed):
            if view.unknown("Jail", name, known):
                path = ("policy", "host_code_allowed", number)
                detail = f"`{host.name}` allows host code to the jail `{name}`, which no document defines."
                hint = did_you_mean(name, sorted(known), "Remove it.")
                yield error(host, path, "unknown-jail", "Unknown jail", detail, hint)
        packages = host.doc.policy.packages
        if packages.require_signature and not packages.trusted_keys:
            detail = f"`{host.name}` asks for signatures on jail packages and trusts no key, so it would refuse all."
            hint = "Add trusted_keys: [ssh-ed25519 AAAA... NAME], from the file .pub of who builds packages."
            where = ("policy", "packages", "require_signature")
            yield error(host, where, "missing-key", "Required key is missing", detail, hint)


def _trust(item: Sourced[Release]) -> Found:
    trust, mirror = item.doc.trust, item.doc.mirror
    if mirror is not None and not mirror.startswith(_SCHEMES):
        detail = f"`mirror` must be an https:, http: or file: URL, not '{mirror[:80]}'."
        yield error(
            item,
            ("mirror",),
            "bad-value",
            "Value is not allowed",
            detail,
            "For example https://download.freebsd.org/releases",
        )
    if item.doc.method == "pkgbase":
        yield from _packaged(item)
    for policy, key, value in (
        ("pinned", "digest", trust.digest),
        ("manifests-dir", "directory", trust.directory),
    ):
        if trust.policy == policy and value is None:
            detail = f"The trust policy `{policy}` needs `{key}`."
            yield error(
                item,
                ("trust",),
                "missing-key",
                "Required key is missing",
                detail,
                f"Add `{key}:` to `trust`.",
            )
        elif trust.policy != policy and value is not None:
            detail = f"`{key}` counts only with the trust policy `{policy}`, and the policy is `{trust.policy}`."
            hint = f"Write policy: {policy}, or remove `{key}`."
            yield error(item, ("trust", key), "bad-value", "Value is not allowed", detail, hint)


def _packaged(item: Sourced[Release]) -> Found:
    hint = "Where packages come from, and who signs them, is in the Host document: updates.repository, fingerprints."
    for key in ("mirror", "trust"):
        if key in item.doc.model_fields_set:
            detail = f"`{key}` is about distribution sets, and `{item.name}` is made of packages (method: pkgbase)."
            yield error(item, (key,), "bad-value", "Value is not allowed", detail, hint)
    if "sets" not in item.doc.model_fields_set:
        detail = f"`{item.name}` is made of packages, and its document does not say which sets."
        yield error(item, ("method",), "missing-key", "Required key is missing", detail, "sets: [base-jail]")


def _without_release(view: View) -> Found:
    for item in view.jails:
        if item.doc.release is not None or item.doc.makejail is not None:
            continue  # a Makejail may name it
        hosts = view.hosts_of(item)
        without = [host for host in hosts if host.doc.defaults.release is None]
        if without:
            detail = f"`{item.name}` has no release, and `{without[0].name}` ({without[0].place()}) gives no default."
        elif not hosts and view.complete and not view.broken.get("Host"):
            detail = f"`{item.name}` has no release, and no Host document gives a default."
        else:
            continue
        hint = "Add `release: 15.1-RELEASE`, or `defaults: {release: ...}` to the Host document."
        yield error(item, (), "missing-release", "Jail has no release", detail, hint)


CHECK = check
