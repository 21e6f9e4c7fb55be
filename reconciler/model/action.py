"""An action is a transition of one resource; a step is an action with its place in a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import IO, Any, Protocol

from reconciler.model.command import Output
from reconciler.model.diagnostic import Span
from reconciler.model.ports import Host, Observed
from reconciler.model.value import Ref, Resource


class Phase(IntEnum):
    """Within one scope, whatever the needs say: prepare beside, tear down, build up, judge, clear away.

    The order must not depend on what an earlier, interrupted run left, so it is a rule and not an edge.
    """

    PREPARE = 0
    TEARDOWN = 1
    BUILD = 2
    JUDGE = 3
    CLEAR = 4


class Site(Protocol):
    """Where actions happen: the host, the pool's place on it, and what the tool brings along."""

    @property
    def host(self) -> Host: ...
    @property
    def pool(self) -> str: ...
    @property
    def mountpoint(self) -> str: ...
    @property
    def hostid(self) -> str: ...
    @property
    def today(self) -> str:
        """The date as YYYY-MM-DD, for marks."""
        ...

    def observe(self, *facets: str, roots: Iterable[str] = (), below: Iterable[str] = ()) -> Observed:
        """Look at the host again; `roots` are datasets, `below` folders relative to the mountpoint."""
        ...

    def output(self, ref: Ref) -> Output:
        """Where the output of a step's commands goes."""
        ...

    def progress(self, ref: Ref) -> Callable[[int, int | None], None]:
        """Told (done, total) in bytes on long work; an unknown total is None."""
        ...

    def archive(self, want: Any, ref: Ref) -> Iterable[tuple[str, Iterable[bytes]]]:
        """The verified archives behind a release, a package, or the digest of a package that was kept: (file name,
        chunks). A package of format 2 has its manifest first, by its name. Raises FetchError."""
        ...

    @property
    def updates(self) -> Any:
        """Who is asked for patches of releases, and whose signature counts."""
        ...

    @property
    def online(self) -> bool:
        """Whether the host may be asked to download."""
        ...

    def has(self, sha256: str) -> bool:
        """Whether an archive is in the cache."""
        ...

    def keep(self, write: Callable[[IO[bytes]], str]) -> str:
        """Put an archive that is made now into the cache: `write` writes it and says its SHA256 (hex)."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass, ended early by a stop signal."""
        ...

    def scratch(self) -> dict[str, Any]:
        """What steps of one run share: a running build, by its dataset."""
        ...


@dataclass(frozen=True, slots=True)
class Action:
    """`[before, after]`: None to X creates, X to Y changes, X to None removes.

    Address, plan text, precondition, "already done" and verification follow from the two values.
    """

    before: Resource | None
    after: Resource | None
    reason: str = field(default="", kw_only=True)

    @property
    def subject(self) -> Resource:
        """The resource as it will be, or as it was."""
        subject = self.after or self.before
        if subject is None:
            raise ValueError("an action changes something")
        return subject

    @property
    def ref(self) -> Ref:
        """What it changes."""
        return self.subject.ref

    @property
    def phase(self) -> Phase:
        """Where it stands within its scope."""
        return Phase.PREPARE

    @property
    def interrupts(self) -> bool:
        """Whether a running jail stops for it."""
        return False

    @property
    def renames(self) -> bool:
        """Whether what it is about goes on under another name: nothing is made, and nothing goes."""
        return False

    def title(self) -> str:
        """What an operator would say: a verb and its object."""
        return f"change {self.ref}"

    def apply(self, site: Site) -> None:
        """Do it. Doing it again, or after an interruption anywhere, must lead to the same end."""
        raise AssertionError(f"{type(self).__name__} does not say how to apply it")

    def done(self, now: Resource | None) -> bool:
        """Whether the host already is where this action leads."""
        return now == self.after

    def due(self, now: Resource | None) -> bool:
        """Whether the host still is where this action starts."""
        return now == self.before


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a plan, by its number, with the steps it waits for."""

    number: int
    action: Action
    waits: frozenset[int]
    reason: str
    span: Span | None = None

    @property
    def scope(self) -> str:
        """The jail, or "" for what jails share."""
        return self.action.subject.scope


@dataclass(frozen=True, slots=True)
class Note:
    """Something a plan says beside its steps: held, suspended, drift that is only reported."""

    scope: str
    code: str
    text: str
    span: Span | None = None
    failing: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided: execution only checks, applies and verifies.

    `basis` maps each address the plan stands on to a digest of what was observed there.
    """

    steps: tuple[Step, ...]
    notes: tuple[Note, ...]
    basis: Mapping[str, str]
    wanted: Mapping[Ref, Resource]
    observed: Mapping[Ref, Resource]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps

    def up_to(self, numbers: Iterable[int]) -> frozenset[int]:
        """The numbers of these steps and of all that they wait for."""
        waits = {step.number: step.waits for step in self.steps}
        pending, found = list(numbers), set[int]()
        while pending:
            number = pending.pop()
            if number not in found:
                found.add(number)
                pending += waits[number]
        return frozenset(found)
