"""LOGIN [--user U]: an interactive session in the jail.

In the stages that a person runs (`cmd`, `apply`, `custom:NAME`, with `reconcile run`) it is `login -f U` in the jail,
at the terminal of that person: what is typed is passed on line by line. Where there is no terminal, the stage is
refused before anything of it runs. AppJail has LOGIN in the build stage alone, so that `makejail compile` and
`makejail lint` refuse it in these.

In a build it is refused: a layer is known by the text that made it, which says nothing of what somebody typed. To
look into a failed build use `reconcile build JAIL --keep-failed`, and into a running jail `reconcile exec -i JAIL --
login -f root`. The original's habits in a build: what is wrong with the options is no error but a login as the user
known so far (root), and then the login itself follows.

    STAGE custom:look
    LOGIN --user www
"""

from __future__ import annotations

from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.stages import BUILD
from reconciler.makejail.step import Instruction, Line, State, Step
from reconciler.makejail.tokens import words

_INSTEAD = (
    "Move it to STAGE custom:login, for: reconcile run JAIL --stage custom:login. To look around without it: "
    "reconcile exec -i JAIL -- login -f root"
)


def _compile(line: Line, state: State) -> Step | None:
    left = words(line.rest, line.span) if line.rest else []
    user, users = "root", []
    while left and left[0].startswith("--") and left[0] != "--":
        option, *left = left
        if option != "--user":
            users.append(user)
            continue
        value = left.pop(0) if left else option
        if value != option and not left:
            users.append(user)
        user = value
    logins = tuple(map(DoubleQuoted.host, (*users, user)))
    names = tuple(name for word in logins for name in word.names)
    if line.stage == BUILD:
        return Step("LOGIN", line.rest, line.span, {"users": logins}, names=names, unavailable=_INSTEAD)
    script = f"reconciler_login {logins[-1].sh}"
    return Step("LOGIN", line.rest, line.span, {"users": logins[-1:]}, script, names, inside=True)


INSTRUCTION = Instruction("LOGIN", _compile, build_only=True)
