"""RUN [options] cmd…: a program in the jail, as the stage's USER, in its WORKDIR, with its ENV.

The words are operands of env(1) and mean themselves: nothing in them expands anywhere, so `RUN echo $HOME` prints a
dollar sign. `--maintain-env` keeps the environment of the caller (su -m), `--noclean` that of the host, `--juser` and
`--huser` say as whom jexec(8) enters.

    USER www
    WORKDIR /usr/local/www
    RUN npm install
"""

from __future__ import annotations

from reconciler.makejail.options import Options, read_options
from reconciler.makejail.problem import USAGE, problem
from reconciler.makejail.quoting import DoubleQuoted, single
from reconciler.makejail.step import EnvWord, Instruction, Line, State, Step, required
from reconciler.makejail.tokens import words

_USAGE = "Write RUN COMMAND [ARGUMENT…]."


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, {"--maintain-env", "--noclean"}, {"--juser", "--huser"}, _USAGE)
    if not options.last:
        raise problem(USAGE, "usage", "RUN needs a command", hint=_USAGE, span=line.span)
    command = (*(words(state.entrypoint, line.span) if state.entrypoint else ()), *options.words)
    user, host_user = options.value("--juser"), options.value("--huser")
    assignments = next((at for at, word in enumerate(command) if "=" not in word), len(command))
    environment = state.run_environment
    cwd = state.workdir or "/"
    operands = {
        "user": state.user,
        "login": not options.has("--maintain-env"),
        "noclean": options.has("--noclean"),
        "juser": user,
        "huser": None if user else host_user,
        "cwd": cwd,
        "env": (*(word.shown for word in environment), *command[:assignments]),
        "argv": command[assignments:],
    }
    return Step(
        "RUN",
        line.rest,
        line.span,
        operands,
        f"printf '%s\\n' {_inner(cwd, environment, command)} | {_target(state, options)}",
        names=tuple(name for word in environment for name in word.names),
        reads=(("env", "\n".join(word.shown for word in state.given)),) if state.given else (),
        inside=True,
        lasting=True,
    )


def _inner(cwd: str, environment: tuple[EnvWord, ...], command: tuple[str, ...]) -> str:
    """The host's word that becomes the script of the jail's shell."""
    pieces = [single(f"cd {single(cwd)}; env")]
    for word in environment:
        pieces += [single(" "), word.sh]
    return "".join([*pieces, single("".join(" " + single(word) for word in command))])


def _target(state: State, options: Options) -> str:
    words = ["jexec"] if options.has("--noclean") else ["jexec", "-l"]
    user, host_user = options.value("--juser"), options.value("--huser")
    if user:
        words += ["-U", DoubleQuoted.host(user).sh]
    elif host_user:
        words += ["-u", DoubleQuoted.host(host_user).sh]
    login = "-m" if options.has("--maintain-env") else "-l"
    return f"{' '.join(words)} \"$RECONCILER_JAIL\" su {login} {single(state.user)} -c 'sh -s'"


INSTRUCTION = Instruction("RUN", _compile)
