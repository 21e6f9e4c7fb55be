"""A plan in a file: applied later only if it is still the plan that would be made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from reconciler.cache import open_regular
from reconciler.cli.plan_json import PlanDocument, _Model, document
from reconciler.diff import fingerprint
from reconciler.model.action import Plan
from reconciler.model.diagnostic import Diagnostic, SpecError, StalePlan
from reconciler.model.value import Ref
from reconciler.reconcile import Decided, Options, Session

_LIMIT = 64 * 1024 * 1024
_SHOWN = 20


class SavedPlan(_Model):
    """What `reconcile plan --out FILE` writes: the plan, what it was made from, and digests of its steps."""

    path: str = Field(description="Absolute path of the specs.")
    labels: dict[str, str]
    only: tuple[str, ...]
    retry: tuple[str, ...]
    mirror: str
    steps: tuple[str, ...] = Field(description="Address and digests of before and after, for each step.")
    plan: PlanDocument

    def options(self) -> Options:
        """What the run was asked that made it."""
        return Options(Path(self.path), self.labels, frozenset(self.only), frozenset(self.retry))


def save(file: Path, session: Session, decided: Decided, mirror: str = "") -> None:
    """Write the plan whole, by rename, readable by its owner alone. Raises SpecError (`plan-file-unusable`)."""
    asked = session.options
    saved = SavedPlan(
        path=str(asked.path.resolve()),
        labels=dict(asked.labels),
        only=tuple(sorted(asked.only)),
        retry=tuple(sorted(asked.retry)),
        mirror=mirror,
        steps=_fingerprints(decided.plan),
        plan=document(session, decided),
    )
    if file.exists() and not file.is_file():  # the rename would put a file in the place of a device
        raise SpecError(_unusable(file, "it is there, and not a regular file"))
    if file.is_file() and not _is_plan(file):  # such as a spec, named in the place of the plan
        raise SpecError(_unusable(file, "it is there, and not a plan; it was left as it is"))
    fresh = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        try:
            with open(fresh, "x", encoding="utf-8", opener=_private) as stream:
                stream.write(saved.model_dump_json(indent=2) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(fresh, file)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise SpecError(_unusable(file, f"it cannot be written: {error.strerror}")) from error


def _is_plan(file: Path) -> bool:
    """Empty, or JSON that begins as ours does: enough to tell it from a spec, also when its fields were others."""
    with open_regular(file, follow=True) as stream:
        return not (begin := stream.read(64)) or (begin.startswith(b"{") and b'"path"' in begin)


def load(file: Path) -> SavedPlan:
    """Read a saved plan. Raises SpecError (`plan-file-unusable`)."""
    try:
        with open_regular(file, follow=True) as stream:
            data = stream.read(_LIMIT)
        return SavedPlan.model_validate_json(data)
    except OSError as error:
        raise SpecError(_unusable(file, f"it cannot be read: {error.strerror}")) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SpecError(_unusable(file, f"{where}: {first['msg']}")) from error


def check(saved: SavedPlan, session: Session, decided: Decided) -> None:
    """Hold a saved plan against the one made now. Raises StalePlan (`plan-stale`), naming what moved."""
    moved = list(_moved(saved, session, decided.plan))
    if not moved:
        return
    shown = moved[:_SHOWN] + ([f"… and {len(moved) - _SHOWN} more"] if len(moved) > _SHOWN else [])
    raise StalePlan(
        Diagnostic(
            "plan-stale",
            "The saved plan is out of date",
            "\n".join(shown) + "\nNothing was changed.",
            f"Look at what would be done now: reconcile plan {saved.path} --out FILE",
        )
    )


def _moved(saved: SavedPlan, session: Session, plan: Plan) -> Iterator[str]:
    if saved.plan.specs != session.specs.digest:
        yield f"specs: were {saved.plan.specs[:12]}, are {session.specs.digest[:12]} ({saved.path})"
    for address, was in sorted(saved.plan.basis.items()):
        found = plan.basis.get(address) or _observed(session, plan, address)
        if was != found:
            yield f"{address}: was {was}, is {found}"
    now = _fingerprints(plan)
    if saved.steps != now:
        gone = [step for step in saved.steps if step not in now]
        fresh = [step for step in now if step not in saved.steps]
        yield from (f"step no longer needed or different: {step.split()[0]}" for step in gone)
        yield from (f"step that the saved plan does not have: {step.split()[0]}" for step in fresh)
        if not gone and not fresh:
            yield "the steps stand in another order"


def _observed(session: Session, plan: Plan, address: str) -> str:
    """What is there now, where the new plan no longer stands on it."""
    kind, _, name = address.partition("/")
    ref = Ref(kind, name)
    resource, want = plan.observed.get(ref), plan.wanted.get(ref)
    if resource is not None and want is not None:
        resource = session.kinds[kind].align(resource, want)
    return fingerprint(resource)


def _fingerprints(plan: Plan) -> tuple[str, ...]:
    return tuple(
        f"{step.action.ref} {fingerprint(step.action.before)} {fingerprint(step.action.after)}" for step in plan.steps
    )


def _unusable(file: Path, why: str) -> Diagnostic:
    return Diagnostic(
        "plan-file-unusable",
        "The file of a saved plan cannot be used",
        f"{file}: {why}.",
        "Make it anew: reconcile plan --out FILE",
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
