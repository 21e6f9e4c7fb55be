"""exec.created: the jail exists, its rc has not run. Limits, kept files, resolv.conf, localtime, secrets.

Everything goes in through jexec(8), so links resolve inside the jail.
"""

from __future__ import annotations

from reconciler.runtime import limits
from reconciler.runtime.quote import sh, words
from reconciler.runtime.runtime import SECRETS, Runtime
from reconciler.runtime.script import script
from reconciler.spec.document import Secret, Volume

# Inside the jail: a file appears whole, under its own name, in place of a link of that name.
_INSIDE = r"""set -eu; PATH=/bin:/usr/bin:/usr/sbin; export PATH
umask 022; mkdir -p "${1%/*}/"; umask 077
if [ -d "$1" ] && [ ! -L "$1" ]; then echo "$1 is a folder" >&2; exit 1; fi
rm -f "$1.reconciler"; cat > "$1.reconciler"
chown "$3" "$1.reconciler"; chmod "$2" "$1.reconciler"
if [ -L "$1" ]; then rm -f "$1"; fi
mv -f "$1.reconciler" "$1"
"""

_LINK = r"""set -eu; PATH=/bin:/usr/bin; export PATH; umask 022; mkdir -p "${2%/*}/"
if [ -d "$2" ] && [ ! -L "$2" ]; then echo "$2 is a folder" >&2; exit 1; fi
rm -f "$2"; ln -s "$1" "$2"
"""

_LIMITS = r"""
# Limits are keyed by the jail's name and outlive it: the old ones go first.
[ "$(/sbin/sysctl -n kern.racct.enable)" = 1 ] ||
    fail "limits need kern.racct.enable=1 in /boot/loader.conf and a reboot"
/usr/bin/rctl -r "jail:$jail" 2>/dev/null || :
for rule in @RULES@; do
    /usr/bin/rctl -a "$rule" || fail "rctl refuses the limit $rule"
done
"""

_CPUS = r"""
# What starts in the jail from here on runs on these processors alone.
/usr/bin/cpuset -l @CPUS@ -j "$jail" ||
    fail "cpuset refuses the processors @CPUS@; the host has $(/sbin/sysctl -n hw.ncpu)"
"""

_BEGUN = r"""
# Until poststart.sh says so, the jail has not started.
/bin/rm -f "$folder/started" || fail "cannot remove $folder/started"
"""


_OWNER = r"""
# own DATASET VOLUME USER: files belong to numbers, and a root in which the user has another would lock it out.
own() {
    number=$(/usr/sbin/jexec "$jail" /usr/bin/id -u "$3") || fail "volume $2: the jail has no user $3"
    case "$number" in "" | *[!0-9]*) fail "volume $2: the jail says no number for its user $3" ;; esac
    recorded=$(/sbin/zfs get -H -o value reconciler:volume_owner "$1") || fail "cannot read the owner of $1"
    case "$recorded" in
    "$3:$number") ;;
    "$3:"*)
        warn "volume $2 belongs to $3 with the number ${recorded#*:}; in this root $3 has the number $number"
        fail "give its files to $number, then: zfs inherit reconciler:volume_owner $1"
        ;;
    *) /sbin/zfs set "reconciler:volume_owner=$3:$number" "$1" || fail "cannot record the owner of $1" ;;
    esac
}
"""


def _put(path: str, mode: str, owner: str) -> str:
    return f"put {sh(path)} {mode} {sh(owner)}"


def _resolver(runtime: Runtime) -> str:
    network = runtime.jail.network
    if "resolv.conf" in runtime.jail.unmanaged or not (network.vnet or network.inherit or network.addresses):
        return ""
    source = "/etc/resolv.conf" if network.resolver is None else f"{runtime.folder}/resolv.conf"
    return (
        f"if [ -f {sh(source)} ]; then\n    {_put('/etc/resolv.conf', '0644', 'root')} < {sh(source)} ||"
        ' fail "cannot write /etc/resolv.conf"\nfi\n'
    )


def resolv_conf(runtime: Runtime) -> str | None:
    """The jail's own resolv.conf, None when it has the host's."""
    resolver = None if "resolv.conf" in runtime.jail.unmanaged else runtime.jail.network.resolver
    return None if resolver is None else "".join(f"nameserver {address}\n" for address in resolver)


