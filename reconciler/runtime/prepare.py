"""exec.prepare: before anything is mounted. Refuses what would start wrong, makes the host's side of the network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import cache

from reconciler.runtime.fstab import targets
from reconciler.runtime.nested import folders, left
from reconciler.runtime.quote import fstab as escaped
from reconciler.runtime.quote import sh
from reconciler.runtime.runtime import Runtime
from reconciler.runtime.script import script
from reconciler.runtime.stages import mounts, unmount
from reconciler.spec.document import Vnet

_BLANK = re.compile(r"@([A-Z_]+)@")

_ROOT = r"""
if /usr/sbin/jls -j "$jail" jid >/dev/null 2>&1; then fail "a jail of this name runs already"; fi

# The first line of fstab is the pointer to the root. An unfinished or missing root starts nothing.
read -r root target _ < "$folder/fstab" || fail "cannot read $folder/fstab"
[ "$target" = @TARGET@ ] || fail "the first line of $folder/fstab does not mount the root on $live"
/sbin/zfs list -H -o name "$root" >/dev/null || fail "its root $root does not exist"
/sbin/zfs list -H -o name -t snapshot "$root@sealed" >/dev/null ||
    fail "its root $root has no @sealed snapshot: it was never finished"
state=@STATE@
[ "$(/sbin/zfs list -H -o mounted "$state")" = yes ] || fail "the dataset $state is not mounted"

# What a start or stop that was cut off left mounted, last mounted first.
@STAGED@/bin/mkdir -p "$live" || fail "cannot make $live"
newline='
'
dying() { /usr/sbin/jls -d path dying | /usr/bin/grep -qxF "$live true"; }
mounts() { /sbin/mount -p | /usr/bin/tr '\t' ' '; }
table=$(mounts) || fail "cannot read the mount table"
for path in @TARGETS@; do
    case "$newline$table" in
    *" $path "*)
        # A removed jail holds its root until the last of its connections has timed out, and what the
        # processes had open that it was killed with until they are gone.
        /sbin/umount "$path" || { dying && /sbin/umount -f "$path"; } ||
            fail "$path is still mounted and in use"
        ;;
    esac
done
table=$(mounts) || fail "cannot read the mount table"
case "$table" in
*" $live "* | *" $live/"*) fail "something else is mounted on or below $live" ;;
esac
"""

_EPHEMERAL = r"""
# Nothing that the jail wrote into its root outlives its end, but for what `keep` names.
/bin/sh "$folder/keep.sh" anew || fail "cannot save what \`keep\` names"
/sbin/zfs rollback "$root@sealed" ||
    fail "cannot take $root back to what was built: a snapshot taken since is in the way (zfs list -t snapshot $root)"
"""

_OWN_RULES = r"""
# The jail's own devfs rules, loaded anew.
/sbin/devfs rule -s @NUMBER@ delset || fail "cannot empty devfs ruleset @NUMBER@"
set -f
while read -r rule; do
    # shellcheck disable=SC2086 # the words of a rule are arguments of their own
    /sbin/devfs rule -s @NUMBER@ add $rule </dev/null || fail "devfs refuses the rule: $rule"
done < "$folder/devfs.rules"
set +f
"""

_RULESET = r"""
# A ruleset without rules shows every device of the host to the jail.
rules=$(/sbin/devfs rule -s @NUMBER@ show) || fail "cannot read devfs ruleset @NUMBER@"
[ -n "$rules" ] || fail "devfs ruleset @NUMBER@ is empty, which would show every device; try: service devfs onestart"
printf '%s\n' "$rules" | while read -r _ word number _; do
    [ "$word" = include ] || continue
    [ -n "$(/sbin/devfs rule -s "$number" show)" ] ||
        fail "devfs ruleset $number, which ruleset @NUMBER@ includes, is empty; try: service devfs onestart"
done
"""

_BRIDGE = r"""
/sbin/kldload -n if_bridge if_epair 2>/dev/null || :

# A bridge that is not there is made; it gets its name last, so one that has the name is complete.
bridge=@BRIDGE@
if ! /sbin/ifconfig "$bridge" >/dev/null 2>&1; then
    made=$(/sbin/ifconfig bridge create) || fail "cannot make a bridge"
    /sbin/ifconfig "$made" description "reconciler: $bridge" || fail "cannot describe the bridge $made"
    if [ "$made" != "$bridge" ] && ! /sbin/ifconfig "$made" name "$bridge" >/dev/null; then
        /sbin/ifconfig "$made" destroy || warn "the bridge $made is left over"
        /sbin/ifconfig "$bridge" >/dev/null || fail "cannot make the bridge $bridge"
    fi
fi
shown=$(/sbin/ifconfig "$bridge") || fail "cannot read the bridge $bridge"
case "$shown$newline" in
*"description: reconciler: $bridge$newline"*)
    @GATEWAY@
    /sbin/ifconfig "$bridge" up || fail "cannot bring up the bridge $bridge"
    ;;
