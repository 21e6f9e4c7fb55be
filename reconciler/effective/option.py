"""OPTIONs, one reader each: from a wish to parts of the jail's document. Networks have a file of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from reconciler.effective.instruction import mount_parts
from reconciler.effective.part import Asked, Found, Part, ignored, incomplete, part, rule, said_by
from reconciler.effective.template import ruleset_parts, template_parts
from reconciler.makejail.wishes import Wish

_RELEASE = re.compile(r"[0-9]+\.[0-9]+-(RELEASE|STABLE|CURRENT|ALPHA[0-9]*|BETA[0-9]*|RC[0-9]*)(-HBSD)?\Z")
_DURATIONS = ("interval", "timeout", "start_period")


def _state(_asked: Asked, wish: Wish) -> Found:
    return [part("state", "running" if wish.option == "start" else "stopped", wish)]


def _boot(_asked: Asked, wish: Wish) -> Found:
    return [part("boot", wish.option == "boot", wish)]


def _release(_asked: Asked, wish: Wish) -> Found:
    """`release` is a name that AppJail's user chose, unless it reads like a version."""
    value = wish.value or ""
    if _RELEASE.match(value):
        return [part("release", value, wish)]
    if wish.option == "release":
        return [ignored(wish, f"the name {value!r} of a folder of AppJail's")] if value != "default" else []
    return [incomplete(wish, f"{value!r} is no release, such as 15.1-RELEASE.")]


def _listed(field: str) -> Callable[[Asked, Wish], Found]:
    """A field that is a list of names."""

    def read(_asked: Asked, wish: Wish) -> Found:
        return [part(field, word, wish, append=True) for word in wish.words]

    return read


def _priority(_asked: Asked, wish: Wish) -> Found:
    value = wish.value or ""
    return [part("priority", int(value) if value.isdecimal() and len(value) < 10 else value, wish)]


def _timezone(_asked: Asked, wish: Wish) -> Found:
    return [part("timezone", wish.value, wish)] if wish.value else []


def _device(_asked: Asked, wish: Wish) -> Found:
    return [part("devfs", rule(wish.words), wish, append=True)] if wish.words else []


def _ruleset(asked: Asked, wish: Wish) -> Found:
    """AppJail's own default is the system's for jails, which is so in any case."""
    value = (wish.value or "").strip()
    if not value.isdecimal() or len(value) > 5:
        return [incomplete(wish, f"{value!r} is no number of a ruleset.")]
    if asked.raw.get("devfs"):
        return [ignored(wish, f"the ruleset {value}, beside `devfs` of the spec,")]
    return ruleset_parts(int(value), wish.span, said_by(wish))


def _cpus(_asked: Asked, wish: Wish) -> Found:
    value = "".join((wish.value or "").split())
    return [part("cpuset", value, wish)] if value != "all" else []


def _ephemeral(_asked: Asked, wish: Wish) -> Found:
    return [part("ephemeral", True, wish)]


def _unmanaged(asked: Asked, wish: Wish) -> Found:
    """A spec that says what to write there has the file written."""
    name, said = (
        ("localtime", asked.raw.get("timezone"))
        if wish.option == "notzdata"
        else ("resolv.conf", asked.network.get("resolver"))
    )
    return [part("unmanaged", name, wish, append=True)] if said is None else []


def _label(_asked: Asked, wish: Wish) -> Found:
    key, _, value = (wish.value or "").partition(":")
    return [Part(("labels", key), value, wish.span, said_by(wish))]


def _keyed(_asked: Asked, wish: Wish) -> Found:
    """`env` and `meta`: parameters of those names."""
    key, _, value = (wish.value or "").partition(":")
    return [Part(("parameters", f"{wish.option}.{key}"), value, wish.span, said_by(wish))]


def _limits(_asked: Asked, wish: Wish) -> Found:
    rule, equals, amount = (wish.words or ("",))[0].partition("=")
    if not equals:
        return [incomplete(wish, f"{rule!r} is no RESOURCE:ACTION=AMOUNT.")]
    key = rule.removesuffix(":deny")
    return [Part(("limits", key), amount, wish.span, said_by(wish))]


def _volume(_asked: Asked, wish: Wish) -> Found:
    if not wish.words:
        return [incomplete(wish, "It names no volume.")]
    name, named = wish.words[0], wish.named(1)
    found: Found = [_of_volume(name, "mountpoint", named.get("mountpoint") or f"/volumes/{name}", wish)]
    fields = (("owner", "owner"), ("group", "group"), ("perm", "mode"))
    found += [_of_volume(name, ours, named[theirs], wish) for theirs, ours in fields if named.get(theirs)]
    unknown = named.keys() - {"mountpoint", "owner", "group", "perm", "type"}
    return [*found, *(ignored(wish, word) for word in sorted(unknown))]


