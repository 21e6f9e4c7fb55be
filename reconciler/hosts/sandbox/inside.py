"""What processes inside a jail are told: the simulator's commands, as that jail sees them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from reconciler.hosts.sandbox import beneath, jailtable, leases, network, session
from reconciler.hosts.sandbox.commands import ifconfig, jls, route, sysctl, uname
from reconciler.hosts.sandbox.facts import fact
from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command, Completed

ANSWERED = frozenset({
    "hostname", "ifconfig", "jls", "jail", "netstat", "route", "sysctl", "uname", "mount", "umount", "zfs",
    "chown", "chgrp", "chflags", "ping", "kldstat", "pkg", "freebsd-update", "dhclient", "rtsol",
})  # fmt: skip
_READ_VERBS = frozenset({"-l", "-a", "-g", "-f"})


@session.answer_with
def answer(machine: Machine, jid: int, command: Command, cwd: str) -> Completed:
    """Answer a command from inside the jail `jid`; 0 is the host itself, which may do everything."""
    if jid == 0:
        if command.argv[1:2] in (("receive",), ("recv",)) and not isinstance(command.stdin, bytes):
            # All of it before the state is taken: who sends may be at the other end of this pipe, and need it too.
            command = replace(command, stdin=b"".join(command.stdin))
        return machine.run(_based(command, cwd))
    name = command.argv[0].rpartition("/")[2]
    if name == "jail":
        return _jail(machine, jid, command)
    if name == "pkg":
        return _pkg(machine, jid, command)
    if name == "tar":
        return _tar(machine, jid, command, cwd)
    if name == "freebsd-update":
        return _freebsd_update(machine, jid, command)
    with machine.state.transaction():
        if str(jid) not in machine.state.table("jails"):
            return _failed(command, f"{name}: Operation not permitted")
        return _answered(machine, jid, name, command, cwd)


def _based(command: Command, cwd: str) -> Command:
    """The host's commands have no working directory: paths of existing forms are made absolute."""
    argv = list(command.argv)
    if argv[0].rpartition("/")[2] == "jexec":
        return command  # its words are those of a program inside a jail
    # Operands of tar are relative to its -C, which only tar knows how to apply.
    placed = argv[0].rpartition("/")[2] in ("tar", "bsdtar") and "-C" in argv
    for place, word in enumerate(argv[1:], 1):
        relative = word.startswith(("./", "../")) or (argv[place - 1] == "-C" and not word.startswith("/"))
        if relative and not (placed and argv[place - 1] not in ("-C", "-f")):
            argv[place] = os.path.normpath(os.path.join(cwd, word))
    return Command(tuple(argv), stdin=command.stdin, timeout=command.timeout, env=command.env)


def _answered(machine: Machine, jid: int, name: str, command: Command, cwd: str) -> Completed:
    values = jailtable.find_number(machine, jid)["values"]
    own_network = values["vnet"] == "new"
    if name == "hostname":
        return _hostname(machine, jid, command)
    if name == "uname":
        return uname.spoken(command, {**_told(machine, jid), "kern.ident": str(fact(machine, "kern.ident"))})
    if name == "sysctl":
        told = {**_told(machine, jid), "security.jail.jailed": "1",
                "security.jail.vnet": str(int(own_network)), "security.jail.children.max": values["children.max"],
                "security.jail.env": values["env"]}  # fmt: skip
        return sysctl.answered(machine, command, overrides=told, settable=False)
    if name == "jls":
        return jls.listing(machine, command, below=jid)
    if name == "ifconfig":
        changes = [w for w in command.argv[2:] if w not in ("inet", "inet6", "ether")]
        if not own_network and changes and command.argv[1][:2] not in _READ_VERBS:
            return _failed(command, "ifconfig: ioctl (SIOCAIFADDR): Operation not permitted")
        return ifconfig.answered(machine, command, jid=jid if own_network else 0)
    if name in ("route", "netstat"):
        if not own_network and name == "route" and "get" not in command.argv:
            return _failed(command, "route: must be root to alter routing table", 77)
        return route.answered(machine, command, jid=jid if own_network else 0)
    if name in ("dhclient", "rtsol"):
        return leases.answered(machine, command, jid=jid if own_network else 0)
    if name in ("chown", "chgrp", "chflags"):
        return _owner(machine, str(values["path"]), command, cwd)
    if name == "mount":
        words = [w for w in command.argv[1:] if not w.startswith("-")]
        return (
            _failed(command, f"mount: {words[-2] if len(words) > 1 else words[-1]}: Operation not permitted")
            if (words)
            else Completed(command.argv, 0, f"{values['path']} on / (local)\n".encode())
        )
    if name == "ping":
        return _ping(machine, jid if own_network else 0, command)
    return _failed(command, f"{name}: Operation not permitted")


def _told(machine: Machine, jid: int) -> dict[str, str]:
    values = jailtable.find_number(machine, jid)["values"]
    inherits = values["host"] == "inherit"
    hostname = str(fact(machine, "kern.hostname")) if inherits else values["host.hostname"]
    return {
        "kern.ostype": "FreeBSD", "kern.hostname": hostname, "kern.osrelease": values["osrelease"],
        "kern.osreldate": values["osreldate"], "hw.machine": str(fact(machine, "hw.machine")),
        "kern.securelevel": values["securelevel"], "kern.hostuuid": values["host.hostuuid"],
    }  # fmt: skip


