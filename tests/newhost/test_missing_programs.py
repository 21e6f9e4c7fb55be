"""A host that lacks programs of the base system, as images that somebody cut down do."""

import pytest

from reconciler.model.command import Command, Completed, Runner
from reconciler.wrapper import Wrapper
from tests.fleet import Fleet

SPEC = """kind: Release
name: 15.1-RELEASE
sets: [base]
mirror: {mirror}
---
kind: Jail
name: web
release: 15.1-RELEASE
state: stopped
{field}
"""


class Without(Wrapper):
    """A host without a program, as FreeBSD's sh(1) says it (`pkg -v` in the captures)."""

    def __init__(self, inner: Runner, program: str) -> None:
        super().__init__(inner)
        self.program = program

    def run(self, command: Command) -> Completed:
        if command.argv[0] == self.program:
            return Completed(command.argv, 127, b"", f"sh: {self.program}: not found\n".encode())
        return super().run(command)


@pytest.mark.parametrize(
    ("program", "field", "hint"),
    [("pkg", "pkg: [nginx]", "/usr/sbin/pkg"), ("freebsd-update", "patch_level: 1", "patch_level: 0")],
)
def test_a_program_that_is_not_there_is_named_with_where_it_comes_from(
    fleet: Fleet, program: str, field: str, hint: str
) -> None:
    fleet.publish("15.1-RELEASE", 1)
    fleet.write(SPEC.format(mirror=fleet.mirror, field=field))
    report = fleet.apply(Without(fleet.runner, program))
    problem = report.failed[0].diagnostics[0]
    assert problem.code == "command-missing"
    assert program in problem.detail and hint in problem.hint
