"""The sh text around instructions: what a script of a segment or a stage needs to stand alone.

Environment that the runner sets: RECONCILER_JAIL (the running jail), RECONCILER_CONTEXT (the
Makejail's folder), RECONCILER_SOURCES (staged COPY sources), RECONCILER_ENV (the file in which
the shell's state crosses from one segment to the next), APPJAIL_JAILNAME, APPJAIL_JAILDIR,
APPJAIL_ROOTDIR. Everything enters the jail with `jexec -l`, so that nothing of the host's
environment shows inside. Works in FreeBSD's sh and in dash.
"""

from __future__ import annotations

QUOTE = r"""# Prints $1 as one quoted word of sh.
reconciler_quote() {
    printf '%s\n' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"
}
"""

REQUIRE = r"""# Refuses an argument that is empty, or of which a line is white space alone.
reconciler_require() {
    if [ -z "$2" ] || printf '%s\n' "$2" | grep -q '^[[:space:]][[:space:]]*$'; then
        echo "argument $1 is required" >&2
        exit 65
    fi
}
"""

COPY = r"""# Runs inside the jail (flags, name, target): unpacks the stream and lets the jail's own cp place it.
reconciler_place='set -e
directory=$(mktemp -d /tmp/.copy.XXXXXXXX)
trap "rm -rf -- \"$directory\"" EXIT
mkdir "$directory/in"
tar -C "$directory/in" --numeric-owner -xpf -
cd /
cp "$1" -- "$directory/in/$2" "$3"'

# Sends stdin of tar into the jail: flags, target, folder, name.
reconciler_send() {
    {
        reconciler_failed=$({
            { tar -C "$3" -cf - "./$4" || echo sender >&3; } |
                jexec -l "$RECONCILER_JAIL" sh -c "$reconciler_place" sh "$1" "$4" "$2" >&4 || echo receiver >&3
        } 3>&1)
    } 4>&1
    [ -z "$reconciler_failed" ]
}

# COPY with the rules of cp -a: [-v] target source...
reconciler_copy() {
    reconciler_flags=-a
    if [ "$1" = -v ]; then
        reconciler_flags=-av
        shift
    fi
    reconciler_to=$1
    shift
    if [ $# -gt 1 ] && ! jexec -l "$RECONCILER_JAIL" test -d "$reconciler_to"; then
        echo "COPY: $reconciler_to is not a directory" >&2
        return 1
    fi
    for reconciler_from; do
        if ! [ -e "$reconciler_from" ] && ! [ -L "$reconciler_from" ]; then
            echo "COPY: $reconciler_from: no such file" >&2
            return 1
        fi
        case $reconciler_from in
        */ | */. | . | */.. | ..) set -- "$reconciler_from" . ;;
        */*) set -- "${reconciler_from%/*}/" "${reconciler_from##*/}" ;;
        *) set -- . "$reconciler_from" ;;
        esac
        reconciler_send "$reconciler_flags" "$reconciler_to" "$1" "$2" || return 1
    done
}
"""

COPY_FROM_JAIL = r"""# COPY --jail: other jail, target, source. Both ends resolve links inside their own jail.
reconciler_copy_from_jail() {
    # A jail that was built for this one runs under a name of its own.
    reconciler_other=$(printf '%s\n' "${RECONCILER_BESIDE-}" | tr ' ' '\n' | sed -n "s/^$1=//p")
    set -- "${reconciler_other:-$1}" "$2" "/${3#/}"
    case $3 in
    */ | */. | . | */..) set -- "$1" "$2" "$3" . ;;
    *) set -- "$1" "$2" "${3%/*}/" "${3##*/}" ;;
    esac
    jexec -l "$1" tar -C "$3" -cf - "./$4" |
        jexec -l "$RECONCILER_JAIL" sh -c "$reconciler_place" sh -a "$4" "$2"
}
"""

ADD = r"""# What a URL holds: the pinned file where there is one, else what is there now.
reconciler_get() {
    if [ -f "${RECONCILER_PINNED:-}/index" ]; then
        while read -r reconciler_file reconciler_url; do
            if [ "$reconciler_url" = "$1" ]; then
                cat -- "$RECONCILER_PINNED/$reconciler_file"
                return
            fi
        done <"$RECONCILER_PINNED/index"
    fi
    fetch -Rpm -o - -- "$1"
}

# ADD: [-v] target url. What the network gave is unpacked inside the jail, never by the host.
reconciler_add() {
    reconciler_flags=-xf
    if [ "$1" = -v ]; then
        reconciler_flags=-xvf
        shift
    fi
    {
        reconciler_failed=$({
            { reconciler_get "$2" || echo fetch >&3; } |
                jexec -l "$RECONCILER_JAIL" tar -C "$1" "$reconciler_flags" - >&4 || echo tar >&3
        } 3>&1)
    } 4>&1
    [ -z "$reconciler_failed" ]
}
"""

