"""The `appjail` command that scripts of public Makejails call, for our jails: a small program of POSIX sh.

It stands first on the PATH of everything that runs for a Makejail, and APPJAIL_SCRIPT names it. It knows what
such scripts were seen to call, and ends with status 64 for anything else. As there, what is asked of a jail
that does not run is a warning and succeeds.
"""

from __future__ import annotations

PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"

APPJAIL = r"""#!/bin/sh
# Made by reconciler: what a Makejail's scripts call of `appjail`, for this host's jails.
say() { printf 'appjail (reconciler): %s\n' "$*" >&2; }
usage() { say "$*"; exit 64; }
known='cmd jexec, pkg jail, sysrc jail, service jail, status, jail get'

# The jail that is being built runs under a name of its own.
named() {
    [ -n "${1-}" ] || usage "the name of a jail is missing"
    jail=$1
    [ "$jail" != "${APPJAIL_JAILNAME-}" ] || jail=${RECONCILER_JAIL:-$jail}
    # So do those that are built for it.
    for beside in ${RECONCILER_BESIDE-}; do
        [ "${beside%%=*}" != "$1" ] || jail=${beside#*=}
    done
}
running() { jls -j "$jail" jid >/dev/null 2>&1; }
needed() { running || { say "the jail $jail is not running: nothing is done"; exit 0; }; }

# Options of jexec(8) and -e NAME=VALUE, then or after them the jail, then the command.
in_jail() {
    jail='' workdir=/ user=''
    count=0 login=''
    while [ $# -gt 0 ]; do
        case $1 in
        -d) workdir=${2-}; shift ;;
        -U | -u) user="$1"; login=${2-}; shift ;;
        -e) eval "given_$count=\${2-}"; count=$((count + 1)); shift ;;
        -l | -n | -ln | -nl) ;;
        --) ;;
        -*) usage "cmd jexec: $1 is not known" ;;
        *)
            [ -z "$jail" ] || break
            named "$1" ;;
        esac
        shift || usage "cmd jexec: $1 needs a word"
    done
    [ -n "$jail" ] || usage "cmd jexec: the name of a jail is missing"
    needed
    [ $# -gt 0 ] || set -- /bin/sh
    if [ "$count" -gt 0 ]; then
        while [ "$count" -gt 0 ]; do
            count=$((count - 1))
            eval "set -- \"\$given_$count\" \"\$@\""
        done
        set -- env "$@"
    fi
    if [ -n "$user" ]; then
        exec jexec -l -d "$workdir" "$user" "$login" "$jail" "$@"
    fi
    exec jexec -l -d "$workdir" "$jail" "$@"
}

# A tool of the host that works in a jail: tool, jail, words of it.
with_jail() {
    tool=$1
    named "${2-}"
    shift 2
    needed
    exec "$tool" -j "$jail" "$@"
}

status() {
    quiet=
    while :; do
        case ${1-} in
        -q) quiet=yes; shift ;;
        --) shift; break ;;
        -*) usage "status: $1 is not known" ;;
        *) break ;;
        esac
    done
    named "${1-}"
    if running; then
        [ -n "$quiet" ] || echo "$jail is running"
        exit 0
    fi
    [ -n "$quiet" ] || echo "$jail is not running"
    exit 1
}

get() {
    while :; do
        case ${1-} in
        --) shift; break ;;
        -*) shift ;;
        *) break ;;
        esac
    done
    asked=${1-}
    named "$asked"
    shift
    [ $# -gt 0 ] || set -- status name
    line=
    for key; do
        case $key in
        name) value=$asked ;;
        status) if running; then value=UP; else value=DOWN; fi ;;
        hostname) value=$(jls -j "$jail" host.hostname 2>/dev/null) || value= ;;
        path | jid) value=$(jls -j "$jail" "$key" 2>/dev/null) || value= ;;
        ip4 | inet | network_ip4)
            value=$(jls -j "$jail" ip4.addr 2>/dev/null) || value=
            [ "$value" != - ] && [ -n "$value" ] ||
                value=$(jexec -l "$jail" ifconfig 2>/dev/null |
                    awk '$1 == "inet" && $2 !~ /^127\./ { sub("/.*", "", $2); print $2; exit }') || value= ;;
        *) usage "jail get: the property $key is not known" ;;
        esac
        line="$line${line:+	}${value:--}"
    done
    printf '%s\n' "$line"
}

case "${1-} ${2-}" in
"cmd jexec") shift 2; in_jail "$@" ;;
"pkg jail" | "sysrc jail" | "service jail") tool=$1; shift 2; with_jail "$tool" "$@" ;;
"status "*) shift; status "$@" ;;
"jail get") shift 2; get "$@" ;;
*) usage "$* is not known here; there is: $known" ;;
esac
"""
