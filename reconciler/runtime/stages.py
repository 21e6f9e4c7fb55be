"""Hooks that run a Makejail's stages, and those that undo the host's side.

The create stages run in exec.prestart: the root is mounted, the jail does not exist yet. The start
stages run in exec.poststart, the stop stages in exec.prestop while the jail still runs; a failing stop
stage keeps it running, unless it never started whole. pre fails: the stage is skipped; post always runs,
its status does not count. What stages mounted goes when nothing of the jail runs any more, before its own mounts.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.runtime import firewall
from reconciler.runtime.quote import sh
from reconciler.runtime.runtime import Runtime
from reconciler.runtime.script import script

ENVIRONMENT = r"""
RECONCILER_JAIL=$jail APPJAIL_JAILNAME=$jail APPJAIL_JAILDIR=$live APPJAIL_ROOTDIR=$folder
APPJAIL_SCRIPT=$folder/bin/appjail RECONCILER_MOUNTED=$folder/mounted
PATH=$folder/bin:/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin
export RECONCILER_JAIL APPJAIL_JAILNAME APPJAIL_JAILDIR APPJAIL_ROOTDIR APPJAIL_SCRIPT RECONCILER_MOUNTED PATH
stage() { (cd / && exec /bin/sh "$folder/$1"); }
"""

MOUNTED = "mounted"
"""The file that lists what stages mounted: absolute paths, in the order they were mounted. They stay until the stop."""

_UNMOUNT = r"""
# What stages mounted, last first, and nothing else. umount(8) finds a path as the mount table has it there, before it
# looks at any file: no link of the jail leads it elsewhere. A process that is on its way out does not hold it.
unmount_stages() {
    [ -f "$folder/mounted" ] || return 0
    left=
    set --
    while IFS= read -r path; do set -- "$path" "$@"; done < "$folder/mounted"
    for path; do
        table=$(/sbin/mount -p) || left=yes
        case "$(printf '%s\n' "$table" | /usr/bin/tr '\t' ' ')" in
        *" $path "*) /sbin/umount "$path" 2>/dev/null || /sbin/umount -f "$path" || left=yes ;;
        esac
    done
    [ -z "$left" ] || { warn "what a stage mounted stays mounted"; return 1; }
    /bin/rm -f "$folder/mounted"
}
"""

_FIREWALL = r"""
# Loading an anchor that no ruleset calls succeeds and does nothing, hence the questions.
/sbin/pfctl -s info >/dev/null 2>&1 ||
    fail "nat and exposed ports need pf, which is not there; try: service pf onestart"
/sbin/pfctl -a "$anchor" -f "$folder/pf.conf" || fail "pf refuses $folder/pf.conf"
case "$(/sbin/pfctl -s info 2>/dev/null)" in
*"Status: Enabled"*) ;;
*) warn "pf is not enabled: nat and exposed ports do nothing" ;;
esac
called=$(/sbin/pfctl -s nat 2>/dev/null) || called=
for kind in @KINDS@; do
    case "$called" in
    *"$kind-anchor"*reconciler*) ;;
    *) warn "the host's pf.conf does not call us: add: $kind-anchor \"reconciler/*\"" ;;
    esac
done
"""

_STARTED = r"""
# It has started, and from what: the tool compares, and prestop.sh asks.
/bin/cat "$folder/config-id" > "$folder/started.new" || fail "cannot write $folder/started.new"
/bin/mv -f "$folder/started.new" "$folder/started" || fail "cannot write $folder/started"
"""

# What a start that was cut off did not come to cannot be undone, and must not keep the jail for ever.
_HALF = r"""
    [ -f "$folder/started" ] || { warn "the stage $failed failed; the jail had not started whole"; exit 0; }
"""

_RELEASE = r"""
# A jail of this name that runs needs all of this.
if /usr/sbin/jls -j "$jail" jid >/dev/null 2>&1; then fail "the jail runs"; fi

# From here on nothing fails: what is left over here must not keep the rest from being undone.
# pf and racct may not be there at all.
/sbin/pfctl -q -a "$anchor" -F all 2>/dev/null || :
/usr/bin/rctl -r "jail:$jail" 2>/dev/null || :
"""

_EPAIR = r"""
outer=@OUTER@
if /sbin/ifconfig "$outer" >/dev/null 2>&1; then
    /sbin/ifconfig "$outer" destroy || warn "the interface $outer is left over"
