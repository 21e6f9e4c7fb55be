"""The documents as they take effect: what a Makejail says of its jail joins what the spec says, before all planning.

Pure: from the documents of one machine and their compiled Makejails. The spec's own fields win; what a Makejail
says wins over the Host document's defaults. Every field that is not the spec's has the place in the Makejail that it
comes from, so that plans, lint and `reconcile render` name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import ValidationError

from reconciler.effective.instruction import instruction_parts
from reconciler.effective.merge import Merged
from reconciler.effective.network import OPTIONS, known_networks, network_parts
from reconciler.effective.option import READERS
from reconciler.effective.part import Asked, Found, Part
from reconciler.makejail.program import Program
from reconciler.makejail.wishes import Wish, wishes
from reconciler.model.diagnostic import Diagnostic, SpecError
from reconciler.spec.document import Jail
from reconciler.spec.lint import lint
from reconciler.spec.select import Selected, with_defaults, with_releases
from reconciler.spec.specset import Sourced, SpecSet


@dataclass(frozen=True)
class Effective:
    """The documents as they take effect, and what is to be said of each jail's Makejail."""

    selected: Selected
    warnings: Mapping[str, tuple[Diagnostic, ...]]


def effective(selected: Selected, programs: Mapping[str, Program], specs: SpecSet) -> Effective:
    """Documents with what their Makejails say. Raises SpecError with everything that then is wrong with them."""
    read = {name: wishes(program.options) for name, program in programs.items()}
    found = {name: list(said) for name, (_wishes, said) in read.items()}
    networks = _networks(selected, [wish for of_one, _said in read.values() for wish in of_one])
    changed: dict[str, Sourced[Jail]] = {}
    for name, program in programs.items():
        item = selected.jails[name]
        parts, said = _split(_parts(Asked(name, item.raw, program.files_read, networks), program, read[name][0]))
        found[name] += said
        if parts:
            merged = Merged.of(item, parts)
            found[name] += merged.notes
            try:
                changed[name] = _document(merged, selected)
            except ValidationError as error:
                found[name] += _invalid(error, merged)
    if problems := [one for said in found.values() for one in _problems(said)]:
        raise SpecError(problems)
    selected = with_releases(replace(selected, jails={**selected.jails, **changed}), all_say=True)
    linted = _linted(selected, changed, specs) if changed else []
    if any(one.severity == "error" for one in linted):
        raise SpecError(one for one in linted if one.severity == "error")
    return Effective(selected, {name: tuple(said) for name, said in found.items() if said})


def _problems(said: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The errors of one jail, after the OPTIONs that could not be used: a field that lacks may be theirs."""
    errors = [one for one in said if one.severity == "error"]
    return [*(one for one in said if one.code == "option-incomplete"), *errors] if errors else []


def _parts(asked: Asked, program: Program, wished: Iterable[Wish]) -> Found:
    """In the order of AppJail: OPTIONs first, then the instructions."""
    found: Found = []
    for wish in wished:
        if wish.option in READERS:
            found += READERS[wish.option](asked, wish)
    found += network_parts(asked, [wish for wish in wished if wish.option in OPTIONS])
    return found + instruction_parts(program)


def _split(found: Found) -> tuple[list[Part], list[Diagnostic]]:
    parts = [one for one in found if isinstance(one, Part)]
    return parts, [one for one in found if isinstance(one, Diagnostic)]


def _networks(selected: Selected, wished: list[Wish]) -> dict[str, tuple[str, str]]:
    """Every virtual network that specs or Makejails of this machine describe, by its bridge."""
    found = known_networks(wished)
    if not any(wish.option == "virtualnet" for wish in wished):
        return found
    for item in selected.jails.values():
        vnet: Any = item.raw.get("network") or {}
        vnet = vnet.get("vnet") if isinstance(vnet, Mapping) else None
        if isinstance(vnet, Mapping) and vnet.get("gateway"):
            found[str(vnet["bridge"])] = (str(vnet["address"]), str(vnet["gateway"]))
    return found


def _document(merged: Merged, selected: Selected) -> Sourced[Jail]:
    """The document, valid and with its host's defaults. Raises ValidationError."""
    item = merged.item
    made = Sourced(item.source, item.index, merged.raw, partial(Jail.model_validate, merged.raw), merged.origins)
    _ = made.doc
    return made.with_doc(partial(with_defaults, made, selected.host))


def _invalid(error: ValidationError, merged: Merged) -> list[Diagnostic]:
    """What a Makejail says and a document cannot hold, each where it is said."""
    plain = Sourced(merged.item.source, merged.item.index, merged.raw, merged.item.make, merged.origins)
    found = []
    for one in error.errors(include_url=False, include_context=False):
        field = ".".join(str(word) for word in one["loc"])
        detail = f"{field}: {one['msg'].removeprefix('Value error, ')}."
        span = plain.place(tuple(one["loc"]))
        found.append(
            Diagnostic("option-value", "A Makejail gives a field a value that it cannot have", detail, "", span)
        )
    return found


def _linted(selected: Selected, changed: Mapping[str, Sourced[Jail]], specs: SpecSet) -> list[Diagnostic]:
    """What the rules say of the documents together, now that they say more.

    All jails are looked at where the changed ones meet others; else these alone, with nothing called unknown.
    """
    meet = any(path[0] in ("network", "depends_on") for item in changed.values() for path in item.origins)
    found: list[tuple[str, Sourced[Any]]]
    found = [("Jail", item) for item in (selected.jails if meet else changed).values()]
    found += [("Release", item) for item in selected.releases.values()]
    found += [("Package", item) for item in selected.packages.values()]
    found += [("Host", selected.host_source)] if selected.host_source else []
    said = set(specs.warnings)
    return [one for one in lint(specs, found, {}, complete=meet) if one not in said]
