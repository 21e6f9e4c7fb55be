"""Mount points inside volumes: jail(8) makes none, and what a volume holds is the jail's to change.

They are made in exec.prepare, when nothing of the jail runs, by the root's own mkdir(1) in a short-lived jail over the
root: whatever links the jail left there, they lead nowhere else. The volume lies on /dev meanwhile, a folder that every
root has. A link in the place of a mount point is refused by jail(8) itself, when it mounts.
"""

from __future__ import annotations

from reconciler.runtime.fstab import inner
from reconciler.runtime.keep import HELPER
from reconciler.runtime.quote import fstab as escaped
from reconciler.runtime.quote import sh
from reconciler.runtime.runtime import Runtime

_FOLDERS = r"""
# Mount points inside volumes are made by the root's own mkdir, in a jail over it that has the volume on /dev.
# folders DATASET PATH...: what such a jail leaves mounted is taken down whether it went well or not.
wrong=
place=@PLACE@
folders() {
    volume=$1
    shift
    /usr/sbin/jail -c name="@HELPER@$jail" path="$live" ip4=disable ip6=disable \
        mount="$volume $place zfs rw 0 0" command=/bin/mkdir -p -- "$@" >/dev/null || wrong="$wrong $volume"
    table=$(mounts) || fail "cannot read the mount table"
    case "$newline$table" in
    *" $live/dev "*) /sbin/umount "$live/dev" || fail "$live/dev stays mounted" ;;
    esac
}
/sbin/mount -t zfs -o rw "$root" "$live" || fail "cannot mount $root"
@CALLS@/sbin/umount "$live" || fail "$live stays mounted"
[ -z "$wrong" ] || fail "cannot make the folders for what is mounted inside volumes:$wrong"
"""


_LEFT = r"""
# A short-lived jail over the root that was cut off, and would keep it busy.
if /usr/sbin/jls -j "@HELPER@$jail" jid >/dev/null 2>&1; then /usr/sbin/jail -R "@HELPER@$jail" || :; fi
""".replace("@HELPER@", HELPER)


def left() -> str:
    """The part of prepare.sh that ends what an earlier start or stop did not come to the end of."""
    return _LEFT


def nested(runtime: Runtime) -> dict[str, tuple[str, ...]]:
    """Volumes by dataset, and where in them something else is mounted: paths relative to the volume, parents first.

    What lies inside a mount that is no volume is the affair of whoever the device belongs to.
    """
    volumes = {volume.mountpoint: runtime.volume_dataset(volume) for volume in runtime.jail.volumes}
    places = [mountpoint for _device, mountpoint, _fstype, _options in inner(runtime)]
    found: dict[str, tuple[str, ...]] = {}
    for place in places:
        around = [other for other in places if place.startswith(f"{other.rstrip('/')}/") and place != other]
        nearest = max(around, key=len, default="")
        if nearest in volumes:
            dataset = volumes[nearest]
            found[dataset] = (*found.get(dataset, ()), place[len(nearest) :].strip("/"))
    return found


def folders(runtime: Runtime) -> str:
    """The part of prepare.sh that makes them; nothing where there are none."""
    calls = ""
    for dataset, paths in nested(runtime).items():
        calls += f"folders {' '.join(map(sh, (escaped(dataset), *(f'/dev/{path}' for path in paths))))}\n"
    if not calls:
        return ""
    filled = _FOLDERS.replace("@HELPER@", HELPER).replace("@PLACE@", sh(escaped(f"{runtime.live}/dev")))
    return filled.replace("@CALLS@", calls)
