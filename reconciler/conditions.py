"""What a host must be able to do for a jail: conditions that are said in the plan and never assumed.

Pure. An unmet condition holds back the jail that has it; everybody else goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_interface

from reconciler.allocate import Allocation
from reconciler.build.recipe import InstallPackages, Recipe, RunSegment
from reconciler.kind import Seen
from reconciler.kinds.dataset import jail_of
from reconciler.kinds.layer import needed, snapshots
from reconciler.kinds.mount import of_fstab
from reconciler.makejail.program import Program
from reconciler.model.action import Note
from reconciler.model.ports import Facts
from reconciler.runtime import OPERATOR
from reconciler.spec.document import BuildVnet, Jail, Policy
from reconciler.spec.select import Selected
from reconciler.spec.specset import Sourced

_ANCHORS = r'nat-anchor "reconciler/*"\nrdr-anchor "reconciler/*"\n'
_FORWARDING = {
    False: ("forwarding", "gateway_enable", "net.inet.ip.forwarding"),
    True: ("forwarding6", "ipv6_gateway_enable", "net.inet6.ip6.forwarding"),
}


def unmet(specs: Selected, facts: Facts, programs: Mapping[str, Program]) -> dict[str, Note]:
    """The unmet conditions of each jail, by jail: one note under the first one's code, which says all of them."""
    found: dict[str, Note] = {}
    for name, sourced in specs.jails.items():
        problems = [*_network(name, sourced, specs, facts)]
        problems += _kernel(name, sourced, facts)
        problems += _policy(name, sourced, specs.host.policy, programs)
        if problems:
            first, *others = problems
            # Some of them want a restart of the host: who learned of one after the other would restart it again.
            found[name] = replace(first, text=" ".join([first.text, *(f"And {o.code}: {o.text}" for o in others)]))
    return found


def unmounted(specs: Selected, seen: Seen) -> dict[str, Note]:
    """Jails whose own datasets are not mounted where they belong: what lies there is not absent, but not seen."""
    found: dict[str, Note] = {}
    for name, sourced in specs.jails.items():
        for path in (f"jails/{name}", f"state/{name}"):
            row = seen.rows.get(path)
            if row is None or (row.mounted and row.mountpoint == seen.place.folder(path)):
                continue
            text = f"{row.name} is not mounted on {seen.place.folder(path)}; it is mounted first, the rest follows."
            found[name] = Note(name, "dataset-unmounted", text, sourced.place(()))
            break
    return found


def suspended(seen: Seen, resumed: Iterable[str]) -> dict[str, Note]:
    """Jails that somebody wants left alone, but for those that are looked at as if they were not."""
    found: dict[str, Note] = {}
    for path, row in seen.rows.items():
        name = path.removeprefix("jails/")
        reason = row.user.get("suspended", "") if path.count("/") == 1 and path == f"jails/{name}" else ""
        if reason and "@" not in name and name not in resumed:
            found[name] = Note(name, "suspended", f"suspended: {reason}. reconcile resume {name}")
    return found


def held(allocated: Mapping[str, Allocation], seen: Seen) -> dict[str, Note]:
    """Jails whose new root failed its check. They are left alone, so one that does not run is not started either."""
    live = seen.place.folder("live/")
    running = {row.name for row in seen.observed.jails if row.path == live + row.name}
    found: dict[str, Note] = {}
    for name, allocation in allocated.items():
        if not allocation.held:
            continue
        marked = f"jails/{name}/{OPERATOR}" in seen.observed.files
        how = "was stopped by the operator" if marked else "does not run"
        now = "runs" if name in running else f"{how}, and is left so until: service reconciler_jails start {name}"
        text = f"held: the root these specs ask for failed its check; the last good one {now}. "
        text += f"Change the spec, or: reconcile apply --retry {name}"
        found[name] = Note(name, "root-held", text, failing=True)
    return found


