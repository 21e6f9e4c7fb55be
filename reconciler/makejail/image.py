"""FROM's image: its description (an ajspec), read from where the entrypoint says, and what that names.

A description has lines `[*]KEY[+]: VALUE` with the keys `tags`, `TAG.arch`, `TAG.sum.ARCH` (SHA256) and
`TAG.source.ARCH`, one for each address, and `maintenance`, what its keeper says while the archives are exchanged; other
keys say nothing that is needed. Whatever it says is read and never run. Source: appjail-ajspec(5).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from reconciler.makejail.expand import evaluate
from reconciler.makejail.include import Method
from reconciler.makejail.problem import DATA, MISSING, UNAVAILABLE, problem, warning
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.remote import BASES
from reconciler.makejail.sources import Sources
from reconciler.makejail.step import Image as Wanted
from reconciler.makejail.step import State
from reconciler.makejail.tokens import words
from reconciler.model.diagnostic import Diagnostic, Span

LARGEST = 1 << 20
"""Bytes of a description that are read."""
MOST = 16
"""Addresses of an archive that are tried."""
_SHOWN = 300
_LINE = re.compile(r"\*?([^\s:+]+)\+?:\s*(.*)\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_INSTEAD = "Name what the jail is made of in its spec: release:, packages: and pkg:."


@dataclass(frozen=True, slots=True)
class Archive:
    """Where an image for one architecture lies: addresses to be tried in order, and its SHA256 (hex)."""

    urls: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image at a tag. `platform` is the one asked for, "" for the host's; `archives` go by architecture; `warnings`
    are what its keeper has to say."""

    name: str
    tag: str
    platform: str
    archives: Mapping[str, Archive]
    span: Span
    warnings: tuple[Diagnostic, ...] = ()


def described(
    build: State, values: Mapping[str, str], sources: Sources, methods: Mapping[str, Method], cwd: str
) -> Image | None:
    """The image that FROM asks for; None without a FROM.

    Raises MakejailError: what a method of including raises, 65 for a description that cannot be used, 66 where it
    or the tag is not there, 69 for an image that is to be there already.
    """
    if build.image is None:
        return None
    wanted = build.image
    if not build.imports or "ajspec" not in build.imports[0].operands:
        detail = "FROM takes an image that AppJail has, and there is no AppJail here."
        raise problem(
            UNAVAILABLE, "instruction-unavailable", "The instruction is not available", detail, _INSTEAD, wanted.span
        )
    operands = build.imports[0].operands
    name, tag = _known(wanted.name, values, wanted), _known(wanted.tag, values, wanted)
    read = {key: operands[key] for key in ("entrypoint", "ajspec", "branch")}
    given = {key: _known(word, values, wanted) for key, word in read.items() if isinstance(word, DoubleQuoted)}
    path = _path(given, methods, cwd, wanted.span)
    data = sources.read(path)
    if data is None:
        detail = f"{path}, the description of the image {name}, is not there."
        raise problem(MISSING, "image-missing", "The image's description is not there", detail, _INSTEAD, wanted.span)
    if len(data) > LARGEST:
        detail = f"The description of {name} has more than {LARGEST} bytes."
        raise problem(DATA, "image-malformed", "The image's description cannot be used", detail, _INSTEAD, wanted.span)
    rows = _rows(data.decode("utf-8", "replace"), wanted.span)
    archives = _archives(rows, name, tag, wanted.span)
    # The operand's default is what this compiler was told; a build takes the host's own.
    asked = wanted.platform.static if wanted.platform.static != build.platform else ""
    platform = asked if asked is not None else _known(wanted.platform, values, wanted)
    return Image(name, tag, platform, archives, wanted.span, _notice(rows, name, wanted.span))


def _known(word: DoubleQuoted, values: Mapping[str, str], wanted: Wanted) -> str:
    missing = sorted(set(word.names) - values.keys())
    if missing:
        detail = f"FROM names {missing[0]}, which is not known before the build."
        raise problem(DATA, "image-unknown", "What FROM asks for is not known", detail, "Make it an ARG.", wanted.span)
    return evaluate(word, values, wanted.span)


def _path(given: Mapping[str, str], methods: Mapping[str, Method], cwd: str, span: Span) -> str:
    """The file of the description: a path, or by a method of INCLUDE."""
    method, plus, rest = given["entrypoint"].partition("+")
    if not plus or method == "file":
        return posixpath.join(cwd, rest if plus else given["entrypoint"])
    if method not in methods:
        detail = f"FROM's entrypoint {given['entrypoint']} would be read from outside the folder."
        hint = "Put the description beside the Makejail, and write --entrypoint file+PATH."
        summary = "This way of including is not available"
        raise problem(UNAVAILABLE, "include-method-unavailable", summary, detail, hint, span)
    if method == "git" or method in BASES:
        rest += f' --file "{given["ajspec"]}"' + (f' --branch "{given["branch"]}"' if given.get("branch") else "")
    return methods[method](rest, cwd, span)


def _rows(text: str, span: Span) -> dict[str, list[str]]:
    """The words of each key, of all its lines."""
    rows: dict[str, list[str]] = {}
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped.startswith("#") and (read := _LINE.match(stripped)):
            rows.setdefault(read[1], []).extend(words(read[2], span))
    return rows


def _notice(rows: Mapping[str, list[str]], name: str, span: Span) -> tuple[Diagnostic, ...]:
    """What the keeper of the image says; the archive is held to its digest all the same."""
    said = "".join(char if char.isprintable() else " " for char in " ".join(rows.get("maintenance", [])))
    if not said:
        return ()
    detail = f"The description of {name} says: {said[:_SHOWN]}{'…' if len(said) > _SHOWN else ''}"
    hint = "Where a build cannot have the archive, try later: reconcile lock --update"
    return (warning("image-maintenance", "The image's keeper says that it is being worked on", detail, hint, span),)


def _archives(rows: Mapping[str, list[str]], name: str, tag: str, span: Span) -> dict[str, Archive]:
    tags = rows.get("tags", [])
    if tag not in tags:
        near = get_close_matches(tag, tags, n=1) or tags[-1:]
        detail = f"The image {name} has no tag {tag}; it has {', '.join(tags[:20]) or 'none'}."
        hint = f"Write FROM {name}:{near[0]}" if near else _INSTEAD
        raise problem(MISSING, "image-missing", "The image has no such tag", detail, hint, span)
    found = {}
    for arch in rows.get(f"{tag}.arch", []):
        sums, urls = rows.get(f"{tag}.sum.{arch}", []), rows.get(f"{tag}.source.{arch}", [])
        if len(sums) != 1 or not _SHA256.match(sums[0]) or not urls:
            detail = f"The description of {name}:{tag} has no single SHA256, or no address, for {arch}."
            raise problem(DATA, "image-malformed", "The image's description cannot be used", detail, _INSTEAD, span)
        found[arch] = Archive(tuple(urls[:MOST]), sums[0])
    return found
