"""Jail packages: a digest for each, recorded on the release that the jail has."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.spec.document import Jail, JailPackage, Package
from reconciler.spec.fields import PACKAGE_VERSION
from reconciler.spec.location import missing, relative
from reconciler.spec.specset import Sourced
from reconciler.spec.suggest import did_you_mean
from reconciler.spec.view import Found, View, error, together


def check(view: View) -> Found:
    """All rules about jail packages."""
    documents: dict[str, list[Sourced[Package]]] = {}
    for package in view.packages:
        documents.setdefault(package.name, []).append(package)
        yield from _made(view, package)
    for item in view.jails:
        seen: dict[str, int] = {}
        for number, entry in enumerate(item.doc.packages):
            path = ("packages", number)
            if entry.name in seen:
                detail = f"`{entry.name}` is applied already at {item.place(('packages', seen[entry.name]))}."
                hint = "Apply a package once."
                yield error(item, path, "duplicate-name", "Name is taken", detail, hint)
            yield from _replaces(item, number, entry, seen)
            seen.setdefault(entry.name, number)
            if entry.source is not None and relative(entry.source):
                yield from missing(view, item, (*path, "source"), entry.source)
            known = [p for p in documents.get(entry.name, []) if together(p, item)]
            if known and (known[0].doc.makejail is not None or known[0].doc.digest is not None):
                yield from _fits(view, item, number, entry, known[0])
            elif not known and entry.digest is None and view.unknown("Package", entry.name, documents):
                detail = (
                    f"`{item.name}` names the package `{entry.name}` without a digest, and no Package document has it."
                )
                hint = did_you_mean(entry.name, documents, "Add `digest: sha256:...`, or a Package document.")
                yield error(item, path, "package-without-digest", "Package has no digest", detail, hint)


def _made(view: View, item: Sourced[Package]) -> Found:
    """An archive that is known by its digest, or a Makejail."""
    package = item.doc
    if package.source is not None:
        yield from missing(view, item, ("source",), package.source)
    if package.makejail is not None:
        if package.version is not None and not re.fullmatch(PACKAGE_VERSION, package.version):
            detail = f"`{item.name}` is built here, and {package.version!a} cannot stand in the name of an archive."
            hint = "Write letters, digits and _ + . , - after a letter or digit, at most 64."
            yield error(item, ("version",), "bad-value", "Value is not allowed", detail, hint)
        if package.source is not None or package.digest is not None:
            detail = f"`{item.name}` has a Makejail, and an archive as well."
            hint = "Leave out `source` and `digest`, or the Makejail."
            yield error(item, ("makejail",), "package-two-origins", "Package comes from two places", detail, hint)
    elif package.source is None or package.digest is None:
        lacking = "source" if package.source is None else "digest"
        detail = f"`{item.name}` has neither a Makejail nor a `{lacking}`."
        hint = "Write `source:` and `digest: sha256:...`, or `makejail:`."
        yield error(item, (), "package-no-origin", "Package comes from nowhere", detail, hint)


def _replaces(item: Sourced[Jail], number: int, entry: JailPackage, before: Mapping[str, int]) -> Found:
    for place, name in enumerate(entry.replaces):
        if name not in before:
            detail = f"`{entry.name}` replaces files of `{name}`, which is not listed before it."
            hint = did_you_mean(name, before, "A package may replace what one before it in the list brought.")
            path = ("packages", number, "replaces", place)
            yield error(item, path, "package-replaces-unknown", "Package replaces one that is not there", detail, hint)


def _fits(view: View, item: Sourced[Jail], number: int, entry: JailPackage, document: Sourced[Package]) -> Found:
    package, jail = document.doc, item.doc
    path = ("packages", number)
    if entry.digest is not None and package.digest is not None and entry.digest != package.digest:
        detail = f"`{entry.name}` has another digest at {document.place(('digest',))}."
        hint = "Remove the digest here, or make both the same."
        yield error(item, (*path, "digest"), "package-digest-differs", "Package digests differ", detail, hint)
    releases = {jail.release} if jail.release else {host.doc.defaults.release for host in view.hosts_of(item)}
    wrong = sorted(release for release in releases if release and release != package.release)
    if wrong:
        place = document.place(("release",))
        detail = f"`{entry.name}` was recorded on {package.release} ({place}), the jail has {wrong[0]}."
        hint = "Record the package on the jail's release."
        yield error(item, path, "package-release-differs", "Package is for another release", detail, hint)
    elif (
        package.patch_level is not None
        and isinstance(jail.patch_level, int)
        and jail.patch_level != package.patch_level
    ):
        place = document.place(("patch_level",))
        level = f"patch level {package.patch_level} ({place})"
        detail = f"`{entry.name}` was recorded on {level}, the jail has {jail.patch_level}."
        hint = "Record it again, or leave out the package's patch_level when any will do."
        yield error(item, path, "package-release-differs", "Package is for another release", detail, hint)


CHECK = check