REPLACE = r"""# Runs inside the jail (file, key, value, output): each %{key} that no % precedes becomes the value.
reconciler_edit='set -e
cd /
file=$1 output=$4
if ! [ -f "$file" ]; then
    echo "REPLACE: $file: no such file" >&2
    exit 66
fi
key=$(printf "%s\n" "$2" | sed "s,[][\\\\.*^\$+?(){}|#/],\\\\&,g")
if ! grep -Eq -e "(^|[^%])%\\{$key\\}" -- "$file"; then
    echo "REPLACE: $file holds no %{$2}" >&2
    exit 65
fi
value=$(printf "%s\n" "$3" | sed -e "s,[\\\\#],\\\\&,g" -e "\$!s,\$,\\\\,")
directory=$(mktemp -d /tmp/.replace.XXXXXXXX)
trap "rm -rf -- \"$directory\"" EXIT
sed -E -e "s#(^|[^%])%\\{$key\\}#\\1$value#g" -- "$file" >"$directory/new"
cat -- "$directory/new" >"$output"
sed -E -e "s#%%\\{$key\\}#%{$2}#g" -- "$file" >"$directory/new"
cat -- "$directory/new" >"$file"'

# REPLACE: file, key, value, output; all paths are the jail's.
reconciler_replace() {
    jexec -l "$RECONCILER_JAIL" sh -c "$reconciler_edit" sh "$@"
}
"""

GIVEN = r"""# What the environment and the arguments hold now belongs to this run, not to what is saved.
for reconciler_name in $reconciler_given; do
    case $reconciler_name in
    [0-9]* | *[!A-Za-z0-9_]*) ;;
    *) eval "reconciler_was_$reconciler_name=\$$reconciler_name" ;;
    esac
done
"""

RESTORE = r"""# Take up the shell's state where the segment before left it.
if [ -f "${RECONCILER_ENV:-}" ]; then
    . "$RECONCILER_ENV"
fi
"""

SAVE = r"""# Leaves the shell's state in $RECONCILER_ENV: variables, arguments, umask, folder, options.
reconciler_save() {
    reconciler_options=$-
    set +aCefuvx
    reconciler_umask=$(umask)
    umask 077
    (
        reconciler_ifs=$IFS
        unset IFS
        for reconciler_name in $reconciler_given; do
            case $reconciler_name in
            [0-9]* | *[!A-Za-z0-9_]*) continue ;;
            esac
            eval "[ \"\${$reconciler_name-}\" != \"\${reconciler_was_$reconciler_name-}\" ]" ||
                command unset "$reconciler_name"
            unset "reconciler_was_$reconciler_name"
        done
        for reconciler_name in LINENO OLDPWD OPTIND PPID PS1 PS2 PS4 PWD _; do
            command unset "$reconciler_name" 2>/dev/null || :
        done
        IFS=$reconciler_ifs
        unset reconciler_ifs reconciler_name reconciler_given reconciler_place reconciler_edit
        unset reconciler_flags reconciler_to reconciler_from reconciler_failed reconciler_options reconciler_umask
        unset reconciler_other
        # bash shows what nobody may set again; FreeBSD's sh has no such variables.
        if [ -n "${BASH_VERSION-}" ]; then
            set | PATH=/usr/bin:/bin grep -Ev -e '^(BASH[A-Z_]*|DIRSTACK|EUID|FUNCNAME|GROUPS|HOSTNAME)=' \
                -e '^(HOSTTYPE|MACHTYPE|OSTYPE|PIPESTATUS|POSIXLY_CORRECT|PPID|SHELL|SHELLOPTS|TERM|UID|_)='
        else
            set
        fi
        export -p
    ) >"$RECONCILER_ENV.new"
    {
        printf 'set --'
        for reconciler_name; do
            printf ' %s' "$(reconciler_quote "$reconciler_name")"
        done
        printf '\numask %s\n' "$reconciler_umask"
@FOLDER@        for reconciler_name in a C e f u v x; do
            case $reconciler_options in
            *$reconciler_name*) echo "set -$reconciler_name" ;;
            *) echo "set +$reconciler_name" ;;
            esac
        done
        if (set -o) | grep -q '^pipefail[[:space:]]*on'; then
            echo 'set -o pipefail'
        fi
    } >>"$RECONCILER_ENV.new"
    mv -f -- "$RECONCILER_ENV.new" "$RECONCILER_ENV"
}
"""

FOLDER = r"""        case $PWD/ in
        "$RECONCILER_CONTEXT"/*)
            reconciler_place=\"\$RECONCILER_CONTEXT\"$(reconciler_quote "${PWD#"$RECONCILER_CONTEXT"}") ;;
        "${RECONCILER_INCLUDED:-/nonexistent}"/*)
            reconciler_place=\"\$RECONCILER_INCLUDED\"$(reconciler_quote "${PWD#"$RECONCILER_INCLUDED"}") ;;
        *) reconciler_place= ;;
        esac
        # Where nothing is staged, the folder is empty.
        if [ "$reconciler_place" ]; then
            printf 'mkdir -p -- %s\ncd -- %s\n' "$reconciler_place" "$reconciler_place"
        else
            printf 'cd -- %s\n' "$(reconciler_quote "$PWD")"
        fi
"""

PARSE_END = r"""        --)
            shift
            break
            ;;
        --*)
            echo "there is no argument ${1#--}" >&2
            exit 64
            ;;
        *) break ;;
    esac
done
"""
