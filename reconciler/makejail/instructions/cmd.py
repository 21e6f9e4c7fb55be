"""CMD [target] command…: sh code in the jail (as root), or on the host with --local and its kin.

The command's words are joined by one space, quotes kept, and are read by the target's sh;
nothing in them expands on the host. ARGs that stand earlier are in its environment, and so are VARs with
`--make-arg-env`; WORKDIR, USER, ENTRYPOINT and ENV do not apply.

- `--jexec` (the default): in the jail, in an empty environment; `--noclean` keeps the caller's, `--env NAME=VALUE`
  adds to it, `--workdir DIR` is where it runs, `--juser` and `--huser` as whom.
- `--chroot`: in the jail here as well, since a chroot from the host would follow the jail's links.
- `--local`, `--local-jaildir`, `--local-rootdir`, `--jaildir`: on the host as root, in the Makejail's folder, the
  jail's root, its folder, or the folder of all jails. The plan lists them, and `policy.host_code` may refuse them.

    CMD sed -i '' -e "s|%%PORT%%|${port}|" /usr/local/etc/nginx/nginx.conf
"""

from __future__ import annotations

from reconciler.makejail.options import Options, read_options
from reconciler.makejail.problem import USAGE, problem
from reconciler.makejail.quoting import DoubleQuoted, single
from reconciler.makejail.step import Instruction, Line, State, Step, required

# In the order of their precedence when several are given.
_HOST_TARGETS = ("chroot", "jaildir", "local", "local-jaildir", "local-rootdir")
_FLAGS = frozenset({"--jexec", "--noclean", *(f"--{target}" for target in _HOST_TARGETS)})
_VALUED = frozenset({"--env", "--workdir", "--juser", "--huser"})
_USAGE = "Write CMD COMMAND, or CMD --local COMMAND for the host."
_PLACES = {
    "jaildir": '"${APPJAIL_ROOTDIR%/*}"',
    "local-jaildir": '"$APPJAIL_JAILDIR"',
    "local-rootdir": '"$APPJAIL_ROOTDIR"',
}


def _compile(line: Line, state: State) -> Step | None:
    options = read_options(_checked(line), _FLAGS, _VALUED, _USAGE)
    if not options.complete:
        raise problem(USAGE, "usage", "CMD needs a command", hint=_USAGE, span=line.span)
    code = " ".join(options.written)
    target = next((place for place in _HOST_TARGETS if options.has(f"--{place}")), "jexec")
    env = tuple(DoubleQuoted(f"{name}=${{{name}}}") for name in state.passed)
    if target == "jexec":
        return _in_jail(line, options, env, code, tuple(state.passed))
    run = " ".join(["env", *(word.sh for word in env), "sh", "-c", single(code)])
    if target == "chroot":
        # A chroot from the host would follow the jail's own links; the build jail is running.
        run = f'jexec -l "$RECONCILER_JAIL" {run}'
    elif place := _PLACES.get(target):
        run = f"( cd -- {place} && {run} )"
    return Step(
        line.name,
        line.rest,
        line.span,
        {"target": target, "env": env, "sh": code},
        run,
        names=(*state.passed, *_mentioned(target)),
        inside=target == "chroot",
        host_code=target != "chroot",
        needs_context=target != "chroot",
        lasting=True,
    )


def _checked(line: Line) -> Line:
    required(line, _USAGE)
    return line


def _mentioned(target: str) -> tuple[str, ...]:
    """Host code may read any of the jail's names from its environment."""
    if target == "chroot":
        return ()
    return ("APPJAIL_JAILDIR", "APPJAIL_JAILNAME", "APPJAIL_ROOTDIR")


def _in_jail(line: Line, options: Options, env: tuple[DoubleQuoted, ...], code: str, passed: tuple[str, ...]) -> Step:
    user, host_user = options.value("--juser"), options.value("--huser")
    workdir = DoubleQuoted.host(options.value("--workdir") or "/")
    extra = tuple(options.all("--env"))
    operands = {
        "target": "jexec",
        "workdir": workdir,
        "noclean": options.has("--noclean"),
        "jexec_env": extra,
        "juser": user,
        "huser": None if user else host_user,
        "env": env,
        "sh": code,
    }
    words = ["jexec"] if options.has("--noclean") else ["jexec", "-l"]
    if user:
        words += ["-U", DoubleQuoted.host(user).sh]
    elif host_user:
        words += ["-u", DoubleQuoted.host(host_user).sh]
    # jexec -l starts in the user's home, and -d is not in every release: cd is done inside.
    words += ['"$RECONCILER_JAIL"', "sh", "-c", '\'cd -- "$0" && exec "$@"\'', workdir.sh]
    words += ["env", *(single(word) for word in extra), *(word.sh for word in env), "sh", "-c", single(code)]
    names = (*passed, *workdir.names)
    return Step(line.name, line.rest, line.span, operands, " ".join(words), names, inside=True, lasting=True)


INSTRUCTION = Instruction("CMD", _compile)
