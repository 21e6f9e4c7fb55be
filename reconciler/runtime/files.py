"""All runtime files of a jail: path relative to its folder -> (mode, text). Deterministic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from sys import intern

from reconciler.model.diagnostic import SpecError
from reconciler.runtime import created, devfs, firewall, keep, stages
from reconciler.runtime.check import check, check_stages
from reconciler.runtime.conf import jail_conf
from reconciler.runtime.fstab import fstab
from reconciler.runtime.identity import config_id
from reconciler.runtime.prepare import prepare
from reconciler.runtime.runtime import Runtime
from reconciler.runtime.shim import APPJAIL

SCRIPT = 0o700
DATA = 0o600
OPERATOR = "stopped-by-operator"
"""The mark of `service reconciler_jails stop NAME`."""

MARKERS = ("suspended", OPERATOR)
"""Files of a jail's folder that are not written from the spec: they stay when the others are replaced."""

LOGS = ("console.log", "started", stages.MOUNTED)
"""Files that a start writes: the console, the `config-id` that the jail was started from, what stages mounted."""


READ = ("config-id", "devfs.rules", "fstab", "pf.conf")
"""Files that planning looks into."""

Summary = tuple[tuple[str, ...], Mapping[str, tuple[int, str]]]
"""The names of all files of a jail, and those of READ."""


class Rendered(Mapping[str, tuple[int, str]]):
    """The files of a jail as `files` renders them. Kept are those of READ; the rest, which are only needed
    where they are written, are rendered again: ten thousand jails have 100 MB of them."""

    __slots__ = ("_kept", "_names", "_runtime", "summary")

    def __init__(self, runtime: Runtime, summary: Summary) -> None:
        """`summary` is of what `files(runtime)` said."""
        self._runtime, self.summary = runtime, summary
        self._names, self._kept = summary

    @classmethod
    def of(cls, runtime: Runtime, rendered: Mapping[str, tuple[int, str]]) -> Rendered:
        """`rendered` is what `files(runtime)` said."""
        kept = {name: rendered[name] for name in READ if name in rendered}
        return cls(runtime, (tuple(map(intern, rendered)), kept))

    def __getitem__(self, path: str) -> tuple[int, str]:
        if path in self._kept:
            return self._kept[path]
        if path not in self._names:
            raise KeyError(path)
        return files(self._runtime)[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, path: object) -> bool:
        return path in self._names


def _hooks(runtime: Runtime) -> dict[str, str]:
    hooks = {"prepare": prepare(runtime), "created": created.created(runtime)}
    if stages.has(runtime.stages, "create"):
        hooks["prestart"] = stages.prestart(runtime)
    hooks["poststart"] = stages.poststart(runtime)
    if stages.has(runtime.stages, "stop"):
        hooks["prestop"] = stages.prestop(runtime)
    return hooks | {"poststop": stages.poststop(runtime), "release": stages.release(runtime)}


def files(runtime: Runtime) -> dict[str, tuple[int, str]]:
    """Every file, by path relative to MOUNTPOINT/jails/NAME. SpecError names all that cannot be written."""
    if errors := (*check(runtime.jail, runtime.external), *check_stages(runtime)):
        raise SpecError(errors)
    jail = runtime.jail
    hooks = _hooks(runtime)
    boot = "yes" if jail.boot and jail.state == "running" else "no"
    data = {
        "jail.conf": jail_conf(runtime, tuple(hooks)),
        "fstab": fstab(runtime),
        "boot": f"{boot}\n",
        "config-id": f"{config_id(runtime)}\n",
        "priority": f"{jail.priority}\n" if jail.priority else "",
        "depends": "".join(f"{name}\n" for name in sorted(set(jail.depends_on))),
        "devfs.rules": devfs.rules(runtime),
        "pf.conf": firewall.rules(runtime),
        "resolv.conf": created.resolv_conf(runtime),
    }
    scripts = {f"{name}.sh": text for name, text in hooks.items()} | {"keep.sh": keep.keep_script(runtime)}
    scripts |= {stages.file_name(stage): text for stage, text in runtime.stages.items()}
    scripts |= {"bin/appjail": APPJAIL} if runtime.stages else {}
    always = {"depends", "resolv.conf"}
    made = {name: (DATA, text) for name, text in data.items() if text or (text is not None and name in always)}
    made |= {name: (SCRIPT, text) for name, text in scripts.items()}
    return dict(sorted(made.items()))
