"""PKG [where] packages…|--remove packages…|--autoremove|--clean|--update|--upgrade: FreeBSD packages in the jail.

- without `where`: the host's pkg(8) installs into the jail. `--jexec --jail`: the jail's own pkg. `--chroot`: as
  without. `--local`: into the host itself; that is code on the host.

One action at a time. `reconcile lock` pins packages, with all that they need, by version and checksum; their archives
are kept in the pool and installed from there, and a build that gets others fails. Variables that are known before the
build are looked through, and patterns mean what the catalogue has for them when the lock is written. `--update` and
`--upgrade` cannot be pinned.

    PKG nginx php83
    PKG --clean
"""

from __future__ import annotations

from reconciler.makejail.lines import blank
from reconciler.makejail.options import Options, read_options
from reconciler.makejail.problem import USAGE, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Instruction, Line, State, Step, required

_ACTIONS = {
    "--remove": ("remove", "-y", "--"),
    "--autoremove": ("autoremove", "-y"),
    "--clean": ("clean", "-y"),
    "--update": ("update",),
    "--upgrade": ("upgrade", "-y"),
}
_FLAGS = frozenset({"--chroot", "--jexec", "--jail", "--local", *_ACTIONS})
_USAGE = "Write PKG PACKAGE… or PKG --remove PACKAGE…."
_COMMANDS = {
    "host-into-jail": 'pkg -j "$RECONCILER_JAIL"',
    # The jail's own pkg(7) asks before it fetches pkg(8), unless it is told in its environment.
    "in-jail": 'jexec -l -U root "$RECONCILER_JAIL" env ASSUME_ALWAYS_YES=yes pkg',
    # pkg -c would follow the jail's links from the host; -j enters the running jail instead.
    "chroot": 'pkg -j "$RECONCILER_JAIL"',
    "host": "pkg",
}


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, _FLAGS, (), _USAGE)
    actions = [action for action in _ACTIONS if options.has(action)]
    if len(actions) > 1:
        raise problem(USAGE, "usage", "PKG takes one action", " ".join(actions), _USAGE, line.span)
    packages = tuple(DoubleQuoted.host(word) for word in options.words if not blank(word))
    action = _ACTIONS[actions[0]] if actions else ("install", "-y", "--")
    if "--" not in action:
        packages = ()
    elif not options.words:
        raise problem(USAGE, "usage", "PKG needs a package", hint=_USAGE, span=line.span)
    via = _via(options)
    return Step(
        "PKG",
        line.rest,
        line.span,
        {"via": via, "argv": (*action, *packages)},
        " ".join([_COMMANDS[via], *action, *(package.sh for package in packages)]),
        names=tuple(name for package in packages for name in package.names),
        packages=tuple(p.static or p.source for p in packages) if action[0] == "install" else (),
        inside=via != "host",
        host_code=via == "host",
        network=action[0] in ("install", "update", "upgrade"),
        lasting=True,
    )


def _via(options: Options) -> str:
    if options.has("--chroot"):
        return "chroot"
    if options.has("--local"):
        return "host"
    return "in-jail" if options.has("--jail") else "host-into-jail"


INSTRUCTION = Instruction("PKG", _compile)
