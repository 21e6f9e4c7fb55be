"""LOGIN [--user U]: an interactive session in the jail.

Refused in specs: a build has no terminal. To look around in a running jail use
`reconcile exec -i JAIL -- login -f root`, and in a failed build `reconcile build JAIL --keep-failed`.
The original's habits: what is wrong with the options is no error but a login as the user known so far
(root), and then the login itself follows.

    LOGIN --user www
"""

from __future__ import annotations

from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step
from reconciler.makejail.tokens import words

_INSTEAD = "Remove it: a build has no terminal. To look around, use reconcile exec JAIL -- login -f root."


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
    return Step("LOGIN", line.rest, line.span, {"users": logins}, names=names, unavailable=_INSTEAD)


INSTRUCTION = Instruction("LOGIN", _compile, build_only=True)