def _hostname(machine: Machine, jid: int, command: Command) -> Completed:
    values = jailtable.find_number(machine, jid)["values"]
    operands = [word for word in command.argv[1:] if not word.startswith("-")]
    if not operands:
        name = _told(machine, jid)["kern.hostname"]
        return Completed(command.argv, 0, f"{name.partition('.')[0] if '-s' in command.argv else name}\n".encode())
    if not values["allow.set_hostname"]:
        return _failed(command, "hostname: sethostname: Operation not permitted")
    values["host.hostname"] = operands[0]
    machine.state.touch("jails", str(jid))
    return Completed(command.argv, 0)


def _owner(machine: Machine, path: str, command: Command, cwd: str) -> Completed:
    """Answer chown and its like, with the jail's paths turned into the host's; links must not lead out of the jail."""
    words = list(command.argv)
    first = next((n for n, w in enumerate(words[1:], 1) if not w.startswith("-")), len(words))
    if first < len(words):
        words[first] = _numbered(machine, path, words[0].rpartition("/")[2], words[first])
    for place in range(first + 1, len(words)):
        inner = os.path.normpath(os.path.join("/", cwd, words[place])).lstrip("/")
        above = os.path.dirname(inner)
        if _leaves(machine, path, above):
            return _failed(command, f"{words[0]}: {words[place]}: Operation not permitted")
        words[place] = f"{path.rstrip('/')}/{inner}"
    if "-h" not in words and "-R" not in words:
        words.insert(1, "-h")
    return machine.run(Command(tuple(words)))


def _numbered(machine: Machine, root: str, tool: str, owner: str) -> str:
    """An owner with the numbers that the jail's own files give its names; what they do not know stays."""
    user, colon, group = owner.partition(":") if tool == "chown" else ("", "", owner)
    user = _number(machine, root, "passwd", user)
    group = _number(machine, root, "group", group)
    return f"{user}{colon}{group}"


def _number(machine: Machine, root: str, file: str, name: str) -> str:
    try:
        place = machine.place(f"{root.rstrip('/')}/etc/{file}", follow=False, write=False)
        text = beneath.read(place.tree, place.inside).decode("utf-8", "replace")
    except OSError:
        return name
    for line in text.splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2 and fields[2].isdigit():
            return fields[2]
    return name


def _leaves(machine: Machine, root: str, inner: str) -> bool:
    """Whether the way to a path inside a jail goes over a link."""
    here = root.rstrip("/")
    for part in filter(None, inner.split("/")):
        here += "/" + part
        if machine.resolve(here, follow=False, write=False).is_symlink():
            return True
    return False


def _ping(machine: Machine, jid: int, command: Command) -> Completed:
    target = command.argv[-1]
    seen = [i for i in network.ensure(machine).values() if i["up"]]
    known = any(target == address for i in seen for address, _ in [*i["inet"], *i["inet6"]])
    if not known:
        return _failed(command, f"ping: cannot resolve or reach {target}: Host is down", 2)
    words = f"PING {target} ({target}): 56 data bytes\n64 bytes from {target}: icmp_seq=0 ttl=64 time=0.050 ms\n"
    return Completed(command.argv, 0, words.encode())


def _jail(machine: Machine, jid: int, command: Command) -> Completed:
    from reconciler.hosts.sandbox.commands import jail

    return jail.answered(machine, command, below=jid)


def _pkg(machine: Machine, jid: int, command: Command) -> Completed:
    from reconciler.hosts.sandbox.commands import pkg

    return pkg.answered(machine, command, list(command.argv[1:]), jid)


def archives(argv: Sequence[str]) -> bool:
    """Whether this is a tar that says where it works, and so one that owners, modes and flags are kept by."""
    return argv[0].rpartition("/")[2] == "tar" and "-C" in argv


def _tar(machine: Machine, jid: int, command: Command, cwd: str) -> Completed:
    """Answer tar with its folders turned into the host's; no link is followed on the way to what it reads or writes."""
    with machine.state.reading():
        root = str(jailtable.find_number(machine, jid)["values"]["path"]).rstrip("/")
    argv = list(command.argv)
    for place, word in enumerate(argv[1:], 1):
        if word == "-C" and place + 1 < len(argv):
            argv[place + 1] = root + os.path.normpath(os.path.join("/", cwd, argv[place + 1]))
    asked = Command(("tar", *argv[1:]), command.stdin, command.timeout, command.env, command.limit)
    done = machine.run(asked)
    return Completed(command.argv, done.status, done.stdout, done.stderr)


def _freebsd_update(machine: Machine, jid: int, command: Command) -> Completed:
    from reconciler.hosts.sandbox.commands import freebsd_update

    with machine.state.reading():
        top = str(jailtable.find_number(machine, jid)["values"]["path"])
    return freebsd_update.answered(machine, command, top)


def _failed(command: Command, words: str, status: int = 1) -> Completed:
    return Completed(command.argv, status, b"", f"{words}\n".encode())
