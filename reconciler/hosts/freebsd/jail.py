"""jail(8), jls(8), jexec(8): argument vectors, the parser, and the Jails facet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from sys import intern
from typing import Any

from reconciler.hosts.freebsd.failure import failed, run, text, unreadable
from reconciler.model.command import Command, Completed, Output, Runner
from reconciler.model.ports import JailRow

PARAMETERS = (
    "vnet",
    "ip4",
    "ip6",
    "ip4.addr",
    "ip6.addr",
    "host.hostname",
    "host.hostuuid",
    "devfs_ruleset",
    "securelevel",
    "enforce_statfs",
    "children.max",
    "osrelease",
    "osreldate",
)
"""Parameters that are always asked for, beside jid, name, path and dying."""

_NAMED = ("jid", "name", "path", "dying")

# What jail(8) knows by itself and the kernel does not, so that jls cannot show it.
_UNSHOWN = ("exec.", "mount.", "stop.", "vnet.", "zfs.dataset", "interface", "ip_hostname", "depend", "command")

_SHORT = 16  # words such as `inherit` and release names, which thousands of jails have in common

START_TIMEOUT = 2 * 3600.0
"""Seconds that all of exec.prepare to exec.poststart may take; exec.timeout of the jail usually fails it sooner."""


def listing(parameters: Iterable[str] = ()) -> tuple[str, ...]:
    """List running jails with their parameters; without -d, dying ones are left out."""
    shown = (name for name in parameters if not name.startswith(_UNSHOWN))
    wanted = dict.fromkeys((*_NAMED, *PARAMETERS, *shown))
    return ("jls", "--libxo", "json", *wanted)


def unknown(completed: Completed) -> str:
    """The parameter that jls refuses to show; empty where it refuses none of those it was asked for."""
    name = text(completed.stderr).partition("unknown parameter: ")[2].strip() if completed.status else ""
    return name if name in completed.argv else ""


def parse_listing(completed: Completed) -> tuple[JailRow, ...]:
    """The rows of `listing`. Asked by name, jls prints even numbers and booleans as strings, addresses as lists."""
    try:
        # Each row is made as it is read: all of them as JSON are several times as large.
        rows = tuple(json.loads(completed.stdout, object_hook=_made)["jail-information"]["jail"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(completed, f"{type(error).__name__}: {error}") from error
    if not all(isinstance(one, JailRow) for one in rows):
        raise unreadable(completed, "a jail says no `jid`")
    return rows


def _made(found: dict[str, Any]) -> JailRow | dict[str, Any]:
    return _row(found) if "jid" in found else found


def _row(jail: dict[str, Any]) -> JailRow:
    values = {key: _value(value) for key, value in jail.items()}
    parameters = {key: value for key, value in values.items() if key not in _NAMED}
    return JailRow(int(jail["jid"]), str(jail["name"]), str(jail["path"]), values.get("dying") == "true", parameters)


def _value(value: object) -> str | tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return intern(str(value)) if len(str(value)) < _SHORT else str(value)


def words(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Parameters as jail(8) takes them on its command line; an empty value stands for the bare name."""
    return tuple(f"{key}={value}" if value else key for key, value in parameters.items())


def check(conf: str) -> tuple[str, ...]:
    """Read a jail.conf and print what it says, doing nothing."""
    return ("jail", "-f", conf, "-e", ";")


def start(conf: str, name: str) -> tuple[str, ...]:
    """Create the jail `name` as `conf` says."""
    return ("jail", "-f", conf, "-c", name)


def stop(conf: str, name: str) -> tuple[str, ...]:
    """Remove the jail with the configuration it was made from, which also unmounts what that mounted."""
    return ("jail", "-f", conf, "-r", name)


def create(name: str, parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Create a jail from parameters alone."""
    return ("jail", "-c", f"name={name}", *words(parameters))


def modify(name: str, parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Change parameters of a running jail."""
    return ("jail", "-m", f"name={name}", *words(parameters))


def processes(name: str) -> tuple[str, ...]:
    """List the processes of a jail as `PID COMMAND`; ps(1) ends with status 1 where there is none."""
    return ("ps", "-J", name, "-o", "pid=", "-o", "command=")


class JailJails:
    """The Jails facet over jail(8) and jexec(8). Every method raises HostError when the command fails."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def check(self, conf: str) -> None:
        """Refuse (code `jail-conf-invalid`) a configuration that jail(8) cannot read."""
        run(self._runner, Command(check(conf)), "jail-conf-invalid", "A jail configuration cannot be read")

    def start(self, conf: str, name: str, output: Output | None = None) -> None:
        """Start a jail; its hooks' output goes to `output`. Code `jail-start-failed` when a hook fails."""
        command = Command(start(conf, name), timeout=START_TIMEOUT, output=output)
        run(self._runner, command, "jail-start-failed", "A jail did not start")

    def stop(self, conf: str, name: str, output: Output | None = None) -> None:
        """Stop a jail with its own configuration. Code `jail-stop-failed` when a hook fails.

        Once the jail is removed, jail(8) goes on over what it cannot take away (its root is in use, a part of it
        was unmounted before, or an address was), and ends with status 1. Then what is still mounted is the caller's
        to unmount (see `HostMounts.unmount`). exec.release is run again, in case jail(8) was ended before it.
        """
        done = self._runner.run(Command(stop(conf, name), timeout=START_TIMEOUT, output=output))
        if done.status != 0 and self._runner.run(Command(("jls", "-j", name, "jid"))).status != 0:
            release = Command(("sh", f"{conf.rpartition('/')[0]}/release.sh"), timeout=START_TIMEOUT, output=output)
            done = self._runner.run(release)
        if done.status != 0:
            raise failed(done, "jail-stop-failed", "A jail did not stop")

    def create(self, name: str, parameters: Mapping[str, str]) -> None:
        """Create a jail from parameters alone, for builds; include `persist`."""
        command = Command(create(name, parameters), timeout=START_TIMEOUT)
        run(self._runner, command, "jail-start-failed", "A jail did not start")

    def remove(self, name: str) -> None:
        """Remove a jail made by `create`. What is mounted below its root stays: sweep it.

        Without /etc/jail.conf (-R): it says nothing of this jail, and one that cannot be read is an error to -r.
        """
        run(self._runner, Command(("jail", "-R", name)), "jail-stop-failed", "A jail did not stop")

    def modify(self, name: str, parameters: Mapping[str, str]) -> None:
        """Change parameters of a running jail."""
        run(self._runner, Command(modify(name, parameters)), "jail-modify-failed", "A jail could not be changed")

    def exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] = b"",
        timeout: float = 600.0,
        output: Output | None = None,
        sink: Output | None = None,
    ) -> Completed:
        """Run a command in a jail and return how it ended, whatever its status. Standard output goes to `sink`.

        Raises HostError (code `jail-missing`) when there is no such jail.
        """
        command = Command(("jexec", name, *argv), stdin=stdin, timeout=timeout, output=output, sink=sink)
        completed = self._runner.run(command)
        if completed.status == 1 and text(completed.stderr).strip() == f'jexec: jail "{name}" not found':
            raise failed(completed)
        return completed

    def processes(self, name: str) -> tuple[str, ...]:
        """What runs in a jail, as `PID COMMAND`."""
        done = self._runner.run(Command(processes(name)))
        if done.status not in (0, 1) or done.stderr:
            raise failed(done)
        return tuple(line.strip() for line in text(done.stdout).splitlines() if line.strip())
