"""A plan as JSON. These models are the format: `schemas/plan.json` is made from them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from reconciler import __version__
from reconciler.cli import render_plan, show
from reconciler.model.action import Note, Step
from reconciler.model.diagnostic import Span
from reconciler.model.value import Resource
from reconciler.reconcile import Decided, Session

VERSION: Literal[1] = 1


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StepDocument(_Model):
    """One action."""

    number: int = Field(description="Counts from 1; a step never waits for a later one.")
    address: str = Field(description="KIND/NAME of what it changes.")
    kind: str = Field(description="The kind of thing.")
    name: str = Field(description="Its name within the kind.")
    scope: str = Field(description="The jail it belongs to; empty for what jails share.")
    operation: Literal["create", "change", "remove"] = Field(description="What it does to the thing.")
    title: str = Field(description="What an operator would call it.")
    reason: str = Field(description="Why it is needed.")
    waits: tuple[int, ...] = Field(description="Numbers of the steps that go first.")
    interrupts: bool = Field(description="Whether a running jail stops for it.")
    file: str = Field(description="The spec file that asks for it; empty where no line does.")
    line: int = Field(description="Counts from 1; 0 where unknown.")
    column: int = Field(description="Counts from 1; 0 where unknown.")
    before: dict[str, str] = Field(description="The compared fields as the host shows them.")
    after: dict[str, str] = Field(description="The compared fields as they will be.")


class NoteDocument(_Model):
    """What a plan leaves alone, or has to say beside its steps."""

    scope: str = Field(description="The jail; empty for what jails share.")
    code: str = Field(description="See `reconcile explain CODE`.")
    text: str = Field(description="The note.")
    failing: bool = Field(description="Whether the specs cannot be reached because of it.")
    file: str
    line: int
    column: int


class RefusalDocument(_Model):
    """Why `apply` would refuse this plan."""

    code: str = Field(description="See `reconcile explain CODE`.")
    severity: Literal["error", "warning"]
    summary: str
    detail: str
    hint: str
    file: str
    line: int
    column: int


class SummaryDocument(_Model):
    """The last line of the text."""

    create: int
    change: int
    remove: int
    unchanged: int = Field(description="Jails that are as their specs say.")
    interrupted: dict[str, Literal["restart", "stop"]] = Field(description="Running jails that stop, by name.")


class PlanDocument(_Model):
    """What `reconcile plan --json` prints."""

    version: Literal[1] = Field(description="Version of this format.")
    tool: str = Field(description="Name and version of the program that made the plan.")
    host: str = Field(description="The host's URL.")
    specs: str = Field(description="SHA256 over names and bytes of all spec files.")
    basis: dict[str, str] = Field(description="Digest of what was observed, by address: what the plan stands on.")
    steps: tuple[StepDocument, ...]
    notes: tuple[NoteDocument, ...]
    refusals: tuple[RefusalDocument, ...]
    summary: SummaryDocument


def document(session: Session, decided: Decided) -> PlanDocument:
    """A plan as the document that is printed."""
    plan = decided.plan
    number = render_plan.counts(plan)
    return PlanDocument(
        version=VERSION,
        tool=f"reconciler {__version__}",
        host=session.host.url,
        specs=session.specs.digest,
        basis=dict(sorted(plan.basis.items())),
        steps=tuple(_step(step) for step in plan.steps),
        notes=tuple(_note(note) for note in plan.notes),
        refusals=tuple(RefusalDocument(**show.as_json(refusal)) for refusal in decided.refusals),
        summary=SummaryDocument(
            **number,
            unchanged=render_plan.unchanged(decided, session.options.only),
            interrupted=render_plan.interrupted(plan),  # type: ignore[arg-type]
        ),
    )


def _step(step: Step) -> StepDocument:
    action, span = step.action, step.span or Span("")
    before, after = action.before, action.after
    return StepDocument(
        number=step.number,
        address=str(action.ref),
        kind=action.ref.kind,
        name=action.ref.name,
        scope=step.scope,
        operation=render_plan.Entry(action.ref, (step,)).operation,
        title=action.title(),
        reason=step.reason,
        waits=tuple(sorted(step.waits)),
        interrupts=action.interrupts,
        file=span.file,
        line=span.line,
        column=span.column,
        before=_facts(before),
        after=_facts(after),
    )


def _facts(resource: Resource | None) -> dict[str, str]:
    return dict(resource.facts()) if resource is not None else {}


def _note(note: Note) -> NoteDocument:
    span = note.span or Span("")
    return NoteDocument(
        scope=note.scope,
        code=note.code,
        text=note.text,
        failing=note.failing,
        file=span.file,
        line=span.line,
        column=span.column,
    )


def schema() -> dict[str, object]:
    """The JSON schema of the format, as it lies in `schemas/plan.json`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **PlanDocument.model_json_schema()}
