"""Names: one document, volume or former name each; hosts that exist; datasets that ZFS can hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.spec.specset import Sourced
from reconciler.spec.suggest import did_you_mean
from reconciler.spec.view import Claim, Found, View, error, rivals

# A ZFS name holds 255 characters; the longest of ours is layers/<64 hex>@<64 hex>.
MAX_DATASET = 255
_LAYER = len("/layers/") + 64 + 1 + 64
_VOLUME = len("/volumes//") + 31 + 31 + len("@reconciler-") + 64


def _duplicates(view: View) -> Found:
    for kind, items in (
        ("Jail", view.jails),
        ("Release", view.releases),
        ("Package", view.packages),
        ("Host", view.hosts),
    ):
        claims = ((item.name, Claim(item, ("name",), kind)) for item in items)
        for name, first, again in rivals(claims):
            detail = f"The {kind} `{name}` is also defined at {first.span}."
            hint = "Rename one, or keep them on different machines with `hosts:`."
            yield error(again.item, ("name",), "duplicate-name", "Name is taken", detail, hint)


def _hosts(view: View) -> Found:
    known = {host.name for host in view.hosts}
    items: tuple[Sourced[Any], ...] = (*view.jails, *view.releases, *view.packages)
    for item in items:
        for number, name in enumerate(item.hosts):
            if view.unknown("Host", name, known):
                detail = f"`{item.name}` is for the host `{name}`, and no Host document has that name."
                hint = did_you_mean(name, sorted(known), "Add a Host document with that name.")
                yield error(item, ("hosts", number), "unknown-host", "Unknown Host document", detail, hint)


def _former(view: View) -> Found:
    by_name = {item.name: item for item in view.jails}
    claims = [
        (item.raw["renamed_from"], Claim(item, ("renamed_from",), item.name))
        for item in view.jails
        if item.raw.get("renamed_from")
    ]
    for name, claim in claims:
        if name in by_name:
            detail = f"`{claim.who}` says it was `{name}`, which is still defined at {by_name[name].place(('name',))}."
            hint = "Remove the old document, or `renamed_from`."
            yield error(claim.item, claim.path, "renamed-from-exists", "Former name is still in use", detail, hint)
    for name, first, again in rivals(claims):
        detail = f"`{first.who}` ({first.span}) and `{again.who}` both say they were `{name}`."
        hint = "Its volumes can move to one jail only."
        yield error(again.item, again.path, "renamed-from-exists", "Former name is still in use", detail, hint)


def _lengths(view: View) -> Found:
    for host in view.hosts:
        if len(host.doc.pool) + _LAYER > MAX_DATASET:
            yield _too_long(host, ("pool",), host.doc.pool, MAX_DATASET - _LAYER)
    for item in view.jails:
        for number, volume in enumerate(item.doc.volumes):
            if volume.pool and len(volume.pool) + _VOLUME > MAX_DATASET:
                yield _too_long(item, ("volumes", number, "pool"), volume.pool, MAX_DATASET - _VOLUME)


def _too_long(item: Sourced[Any], path: tuple[str | int, ...], pool: str, limit: int) -> Any:
    detail = f"`{pool}` has {len(pool)} characters; what lies below it would pass ZFS's limit of {MAX_DATASET}."
    hint = f"Use a dataset of at most {limit} characters."
    return error(item, path, "name-too-long", "Dataset name is too long", detail, hint)


def check(view: View) -> Iterator[Any]:
    """All rules about names."""
    yield from _duplicates(view)
    yield from _hosts(view)
    yield from _former(view)
    yield from _lengths(view)


CHECK = check
