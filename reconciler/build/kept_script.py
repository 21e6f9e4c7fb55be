"""Scripts of POSIX sh that work with archives of FreeBSD packages on the host, beside the pool's store."""

from __future__ import annotations

from reconciler.runtime.shim import PATH

WHOLE = r"""# Which of the archives named in ./wanted lie in the store as they were kept.
cd "${0%/*}" || exit
while read -r sum; do
    [ ! -f "$RECONCILER_ARCHIVES/$sum" ] || [ "$(sha256 -q "$RECONCILER_ARCHIVES/$sum")" != "$sum" ] || echo "$sum"
done <wanted
"""
TAKE = r"""# Put what was fetched into the store under its digest, where ./wanted names it; says digests and sizes.
cd "${0%/*}" || exit
find . -type f -name '*.pkg' -exec sh -c '
    for file do
        sum=$(sha256 -q "$file") || exit
        grep -qx "$sum" wanted || continue
        size=$(($(wc -c <"$file")))
        mv -f "$file" "$RECONCILER_ARCHIVES/$sum" || exit
        echo "$sum $size"
    done' sh {} +
"""

PKG = rf"""#!/bin/sh
# Made by reconciler: pkg(8), but that packages which reconcile.lock pins are installed from the archives that the
# pool keeps. It stands first on the PATH of a build, also as jexec where pkg is run in the jail.
PATH={PATH}
case ${{0##*/}} in
jexec)
    case "$* " in "-l -U root $RECONCILER_JAIL env ASSUME_ALWAYS_YES=yes pkg install "*) ;; *) exec jexec "$@" ;; esac
    shift 7
    set -- -j "$RECONCILER_JAIL" "$@" ;;
esac
[ "${{1-}} ${{2-}} ${{3-}}" = "-j $RECONCILER_JAIL install" ] || exec pkg "$@"

# A line of the index is: word, name, version, SHA256, options of pkg-add(8), whether the word means it.
known() {{
    while read -r word rest; do
        [ "$word" != "$1" ] || return 0
    done <"$RECONCILER_KEPT"
    return 1
}}
number=0 words=' '
for word; do
    number=$((number + 1))
    case $number,$word in
    [123],* | *,-y | *,--) ;;
    *) known "$word" || exec pkg "$@"
        words="$words$word " ;;
    esac
done
newline='
'
have=$newline$(pkg -j "$RECONCILER_JAIL" query -a '%n %v' 2>/dev/null)$newline
while read -r word name version sum options asked <&3; do
    case $words in *" $word "*) ;; *) continue ;; esac
    case $have in
    *"$newline$name $version$newline"*)
        [ "$asked" = no ] || pkg -j "$RECONCILER_JAIL" set -y -A 0 "$name" </dev/null 3<&- || exit
        continue ;;
    *"$newline$name "*)
        pkg -j "$RECONCILER_JAIL" delete -y -f -- "$name" </dev/null 3<&- || exit ;;
    esac
    pkg -j "$RECONCILER_JAIL" add $options - <"$RECONCILER_ARCHIVES/$sum" 3<&- || exit
    have=$have$name\ $version$newline
done 3<"$RECONCILER_KEPT"
"""
