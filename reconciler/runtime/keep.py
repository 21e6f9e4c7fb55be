"""keep.sh: what `keep` names is carried from root to root.

`state/NAME` is a dataset of its own. It holds `keep.tar` and `keep.last`, one line: the root that
ran last, its guid, and either `dirty` (it may have changed since) or the digest of the list that
keep.tar was saved with. Both are written by rename.

- **save** (exec.poststop): every process is gone and the mounts are still there, so the archive is of a
  tree at rest. Marks the root as saved.
- **restore** (exec.created): nothing of the jail has run yet. The same root as last time has its files and
  gets nothing. Another root gets keep.tar, but first the old root is saved if it is dirty (the host lost
  power, the jail was removed by hand) or was saved with another list. Then marks this root dirty.

- **anew** (exec.prepare, where the root is ephemeral and about to be taken back): what a root that is dirty holds is
  saved, and from then on counts as another root's.

An archive is made by a short-lived jail without network over the root, and unpacked through jexec(8),
so links resolve inside and the host never walks a tree that a jail wrote. A restore that was cut off
starts over, because the root is marked last. When an old root that still exists cannot be saved,
restore fails: the jail does not start, rather than start without its data.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from reconciler.runtime.quote import sh
from reconciler.runtime.runtime import Runtime
from reconciler.runtime.script import script

HELPER = "KEEP-"
"""What the name of the short-lived jail begins with, before the jail's own."""
SCRATCH = ".keep-"
"""What the folder beside the live one begins with, on which an old root is mounted to be read."""

_GLOB = "*?[]"

# Runs inside. Sockets cannot be archived and mean nothing at rest.
_COLLECT = r"""PATH=/bin:/usr/bin; export PATH; cd / || exit 1; IFS=
for pattern do for path in ./$pattern; do
if [ -e "$path" ] || [ -L "$path" ]; then find "$path" ! -type s -print0; fi
done; done | tar -cf - --no-recursion --null -T -"""

_BODY = r"""
# field NAME DATASET: a zfs property's value, empty when there is no such dataset
field() { /sbin/zfs list -H -o "$1" "$2" 2>/dev/null || :; }

# mark DATASET GUID SAVED: what keep.last says from now on
mark() {
    printf '%s %s %s\n' "$1" "$2" "$3" > "$state/keep.last.new" && /bin/mv -f "$state/keep.last.new" "$state/keep.last"
}

# collect ROOT: make keep.tar of the tree below ROOT, in a jail without network
collect() {
    # One that a killed jail(8) left stays although nothing runs in it.
    if /usr/sbin/jls -j "KEEP-$jail" jid >/dev/null 2>&1; then /usr/sbin/jail -R "KEEP-$jail" || :; fi
    if ! /usr/sbin/jail -c name="KEEP-$jail" path="$1" command=/bin/sh -c "$inside" sh @PATTERNS@ \
        > "$state/keep.tar.new"; then
        /bin/rm -f "$state/keep.tar.new"
        return 1
    fi
    /bin/mv -f "$state/keep.tar.new" "$state/keep.tar"
}

# salvage DATASET: make keep.tar of a root that is not mounted
salvage() {
    scratch="${live%/*}/.keep-$jail"
    /bin/mkdir -p "$scratch" || return 1
    /sbin/umount "$scratch" 2>/dev/null || :
    /sbin/mount -t zfs -o ro "$1" "$scratch" || return 1
    done=0
    collect "$scratch" || done=1
    /sbin/umount "$scratch" || warn "$scratch stays mounted"
    return "$done"
}

last=''
lastguid=''
saved=''
if [ -f "$state/keep.last" ]; then read -r last lastguid saved < "$state/keep.last" || :; fi

case "${1:-}" in
restore)
    read -r root _ < "$folder/fstab" || fail "cannot read $folder/fstab"
    guid=$(field guid "$root")
    [ -n "$guid" ] || fail "cannot read the guid of $root"
    if [ "$guid" != "$lastguid" ]; then
        if [ -n "$last" ] && [ "$saved" != "$list" ]; then
            if [ "$(field guid "$last")" = "$lastguid" ]; then
                salvage "$last" || fail "what the old root $last holds of \`keep\` cannot be read;" \
                    "to start without it, remove $state/keep.last"
                mark "$last" "$lastguid" "$list" || fail "cannot write $state/keep.last"
            else
                warn "the old root $last is gone; what it changed after its last stop is lost"
            fi
        fi
        if [ -f "$state/keep.tar" ]; then
            /usr/sbin/jexec "$jail" /usr/bin/tar -xpf - -C / < "$state/keep.tar" ||
                fail "cannot unpack $state/keep.tar into $root"
        fi
    fi
    mark "$root" "$guid" dirty || fail "cannot write $state/keep.last"
    ;;
save)
    [ -n "$last" ] || fail "$state/keep.last does not say which root ran"
    if [ "$saved" != "$list" ]; then
        collect "$live" || fail "cannot save what $last holds of \`keep\`; the next start of another root tries again"
        mark "$last" "$lastguid" "$list" || fail "cannot write $state/keep.last"
    fi
    ;;
@ANEW@*)
    fail "usage: keep.sh restore | save" ;;
esac
"""

_ANEW = r"""anew)
    if [ -n "$last" ] && [ "$saved" != "$list" ] && [ "$(field guid "$last")" = "$lastguid" ]; then
        salvage "$last" || fail "what the root $last holds of \`keep\` cannot be read;" \
            "to start without it, remove $state/keep.last"
    fi
    if [ -n "$last" ]; then mark "$last" 0 "$list" || fail "cannot write $state/keep.last"; fi
    ;;
"""


def pattern(path: str) -> str:
    """A keep path as a glob relative to the jail's root."""
    return path.lstrip("/")


def keep_script(runtime: Runtime) -> str:
    """The text of keep.sh."""
    what = "Carries what `keep` names from root to root: keep.sh restore | save"
    body = f"umask 077\nstate={sh(runtime.state)}\n{_body(runtime.keep, ephemeral=runtime.jail.ephemeral)}"
    return script(runtime, "keep", what, body)


@lru_cache(maxsize=64)  # most jails keep the same
def _body(keep: tuple[str, ...], *, ephemeral: bool) -> str:
    patterns = [pattern(path) for path in keep]
    digest = hashlib.sha256("\0".join(patterns).encode()).hexdigest()[:32]
    body = _BODY.replace("@ANEW@", _ANEW if ephemeral else "")
    body = body.replace("@PATTERNS@", " ".join(sh(text) for text in patterns))
    return f"list={digest}\ninside={sh(_COLLECT)}\n{body}"
