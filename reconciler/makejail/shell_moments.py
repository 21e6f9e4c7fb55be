"""The sh text of what stages do at their moment beside files: mounts, stopping and starting the build jail.

It stands in the scripts that hold such an instruction. RECONCILER_MOUNTED, which the hooks of a jail set and a build
does not, names the file that lists what stages mounted: one path of the host a line, written before the mount is
made. What is listed is unmounted when the jail stops.

A jail's links are never followed from the host: jail(8) refuses them below its path when it mounts, so it is jail(8)
that mounts, for a short-lived jail over the same root, and the mount stays when that jail is gone. umount(8) is only
asked for paths as the mount table has them, which it finds there before it looks at any file.
"""

from __future__ import annotations

PLACE = r"""# Sets place and path of a mount point: instruction, path. Ends the subshell where it cannot be one.
reconciler_at() {
    LC_ALL=C
    export LC_ALL
    place=$(printf '%s' "$2" | sed 's,//*,/,g; s,^/,,; s,/$,,')
    case /$place/ in
    // | /dev/ | */./* | */../* | *[!!-~]* | *\\* | *\#*)
        echo "$1: $2 is no place for a mount" >&2
        exit 65
        ;;
    esac
    path=$APPJAIL_JAILDIR/$place
}

# The mount table: device, mount point and type in each line, and an empty line at both ends.
reconciler_mounts() {
    echo
    mount -p | awk '{ print $1, $2, $3 }'
    echo
}
"""

MOUNT = r"""# Has jail(8) mount a line of fstab(5), none where it is empty; the root's own mkdir makes the mount point.
reconciler_helper() {
    helper=KEEP-$RECONCILER_JAIL
    if jls -j "$helper" jid >/dev/null 2>&1; then
        jail -R "$helper" || :
    fi
    jail -c name="$helper" path="$APPJAIL_JAILDIR" ip4=disable ip6=disable ${1:+"mount=$1"} \
        command=/bin/mkdir -p -- "/$place" >/dev/null
}

# MOUNT: mount point, device, type, options.
reconciler_mount() (
    reconciler_at MOUNT "$1"
    device=$2
    case $2$3$4 in
    *[!!-~]* | *\\* | *\#*)
        echo "MOUNT: $2 $3 $4: a blank, backslash or # cannot be here" >&2
        exit 65
        ;;
    esac
    case $3:$2 in
    "<"*)
        echo "MOUNT: the type $3 is AppJail's own" >&2
        exit 65
        ;;
    nullfs:/*)
        if ! [ -e "$2" ] || ! device=$(realpath "$2"); then
            echo "MOUNT: $2: no such file or folder" >&2
            exit 66
        fi
        ;;
    nullfs:*)
        echo "MOUNT: nullfs wants an absolute path, not $2" >&2
        exit 65
        ;;
    esac
    before=$(reconciler_mounts)
    case "$before
" in
    *"
$device $path $3
"*) exit 0 ;;
    *" $path "*)
        echo "MOUNT: something else is mounted on /$place" >&2
        exit 73
        ;;
    esac
    if [ -n "${RECONCILER_MOUNTED-}" ]; then
        grep -qxF -e "$path" "$RECONCILER_MOUNTED" 2>/dev/null ||
            printf '%s\n' "$path" >>"$RECONCILER_MOUNTED" || exit 74
    fi
    if ! reconciler_helper '' || ! reconciler_helper "$device $path $3 $4 0 0"; then
        echo "MOUNT: cannot mount $device on /$place" >&2
        exit 74
    fi
    case "$(reconciler_mounts)
" in
    *"
$device $path $3
"*) exit 0 ;;
    esac
    # The jail runs, and put a link in the way after jail(8) had looked.
    reconciler_mounts | grep -vxF -e "$before" | while read -r from to type; do
        [ "$from $type" != "$device $3" ] || umount "$to" || :
    done
    echo "MOUNT: /$place leads elsewhere; what was mounted there is unmounted" >&2
    exit 77
)
"""

UMOUNT = r"""# UMOUNT: mount point.
reconciler_umount() (
    reconciler_at UMOUNT "$1"
    case $(reconciler_mounts) in
    *" $path "*) ;;
    *)
        echo "UMOUNT: nothing is mounted on /$place" >&2
        exit 1
        ;;
    esac
    if [ -n "${RECONCILER_MOUNTED-}" ] && ! grep -qxF -e "$path" "$RECONCILER_MOUNTED" 2>/dev/null; then
        echo "UMOUNT: no stage mounted /$place: it is part of the jail's document, leave it out there" >&2
        exit 77
    fi
    umount "$path"
)
"""

STOP = r"""# STOP: what runs in the build jail is shut down as jail(8) would; the jail stays.
reconciler_stop() {
    [ -n "$(ps -J "${RECONCILER_JAIL:?}" -o pid= 2>/dev/null)" ] || return 0
    jexec -l "$RECONCILER_JAIL" /bin/sh /etc/rc.shutdown jail || echo "STOP: rc.shutdown failed" >&2
    reconciler_n=0
    while pkill -TERM -j "$RECONCILER_JAIL" . && [ "$reconciler_n" -lt 10 ]; do
        sleep 1
        reconciler_n=$((reconciler_n + 1))
    done
    pkill -KILL -j "$RECONCILER_JAIL" . || :
    unset reconciler_n
}
"""

START = r"""# START: the jail's rc(8) runs.
reconciler_start() {
    jexec -l "$RECONCILER_JAIL" /bin/sh /etc/rc
}
"""


LOGIN = r"""# LOGIN: user. A session in the jail, at the terminal of whoever runs the stage.
reconciler_login() {
    jexec -l "$RECONCILER_JAIL" login -f "$1"
}
"""


def needed(code: str) -> list[str]:
    """The functions that a script's code calls."""
    found = [PLACE] if "reconciler_mount" in code or "reconciler_umount" in code else []
    found += [text for name, text in (("mount", MOUNT), ("umount", UMOUNT)) if f"reconciler_{name} " in code]
    found += [LOGIN] if "reconciler_login " in code else []
    return found + [text for name, text in (("stop", STOP), ("start", START)) if f"reconciler_{name}\n" in code]
