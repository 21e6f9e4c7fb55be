"""The few packages of the sandbox's own repository: small servers that really listen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

_SERVER = r"""#!/.sandbox/bin/perl
use strict; use warnings; use Socket; use POSIX ();
my ($kind, $port, $pidfile, $root) = ("KIND", PORT, "PIDFILE", "/usr/local/www/nginx");
my $conf = "CONF";
if (open my $file, "<", $conf) {
	while (<$file>) {
		$port = $1 if /^\s*(?:listen|port)\s*=?\s*(?:[\d.]+:)?(\d+)/;
		$root = $1 if /^\s*root\s+([^;\s]+)/;
	}
}
for my $n (0 .. $#ARGV) {
	if ($ARGV[$n] eq "-t") { print "NAME: configuration file $conf test is successful\n"; exit 0 }
	if ($ARGV[$n] eq "-v" or $ARGV[$n] eq "--version") { print "NAME version: VERSION\n"; exit 0 }
	$port = $ARGV[$n + 1] if $ARGV[$n] =~ /^--?p(ort)?$/;
}
socket(my $door, PF_INET, SOCK_STREAM, 0) or die "NAME: socket: $!\n";
setsockopt($door, SOL_SOCKET, SO_REUSEADDR, pack("l", 1));
bind($door, sockaddr_in($port, INADDR_ANY)) or die "NAME: bind() to 0.0.0.0:$port failed ($!)\n";
listen($door, 64) or die "NAME: listen: $!\n";
my $pid = fork; defined $pid or die "NAME: fork: $!\n";
if ($pid) { open my $file, ">", $pidfile or die "NAME: $pidfile: $!\n"; print $file "$pid\n"; exit 0 }
POSIX::setsid();
open STDIN, "<", "/dev/null"; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null";
$SIG{CHLD} = "IGNORE"; $SIG{TERM} = sub { unlink $pidfile; exit 0 }; $SIG{HUP} = sub { };
my %data;
while (1) {
	accept(my $link, $door) or next;
	select((select($link), $| = 1)[0]);
	my $line = <$link>; next unless defined $line;
	if ($kind eq "http") {
		my ($path) = $line =~ /^\w+\s+([^\s?]+)/; $path = "/" unless defined $path;
		while (my $header = <$link>) { last if $header =~ /^\r?\n$/ }
		$path .= "index.html" if $path =~ m{/$};
		my ($status, $body) = ("404 Not Found", "not found\n");
		if ($path !~ m{\.\.} and open my $file, "<", "$root$path") {
			local $/; ($status, $body) = ("200 OK", scalar <$file>);
		}
		my $size = length $body;
		print $link "HTTP/1.1 $status\r\nServer: NAME\r\nContent-Length: $size\r\n";
		print $link "Connection: close\r\n\r\n$body";
	} elsif ($kind eq "redis") {
		do {
			$line =~ s/\r?\n//;
			my ($verb, @words) = split / /, $line;
			if (uc $verb eq "PING") { print $link "+PONG\r\n" }
			elsif (uc $verb eq "SET") { $data{$words[0]} = $words[1]; print $link "+OK\r\n" }
			elsif (uc $verb eq "GET") { my $v = $data{$words[0]}; print $link defined $v ? "+$v\r\n" : "\$-1\r\n" }
			else { print $link "-ERR unknown command\r\n" }
		} while (defined($line = <$link>));
	} else { print $link "accepting connections\n" }
	close $link;
}
"""
_CLIENT = r"""#!/.sandbox/bin/bash
# NAME: one line to the server, one line back.
port=PORT
while [ $# -gt 0 ]; do case "$1" in -p) port=$2; shift;; -h|-U|-d) shift;; -*) ;; *) break;; esac; shift; done
exec 3<>"/dev/tcp/127.0.0.1/$port" 2>/dev/null || { echo "127.0.0.1:$port - no response"; exit 2; }
printf '%s\r\n' "${*:-PING}" >&3
IFS= read -r line <&3; line=${line%$'\r'}; echo "${line#+}"
"""
_RC = """#!/bin/sh
#
# PROVIDE: NAME
# REQUIRE: LOGIN
# KEYWORD: shutdown

. /etc/rc.subr

name=NAME
desc="DESC"
rcvar=NAME_enable
command=COMMAND
pidfile=PIDFILE
extra_commands="reload"

load_rc_config $name
: ${NAME_enable:="NO"}
run_rc_command "$1"
"""


@dataclass(frozen=True, slots=True)
class Toy:
    """A package: files by absolute path with their mode, what it needs, and a script run after install."""

    name: str
    version: str
    comment: str
    needs: tuple[str, ...] = ()
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    script: str = ""


def _filled(text: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        text = text.replace(name, value)
    return text


def _server(name: str, version: str, comment: str, words: dict[str, str], files: dict[str, tuple[int, str]],
            needs: tuple[str, ...] = ()) -> Toy:  # fmt: skip
    rc = words.pop("RC", name)
    words = {"PIDFILE": f"/var/run/{rc}.pid", "VERSION": version, "DESC": comment, **words}
    program = _filled(_SERVER, {**words, "NAME": name})
    script = _filled(_RC, {**words, "NAME": rc})
    own = {words["COMMAND"]: (0o755, program), f"/usr/local/etc/rc.d/{rc}": (0o755, script)}
    return Toy(name, version, comment, needs, {**own, **files})


def _account(name: str, number: int, folder: str) -> str:
    """What a package's script does for the account that its service runs under."""
    return (
        f"pw groupshow {name} >/dev/null 2>&1 || pw groupadd {name} -g {number}\n"
        f"pw usershow {name} >/dev/null 2>&1 || pw useradd {name} -u {number} -g {name} -d {folder} -s /bin/sh\n"
    )


def catalogue() -> tuple[Toy, ...]:
    """Every package, in the order of names."""
    index = "<!DOCTYPE html>\n<html><body><h1>Welcome to nginx!</h1></body></html>\n"
    conf = "events {}\nhttp {\n  server {\n    listen 80;\n    root /usr/local/www/nginx;\n  }\n}\n"
    nginx = _server(
        "nginx", "1.28.0", "Robust and small WWW server",
        {"KIND": "http", "PORT": "80", "CONF": "/usr/local/etc/nginx/nginx.conf", "COMMAND": "/usr/local/sbin/nginx"},
        {"/usr/local/etc/nginx/nginx.conf": (0o644, conf), "/usr/local/www/nginx/index.html": (0o644, index)},
        ("pcre2",),
    )  # fmt: skip
    postgres = _server(
        "postgresql17-server", "17.6", "PostgreSQL is the most advanced open-source database available",
        {"RC": "postgresql", "KIND": "line", "PORT": "5432", "CONF": "/var/db/postgres/data17/postgresql.conf",
         "COMMAND": "/usr/local/bin/postgres"},
        {"/usr/local/bin/pg_isready": (0o755, _filled(_CLIENT, {"NAME": "pg_isready", "PORT": "5432"}))},
        ("postgresql17-client",),
    )  # fmt: skip
    redis = _server(
        "redis", "8.2.1", "Persistent key-value database with built-in net interface",
        {"KIND": "redis", "PORT": "6379", "CONF": "/usr/local/etc/redis.conf",
         "COMMAND": "/usr/local/bin/redis-server"},
        {"/usr/local/bin/redis-cli": (0o755, _filled(_CLIENT, {"NAME": "redis-cli", "PORT": "6379"})),
         "/usr/local/etc/redis.conf": (0o644, "port 6379\n")},
    )  # fmt: skip
    doc = {f"/usr/local/share/doc/{n}/README": (0o644, f"{n}\n") for n in ("pcre2", "bash", "curl")}
    small = [
        Toy("pcre2", "10.45", "Perl Compatible Regular Expressions library, version 2",
            files={"/usr/local/share/doc/pcre2/README": doc["/usr/local/share/doc/pcre2/README"]}),
        Toy("postgresql17-client", "17.6", "PostgreSQL database (client)",
            files={"/usr/local/bin/psql": (0o755, '#!/bin/sh\necho "psql (PostgreSQL) 17.6"\n')}),
        Toy("bash", "5.3.3", "GNU Project's Bourne Again SHell",
            files={"/usr/local/bin/bash": (0o755, '#!/.sandbox/bin/sh\nexec /.sandbox/bin/bash "$@"\n')}),
        Toy("curl", "8.16.0", "Command line tool and library for transferring data with URLs",
            files={"/usr/local/bin/curl": (0o755, '#!/bin/sh\nfor url; do :; done\nexec fetch -q -o - "$url"\n')}),
    ]  # fmt: skip
    postgres.files["/var/db/postgres/.keep"] = (0o644, "")
    postgres = replace(postgres, script=_account("postgres", 770, "/var/db/postgres"))
    redis = replace(redis, script=_account("redis", 535, "/nonexistent"))
    return tuple(sorted([nginx, postgres, redis, *small], key=lambda toy: toy.name))