def _localtime(zone: str | None) -> str:
    """The jail's own zone as a link, else a copy of the host's."""
    if zone is None:
        return (
            f"if [ -f /etc/localtime ]; then\n    {_put('/etc/localtime', '0644', 'root')} < /etc/localtime ||"
            ' fail "cannot write /etc/localtime"\nfi\n'
        )
    place = f"/usr/share/zoneinfo/{zone}"
    inside = f"[ -f {sh(place)} ] && {{ rm -f /etc/localtime; ln -s {sh(place)} /etc/localtime; }}"
    return (
        f'/usr/sbin/jexec "$jail" /bin/sh -c {sh("PATH=/bin:/usr/bin; export PATH; " + inside)} ||\n'
        f'    fail "the jail has no time zone {zone}"\n'
    )


def secret_file(secret: Secret) -> str:
    """Where the value lies on the tmpfs: at its path when that is there, else in a folder that its path links to."""
    return secret.path if secret.path.startswith(f"{SECRETS}/") else f"{SECRETS}/.linked/{secret.name}"


def _secret(secret: Secret) -> str:
    place = secret_file(secret)
    put = _put(place, secret.mode, secret.owner)
    said = f"secret {secret.name}:"
    if secret.source.command:
        # The command's own messages are dropped: they might hold the value, and this goes to a log.
        text = (
            f"status=$({{ {{ {words(secret.source.command)} </dev/null 2>/dev/null && got=0 || got=$?;"
            f' echo "$got" >&3; }} | {put} >&2; }} 3>&1) ||\n    fail "{said} cannot be written"\n'
            f'[ "$status" = 0 ] || fail "{said} its command failed with status $status"\n'
        )
    else:
        source = sh(secret.source.file or "")
        text = (
            f'[ -f {source} ] || fail "{said} the host has no such file"\n'
            f'{put} < {source} || fail "{said} cannot be written"\n'
        )
    if place != secret.path:
        text += f'link {sh(place)} {sh(secret.path)} || fail "{said} its path cannot be made a link"\n'
    return text


def _owner(runtime: Runtime, volume: Volume) -> str:
    """That the owner of a volume has the number that its files were given to; a number is its own."""
    if volume.read_only or not volume.owner or volume.owner.isdecimal():
        return ""
    return f"own {sh(runtime.volume_dataset(volume))} {sh(volume.name)} {sh(volume.owner)}\n"


def _volume(volume: Volume) -> str:
    """Owner and mode of a volume's top folder, by names of the jail; what is below is the jail's own business."""
    if volume.read_only:
        return ""
    owner = f"{volume.owner or ''}:{volume.group or ''}".rstrip(":")
    change = "PATH=/bin:/usr/bin:/usr/sbin; export PATH; "
    change += f"chown {sh(owner)} {sh(volume.mountpoint)} && " if owner else ""
    change += f"chmod {volume.mode} {sh(volume.mountpoint)}"
    return (
        f'/usr/sbin/jexec "$jail" /bin/sh -c {sh(change)} ||\n'
        f'    fail "cannot set owner and mode of volume {volume.name}"\n'
    )


def created(runtime: Runtime) -> str:
    """The text of created.sh."""
    jail = runtime.jail
    parts = []
    if jail.cpuset:
        parts.append(_CPUS.replace("@CPUS@", jail.cpuset))
    if jail.limits:
        rules = " ".join(sh(rule) for rule in limits.rules(jail.name, jail.limits))
        parts.append(_LIMITS.replace("@RULES@", rules))
    parts.append('\n/bin/sh "$folder/keep.sh" restore || fail "cannot restore what `keep` names"\n'.replace("`", "\\`"))
    parts.append(
        "\n# put PATH MODE OWNER: standard input becomes a file of the jail\nput() {\n"
        f'    /usr/sbin/jexec "$jail" /bin/sh -c {sh(_INSIDE)} sh "$@"\n}}\n'
    )
    parts.append(_resolver(runtime))
    if "localtime" not in jail.unmanaged:
        parts.append(_localtime(jail.timezone))
    if jail.secrets:
        parts.append(
            "\n# link FILE PATH: PATH of the jail leads to FILE\nlink() {\n"
            f'    /usr/sbin/jexec "$jail" /bin/sh -c {sh(_LINK)} sh "$@"\n}}\n'
        )
        parts += [_secret(secret) for secret in jail.secrets]
    checks = [_owner(runtime, volume) for volume in jail.volumes]
    parts += [_OWNER if any(checks) else "", *checks]
    parts += [_volume(volume) for volume in jail.volumes]
    parts.append(_BEGUN)
    return script(runtime, "created", "exec.created: the jail exists, nothing of it runs yet.", "".join(parts))