def _of_volume(name: str, field: str, value: str, wish: Wish) -> Part:
    return Part(("volumes", name, field), value, wish.span, said_by(wish))


def _fstab(_asked: Asked, wish: Wish) -> Found:
    words = (*wish.words[:4], *("", "", "nullfs", "rw")[len(wish.words[:4]) :])
    if not words[0] or not words[1]:
        return [incomplete(wish, "It needs a device and a mount point.")]
    return mount_parts(words[0], words[1], words[2], words[3], wish.span, said_by(wish))


_LINUX = (
    ("linprocfs", "/proc", "linprocfs", "rw"),
    ("linsysfs", "/sys", "linsysfs", "rw"),
    ("fdescfs", "/dev/fd", "fdescfs", "rw,linrdlnk"),
)


def _mounts(_asked: Asked, wish: Wish) -> Found:
    """Options that stand for mounts."""
    if wish.option == "linuxfs":
        found = [one for line in _LINUX for one in mount_parts(*line, wish.span, said_by(wish))]
        return [*found, ignored(wish, "the tmpfs on /dev/shm")]
    if wish.option == "tmpdir":
        return mount_parts("/tmp", "/tmp", "nullfs", "rw", wish.span, said_by(wish))  # noqa: S108
    socket = "/tmp/.X11-unix"  # noqa: S108
    return mount_parts(socket, socket, "nullfs", wish.value or "ro", wish.span, said_by(wish))


def _resolver(asked: Asked, wish: Wish) -> Found:
    """The host's file by default; of another, the name servers."""
    if not wish.value:
        return []
    data = asked.files.get(wish.value)
    if data is None:
        return [incomplete(wish, f"{wish.value} is not there.")]
    lines = [line.split() for line in data.decode("utf-8", "replace").splitlines()]
    servers = [line[1] for line in lines if line[:1] == ["nameserver"] and len(line) > 1]
    others = sorted({line[0] for line in lines if line} & {"domain", "options", "search", "sortlist"})
    found: Found = [part("network/resolver", server, wish, append=True) for server in servers]
    return [*found, *(ignored(wish, f"{word} of {wish.value}") for word in others)]


def _healthcheck(_asked: Asked, wish: Wish) -> Found:
    """Only what is asked inside the jail; AppJail's own question, whether it runs, is asked in any case."""
    named = dict(wish.named())
    command = named.pop("health_cmd", "")
    found: Found = [ignored(wish, key) for key in sorted(named.keys() - {*_DURATIONS, "retries"})]
    if not command:
        return found
    where, colon, text = command.partition(":")
    if colon and where == "host":
        return [incomplete(wish, "Health checks run in the jail, never on the host.")]
    found.append(part("healthcheck/command", ["/bin/sh", "-c", text if where == "jail" and colon else command], wish))
    for key in _DURATIONS:
        if key in named:
            found.append(part(f"healthcheck/{key}", named[key] + ("s" if named[key].isdigit() else ""), wish))
    if "retries" in named:
        retries = named["retries"]
        found.append(part("healthcheck/retries", int(retries) if retries.isdecimal() else retries, wish))
    return found


def _template(asked: Asked, wish: Wish) -> Found:
    data = asked.files.get(wish.value or "")
    if data is None:
        return [incomplete(wish, f"{wish.value} is not there.")]
    return template_parts(data.decode("utf-8", "replace"), wish)


READERS: Mapping[str, Callable[[Asked, Wish], Found]] = {
    **dict.fromkeys(("start", "nostart"), _state),
    **dict.fromkeys(("boot", "noboot"), _boot),
    **dict.fromkeys(("osversion", "release"), _release),
    "priority": _priority,
    "tzdata": _timezone,
    "depend": _listed("depends_on"),
    "pkg": _listed("pkg"),
    "device": _device,
    "devfs_ruleset": _ruleset,
    "cpuset": _cpus,
    "ephemeral": _ephemeral,
    **dict.fromkeys(("noresolv_conf", "notzdata"), _unmanaged),
    "label": _label,
    **dict.fromkeys(("env", "meta"), _keyed),
    "limits": _limits,
    "volume": _volume,
    "fstab": _fstab,
    **dict.fromkeys(("linuxfs", "tmpdir", "x11"), _mounts),
    "resolv_conf": _resolver,
    "healthcheck": _healthcheck,
    "template": _template,
}
"""A reader for each option that a field of the document holds, but for those of networks."""