esac
"""

_LENT = r"""
# The jail has this interface for itself; what ends it gives the interface back to the host.
/sbin/ifconfig @INTERFACE@ >/dev/null 2>&1 || fail @MISSING@
"""

_EPAIR = r"""
# Both ends, from nothing: what an earlier start left goes first. A start that fails takes its pair away.
outer=@OUTER@
inner=@INNER@
for left in "$outer" "$inner"; do
    if /sbin/ifconfig "$left" >/dev/null 2>&1; then
        /sbin/ifconfig "$left" destroy || fail "cannot destroy the interface $left of an earlier start"
    fi
done
pair=
undo() { if [ -n "$pair" ]; then /sbin/ifconfig "$pair" destroy || :; fi; }
trap undo EXIT
pair=$(/sbin/ifconfig epair create) || fail "cannot make an epair"
other="${pair%a}b"
/sbin/ifconfig "$other" name "$inner" >/dev/null || fail "cannot name the interface $other"
/sbin/ifconfig "$pair" name "$outer" >/dev/null || fail "cannot name the interface $pair"
pair=$outer
/sbin/ifconfig "$outer" ether @OUTER_MAC@ || fail "cannot set the address of $outer"
/sbin/ifconfig "$inner" ether @INNER_MAC@ || fail "cannot set the address of $inner"
/sbin/ifconfig "$outer" description "reconciler: $jail" || fail "cannot describe $outer"
# Where devd(8) configures whatever appears, it may have been faster; a member of a bridge has no addresses.
/sbin/ifconfig "$outer" | while read -r family address _; do
    case "$family" in
    inet | inet6) /sbin/ifconfig "$outer" "$family" "$address" -alias || : ;;
    esac
done
/sbin/ifconfig "$bridge" addm "$outer" || fail "cannot join $outer to the bridge $bridge"
/sbin/ifconfig "$outer" up || fail "cannot bring up $outer"
pair=
"""


@cache
def _pieces(template: str) -> tuple[str, ...]:
    """Text and names of blanks by turns."""
    return tuple(_BLANK.split(template))


def _fill(template: str, values: Mapping[str, str]) -> str:
    """All at once: a path that holds `@STATE@` is a path."""
    pieces = [*_pieces(template)]
    pieces[1::2] = [values[name] for name in pieces[1::2]]
    return "".join(pieces)


def _gateway(gateway: str, prefix: int) -> str:
    address = ipaddress.ip_address(gateway)
    family = "inet" if address.version == 4 else "inet6"
    return (
        f'gateway={sh(str(address))}\n    case "$shown" in\n    *"{family} $gateway "*) ;;\n'
        f'    *) /sbin/ifconfig "$bridge" {family} "$gateway/{prefix}" alias ||'
        ' fail "cannot give $gateway to the bridge $bridge" ;;\n    esac'
    )


def prepare(runtime: Runtime) -> str:
    """The text of prepare.sh."""
    backwards = " ".join(sh(path) for path in reversed(targets(runtime)))
    values = {
        "TARGETS": backwards,
        "TARGET": sh(escaped(runtime.live)),
        "STATE": sh(runtime.state_dataset),
        "NUMBER": str(runtime.devfs_ruleset),
        "STAGED": "",
    }
    if mounts(runtime.stages):
        values["STAGED"] = 'unmount_stages || fail "what a stage mounted is still mounted"\n'
    parts = [left(), unmount(runtime), _fill(_ROOT, values), folders(runtime)]
    if runtime.jail.ephemeral:
        parts.append(_EPHEMERAL)
    if runtime.jail.devfs:
        parts.append(_fill(_OWN_RULES, values))
    parts.append(_fill(_RULESET, values))
    if runtime.vnet:
        parts.append(_network(runtime, runtime.vnet))
    return script(runtime, "prepare", "exec.prepare: before anything is mounted.", "".join(parts))


def _network(runtime: Runtime, vnet: Vnet) -> str:
    """What makes the host's side of the jail's network stack."""
    if vnet.bridge is None:
        missing = sh(f"the interface {vnet.interface} is not there, or another jail has it")
        return _fill(_LENT, {"INTERFACE": sh(vnet.interface or ""), "MISSING": missing})
    names, gateway = runtime.names, ":"
    if vnet.gateway and vnet.fixed:
        gateway = _gateway(vnet.gateway, ipaddress.ip_interface(vnet.fixed).network.prefixlen)
    values = {
        "GATEWAY": gateway,
        "BRIDGE": sh(vnet.bridge),
        "OUTER_MAC": names.outer_mac,
        "INNER_MAC": vnet.mac or names.inner_mac,
        "OUTER": names.outer,
        "INNER": names.inner,
    }
    return _fill(_BRIDGE, values) + _fill(_EPAIR, values)
