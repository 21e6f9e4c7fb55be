"""Parameters that come with a kernel module: whoever names one to libjail has it loaded (lib/libjail/jail.c)."""

from __future__ import annotations

import pytest

from tests.fleet import Fleet, problems

SPEC = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nparameters: {{{}}}\n"


@pytest.mark.parametrize(
    "parameter", ["allow.mount.linprocfs: true", "allow.mount.fusefs: false", "linux: new", "linux.osname: Linux"]
)
def test_jail_loads_the_modules_of_these(fleet: Fleet, parameter: str) -> None:
    fleet.write(SPEC.format(parameter))
    assert not any(note.failing for note in fleet.decide().plan.notes)
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []


def test_another_that_the_kernel_does_not_know_holds_the_jail_back(fleet: Fleet) -> None:
    fleet.write(SPEC.format("allow.vmm: true"))
    decided = fleet.decide()
    assert ("parameter-unknown", True) in [(n.code, n.failing) for n in decided.plan.notes]
    assert not any(step.scope == "web" for step in decided.plan.steps)