def backing_off(waiting: Mapping[str, str]) -> dict[str, Note]:
    """Jails that failed a while ago, and are left alone until it is time to try again."""
    return {name: Note(name, "backing-off", why, failing=True) for name, why in waiting.items()}


def unpinned(specs: Selected, allocated: Mapping[str, Allocation], seen: Seen) -> dict[str, Note]:
    """Jails for which something would be built now that reads the network, and that nothing pins."""
    here = {digest for digest, _row in snapshots(seen.rows)}
    deny = specs.host.policy.unpinned == "deny"
    found: dict[str, Note] = {}
    for name, allocation in allocated.items():
        for layer in needed(allocation.chain, here):
            what = "" if layer.name in here else _unpinned(layer.recipe)
            if what:
                text = f"{what} reads the network, and nothing pins what it finds there"
                text += "; policy.unpinned is deny." if deny else ": building it again may give something else."
                found[name] = Note(name, "unpinned", text, layer.where, failing=deny)
                break
        said = "patch_level" in specs.jails[name].doc.model_fields_set
        if allocation.chain.floating and name not in found and (said or not deny):
            release = allocation.chain.release
            text = f"`latest` of {release.release} is not pinned: -p{release.level} is taken"
            text += "; policy.unpinned is deny." if deny else ". For the newest: reconcile lock"
            where = specs.jails[name].place(("patch_level",))
            found[name] = Note(name, "release-unpinned", text, where, failing=deny)
    return found


def _unpinned(recipe: Recipe | None) -> str:
    """What of a recipe reads the network unpinned; "" for nothing."""
    match recipe:
        case InstallPackages(pins=()):
            return f"pkg: {' '.join(recipe.names)}"
        case RunSegment() if recipe.segment.needs_network and not _held(recipe):
            return " ".join(dict.fromkeys(step.name for step in recipe.segment.written))
        case _:
            return ""


def _held(recipe: RunSegment) -> bool:
    """Whether all that the segment takes from the network is pinned."""
    steps = recipe.segment.instructions
    adds = {step.text for step in steps if step.name == "ADD"}
    packages = [step for step in steps if step.name == "PKG"]
    loose = packages and (not recipe.pins or any("--upgrade" in step.text.split() for step in packages))
    return not loose and len(adds) <= len(recipe.files)


