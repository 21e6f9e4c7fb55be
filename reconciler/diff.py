"""What differs between two worlds: one generic function for all kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from reconciler.kind import Kind, digest
from reconciler.model.value import Ref, Resource, World


@dataclass(frozen=True, slots=True)
class Difference:
    """One address where the worlds differ; `before` is what was seen, aligned to what is wanted."""

    ref: Ref
    before: Resource | None
    after: Resource | None


def diff(kinds: Mapping[str, Kind], observed: World, wanted: World) -> Iterator[Difference]:
    """Every difference, in the order of kinds and then of names."""
    for kind in kinds:
        have, want = observed.named(kind), wanted.named(kind)
        align = kinds[kind].align
        gone = [name for name in have if name not in want]
        found: dict[str, tuple[Resource | None, Resource | None]] = {name: (have[name], None) for name in gone}
        for name, after in want.items():
            before = have.get(name)
            if before is not None:
                before = align(before, after)
            if before != after:
                found[name] = before, after
        for name in sorted(found):
            yield Difference(Ref(kind, name), *found[name])


def fingerprint(resource: Resource | None) -> str:
    """A short digest over the compared fields, for saying whether what was seen has moved."""
    if resource is None:
        return "absent"
    values = [f"{f.name}={_said(getattr(resource, f.name))}" for f in fields(resource) if f.compare]
    return digest(resource.kind, *values)[:16]


def _said(value: object) -> str:
    """A value as text that is the same in every process: a set has another order in each."""
    if isinstance(value, frozenset | set):
        return f"{{{', '.join(sorted(map(_said, value)))}}}"
    return repr(value)


def changed_fields(difference: Difference) -> list[tuple[str, str, str]]:
    """(field, before, after) of what differs, as text; "" for absent."""
    was = dict(difference.before.facts()) if difference.before else {}
    now = dict(difference.after.facts()) if difference.after else {}
    return [(k, was.get(k, ""), now.get(k, "")) for k in sorted({*was, *now}) if was.get(k) != now.get(k)]