fi
"""


def file_name(stage: str) -> str:
    """The file of a stage: stage-start.sh, stage-custom-x.sh."""
    return f"stage-{stage.replace(':', '-')}.sh"


def has(stages: Mapping[str, str], name: str) -> bool:
    """Whether a stage, its pre or its post has a script."""
    return any(prefix + name in stages for prefix in ("", "pre", "post"))


def mounts(stages: Mapping[str, str]) -> bool:
    """Whether a stage mounts anything."""
    return any("reconciler_mount " in text for text in stages.values())


def unmount(runtime: Runtime) -> str:
    """The function `unmount_stages` of a hook; nothing where no stage mounts anything."""
    return _UNMOUNT if mounts(runtime.stages) else ""


def _run(stages: Mapping[str, str], name: str, on_failure: str) -> str:
    there = set(stages)
    lines = ["failed="]
    if f"pre{name}" in there:
        lines.append(f"stage {file_name('pre' + name)} || failed=pre{name}")
    if name in there:
        lines.append(f'[ -n "$failed" ] || stage {file_name(name)} || failed={name}')
    if f"post{name}" in there:
        lines.append(f'stage {file_name("post" + name)} || warn "the stage post{name} failed"')
    lines.append(f'if [ -n "$failed" ]; then\n{on_failure}    fail "the stage $failed failed"\nfi')
    return "".join(f"{line}\n" for line in lines)


def prestart(runtime: Runtime) -> str:
    """The text of prestart.sh: the create stages."""
    what = "exec.prestart: the root is mounted, the jail does not exist yet."
    undo = "    unmount_stages || :\n" if mounts(runtime.stages) else ""
    body = unmount(runtime) + ENVIRONMENT + _run(runtime.stages, "create", undo)
    return script(runtime, "prestart", what, body)


def poststart(runtime: Runtime) -> str:
    """The text of poststart.sh: the firewall, the start stages (a failing one runs the stop stages), the mark."""
    parts = []
    if rules := firewall.rules(runtime):
        kinds = [kind for kind in ("nat", "rdr") if f"{kind} " in rules]
        parts.append(f"anchor={sh(firewall.anchor(runtime.name))}\n" + _FIREWALL.replace("@KINDS@", " ".join(kinds)))
    if has(runtime.stages, "start"):
        stops = [stage for stage in ("prestop", "stop", "poststop") if stage in runtime.stages]
        undo = "".join(f"    stage {file_name(stage)} || :\n" for stage in stops)
        undo += "    unmount_stages || :\n" if mounts(runtime.stages) else ""
        parts.append(unmount(runtime) + ENVIRONMENT + _run(runtime.stages, "start", undo))
    return script(runtime, "poststart", "exec.poststart: the jail's rc has run.", "".join([*parts, _STARTED]))


def prestop(runtime: Runtime) -> str:
    """The text of prestop.sh: the stop stages."""
    what = "exec.prestop: the jail still runs; a failure here keeps it running."
    return script(runtime, "prestop", what, ENVIRONMENT + _run(runtime.stages, "stop", _HALF.lstrip("\n")))


def poststop(runtime: Runtime) -> str:
    """The text of poststop.sh: unmount what stages mounted, save what `keep` names.

    A failure would keep the mounts, so it only warns.
    """
    what = "exec.poststop: no process is left, everything is still mounted."
    first = unmount(runtime) + ("unmount_stages || :\n" if mounts(runtime.stages) else "")
    body = first + '/bin/sh "$folder/keep.sh" save || warn "it stops all the same"\nexit 0\n'
    return script(runtime, "poststop", what, body)


def release(runtime: Runtime) -> str:
    """The text of release.sh: undo the host's side. Safe to run for any jail that does not run."""
    what = "exec.release: everything is unmounted. Undoes the host's side."
    pair = _EPAIR.replace("@OUTER@", runtime.names.outer) if runtime.vnet and runtime.vnet.bridge else ""
    body = f"anchor={sh(firewall.anchor(runtime.name))}\n{_RELEASE}{pair}exit 0\n"
    return script(runtime, "release", what, body, strict=False)