def unkept(
    specs: Selected, allocated: Mapping[str, Allocation], seen: Seen, stored: Callable[[], Container[str]]
) -> Iterable[Note]:
    """Jails for which pinned packages would be installed now that are not `stored` (SHA256), with no network."""
    here = {digest for digest, _row in snapshots(seen.rows)}
    for name, allocation in allocated.items():
        for layer in needed(allocation.chain, here):
            recipe = layer.recipe
            pins = recipe.kept if isinstance(recipe, InstallPackages | RunSegment) and layer.name not in here else None
            lacking = [one for one, pin in pins.packages.items() if pin.checksum not in stored()] if pins else []
            if lacking and name in specs.jails:
                said = ", ".join(sorted(lacking)[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
                text = f"the pool's store does not have {said} as pinned, and downloads are off."
                yield Note(name, "pkg-not-kept", text, layer.where, failing=True)
                break


def unconnected(
    specs: Selected, allocated: Mapping[str, Allocation], seen: Seen, facts: Facts
) -> Iterable[Note]:
    """Jails for which something would be built now whose build jails cannot have the network that the host says."""
    vnet = specs.host.build.vnet
    if specs.host.build.network != "vnet" or vnet is None or specs.host_source is None:
        return
    found = [*stack_needs(facts, vnet.address, nat=vnet.nat), *_subnet(vnet, seen)]
    if not found:
        return
    key = {"build-subnet-taken": "address", "vimage-missing": "bridge"}.get(found[0][0], "nat")
    text = "something is to be built for it, in a network of its own: " + found[0][1]
    text += "".join(f" And {code}: {said}" for code, said in found[1:])
    here, where = {digest for digest, _row in snapshots(seen.rows)}, specs.host_source.place(("build", "vnet", key))
    for name, allocation in allocated.items():
        missing = (one for one in needed(allocation.chain, here) if one.build or one.name not in here)
        if name in specs.jails and any(missing):
            yield Note(name, found[0][0], text, where, failing=True)


def _subnet(vnet: BuildVnet, seen: Seen) -> Iterable[tuple[str, str]]:
    """Where the subnet of builds is one of the host's already, beside their bridge: code and text."""
    own = ip_interface(vnet.address).network
    for row in seen.observed.interfaces:
        for address in row.addresses if row.name != vnet.bridge else ():
            there = ip_interface(address)
            if there.version == own.version and there.network.overlaps(own):
                yield "build-subnet-taken", f"{own} is a network of {row.name} already ({address})."
                return


def astray(specs: Selected, seen: Seen) -> dict[str, Note]:
    """Jails whose data lies where the spec does not have it, or behind another key than it should, or a missing one."""
    return _apart(specs, seen) | _keyless(specs, seen) | _elsewhere(specs, seen)


def _apart(specs: Selected, seen: Seen) -> dict[str, Note]:
    """Jails whose roots would not be encrypted as the dataset that holds them: a clone keeps its origin's key."""
    found: dict[str, Note] = {}
    made = {path: seen.rows[path].encryptionroot for path in ("releases", "layers") if path in seen.rows}
    for name, sourced in specs.jails.items():
        # A whole copy is encrypted as the dataset that it is received below (zfs-receive(8)).
        whole = sourced.doc.update.strategy == "in_place"
        places = () if whole else ("jails", f"jails/{name}")
        kept = {path: seen.rows[path].encryptionroot for path in places if path in seen.rows}
        if made and len({*made.values(), *kept.values()}) > 1:
            said = (f"{seen.place.dataset(path)}: {root or 'not encrypted'}" for path, root in (made | kept).items())
            text = f"releases, layers and roots must share one encryption root, and have: {'; '.join(said)}."
            found[name] = _note(name, "encryption-roots-differ", text, sourced, ())
    return found


def _keyless(specs: Selected, seen: Seen) -> dict[str, Note]:
    """Jails with a dataset whose key is not loaded: it can be neither mounted nor written."""
    rows = ((path, row) for path, row in seen.rows.items() if "@" not in path)
    closed = [(path, row.encryptionroot) for path, row in rows if row.keystatus == "unavailable"]
    found: dict[str, Note] = {}
    for name, sourced in specs.jails.items() if closed else ():
        roots = sorted({root for path, root in closed if path in ("releases", "layers") or jail_of(path) == name})
        if roots:
            text = f"the key of {', '.join(roots)} is not loaded: zfs load-key {roots[0]}"
            found[name] = _note(name, "key-not-loaded", text, sourced, ())
    return found


def _elsewhere(specs: Selected, seen: Seen) -> dict[str, Note]:
    """Jails with a volume whose data lies on another pool than the spec says: a new one would be empty."""
    found: dict[str, Note] = {}
    for name, sourced in specs.jails.items():
        text = seen.observed.files.get(f"jails/{name}/fstab", b"").decode("utf-8", "replace")
        if text.count("/volumes/") == text.count(f"{seen.place.pool}/volumes/") and all(
            v.pool in (None, seen.place.pool) for v in sourced.doc.volumes
        ):
            continue  # nothing is elsewhere, nor should be
        mounted = {m.source for m in of_fstab(text, seen.place, name) if m.fstype == "zfs"}
        for number, volume in enumerate(sourced.doc.volumes):
            wanted = f"{volume.pool or seen.place.pool}/volumes/{name}/{volume.name}"
            there = {source for source in mounted if source.endswith(f"/volumes/{name}/{volume.name}")} - {wanted}
            if there and not volume.renamed_from:
                lies = min(there)
                text_ = f"the volume {volume.name} lies at {lies}, and the spec wants it at {wanted}. "
                text_ += "Stop the jail and copy it there (zfs send -p | zfs receive), or write "
                text_ += f"pool: {lies.partition('/volumes/')[0]}."
                found[name] = _note(name, "volume-elsewhere", text_, sourced, ("volumes", number))
                break
    return found


def of_the_host(specs: Selected, seen: Seen) -> dict[str, Note]:
    """Jails with an address that the host has for itself: when the jail stops, jail(8) takes it from the host.

    One that stands in the jail's own jail.conf may be left over from a start that was cut off. And jails with an
    address on an interface that is not there.
    """
    if not any(sourced.doc.network.addresses for sourced in specs.jails.values()):
        return _without_interface(specs, seen)
    interfaces = {row.name for row in seen.observed.interfaces}
    held = {bare(address): row.name for row in seen.observed.interfaces for address in row.addresses}
    for row in seen.observed.jails:
        for key in ("ip4.addr", "ip6.addr"):
            shown = row.parameters.get(key, ())
            for address in shown if isinstance(shown, tuple) else shown.split(","):
                held.pop(bare(address) if address else "", None)
    found = _without_interface(specs, seen)
    for name, sourced in specs.jails.items():
        if sourced.doc.state != "running":
            continue
        known = seen.observed.files.get(f"jails/{name}/jail.conf", b"").decode("utf-8", "replace")
        for number, entry in enumerate(sourced.doc.network.addresses):
            if entry.interface not in interfaces:
                name_ = entry.interface
                text = f"the host has no interface {name_} for {entry.address}. A loopback interface is made with: "
                text += f"ifconfig {name_} create; at boot with: sysrc cloned_interfaces+={name_}"
                at = ("network", "addresses", number, "interface")
                found[name] = _note(name, "interface-missing", text, sourced, at)
                break
            if bare(entry.address) in held and f"|{entry.address}" not in known:
                text = f"{entry.address} is an address that the host has on {held[bare(entry.address)]} for itself; "
                text += "with the jail's stop the host would lose it. Give the jail another one, or `inherit: true`."
                found[name] = _note(name, "address-of-host", text, sourced, ("network", "addresses", number))
                break
    return found


def _without_interface(specs: Selected, seen: Seen) -> dict[str, Note]:
    """Jails that are to have an interface of the host for themselves, which it does not have."""
    lent = {name: s.doc.network.vnet.interface for name, s in specs.jails.items() if s.doc.network.vnet}
    wanted = {name: interface for name, interface in lent.items() if interface}
    if not wanted:
        return {}
    there = {row.name for row in seen.observed.interfaces}
    running = {row.name for row in seen.observed.jails}
    found: dict[str, Note] = {}
    for name, interface in wanted.items():
        sourced = specs.jails[name]
        if sourced.doc.state == "running" and interface not in there and name not in running:
            text = f"the host has no interface {interface}, or another jail has it. ifconfig -l shows what is there."
            found[name] = _note(name, "interface-missing", text, sourced, ("network", "vnet", "interface"))
    return found


def bare(address: str) -> str:
    """An address without prefix length and scope, as it compares."""
    text = address.partition("/")[0].partition("%")[0]
    return str(ip_address(text)) if ":" in text else text  # IPv4 has one form: there are as many as jails


def _note(name: str, code: str, text: str, sourced: Sourced[Jail], path: tuple[str | int, ...]) -> Note:
    return Note(name, code, text, sourced.place(path), failing=True)


def _network(name: str, sourced: Sourced[Jail], specs: Selected, facts: Facts) -> Iterable[Note]:
    vnet = sourced.doc.network.vnet
    if vnet is None or sourced.doc.state != "running":
        return
    at = ("network", "vnet")
    for code, text in stack_needs(facts, vnet.address, nat=bool(vnet.nat or vnet.expose)):
        yield _note(name, code, text, sourced, at if code == "vimage-missing" else (*at, "nat"))


def stack_needs(facts: Facts, address: str, *, nat: bool) -> Iterable[tuple[str, str]]:
    """What the host lacks for a network stack of a jail's own, with `nat` for one that is translated: code, text."""
    if not facts.features.get("vimage", True):
        yield "vimage-missing", "the kernel has no VIMAGE: VNET jails cannot be made."
    if not nat:
        return
    if not facts.features.get("pf", False):
        text = (
            "pf is not loaded, and NAT and exposed ports need it. On a host without /etc/pf.conf: "
            f"printf '{_ANCHORS}' > /etc/pf.conf; else both lines go before its filter rules. "
            "Then: sysrc pf_enable=YES && service pf start"
        )
        yield "pf-missing", text
    elif not facts.features.get("pf_anchor", False):
        text = (
            "no rule of pf.conf calls our anchor, so NAT would silently do nothing. Add to /etc/pf.conf, before its "
            'filter rules: nat-anchor "reconciler/*" on a line, rdr-anchor "reconciler/*" on the next. '
            "Then: service pf reload"
        )
        yield "pf-anchor-missing", text
    feature, enable, name = _FORWARDING[":" in address]
    if not facts.features.get(feature, False):
        yield "forwarding-off", f"the host does not forward packets. Run: sysrc {enable}=YES && sysctl {name}=1"
    if facts.securelevel >= 3:
        yield "securelevel-too-high", f"securelevel is {facts.securelevel}: pfctl cannot change rules."


def _kernel(name: str, sourced: Sourced[Jail], facts: Facts) -> Iterable[Note]:
    spec = sourced.doc
    if spec.limits and spec.state == "running" and not facts.features.get("racct", False):
        text = "limits need kern.racct.enable=1 in /boot/loader.conf and a reboot of the host."
        yield _note(name, "racct-off", text, sourced, ("limits",))
    for key in spec.parameters:
        plain = positive(key)
        known = facts.parameters
        if (
            known
            and plain not in known
            and f"{plain}." not in known
            and not key.startswith(("exec.", "mount.", "stop.", "meta", "env"))  # those are jail(8)'s own
            and not key.startswith(("allow.mount.", "linux", "sysv"))  # whose modules jail(8) loads
        ):
            text = f"this host's kernel knows no jail parameter {key!r}."
            yield _note(name, "parameter-unknown", text, sourced, ("parameters", key))


def positive(parameter: str) -> str:
    """`allow.noraw_sockets` is read as `allow.raw_sockets`: jls knows only that name."""
    head, dot, last = parameter.rpartition(".")
    return f"{head}{dot}{last[2:]}" if head.startswith("allow") and last.startswith("no") else parameter


def _policy(name: str, sourced: Sourced[Jail], policy: Policy, programs: Mapping[str, Program]) -> Iterable[Note]:
    """The first thing that would run as root on the host, or reach for it, where the host does not allow it."""
    if policy.host_code == "allow" or (policy.host_code == "listed" and name in policy.host_code_allowed):
        return
    said = f"and policy.host_code is {policy.host_code}."
    for number, secret in enumerate(sourced.doc.secrets):
        if secret.source.command is not None:
            text = f"the secret {secret.name} is printed by a command on the host, {said}"
            yield _note(name, "host-code-denied", text, sourced, ("secrets", number, "from", "command"))
            return
    program = programs.get(name)
    if program is None:
        return
    for path in sourced.origins:
        if path[0] in ("mounts", "devfs") and len(path) == 2:
            place = sourced.place(path)
            text = f"its Makejail reaches for {path[0]} of the host ({place}), {said}"
            yield Note(name, "host-code-denied", text, place, failing=True)
            return
    built = [segment.span for one in program.every for segment in one.segments if segment.host_code]
    for place in (*built, *program.hooks):
        text = f"its Makejail runs code on the host ({place}), {said}"
        yield Note(name, "host-code-denied", text, place, failing=True)
        return
