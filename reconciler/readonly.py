"""Which command lines change nothing on a host. Pure; what is not known to be harmless changes something.

One rule per tool, from its manual page: zfs(8), zpool(8), jls(8), jail(8), mount(8), ifconfig(8), rctl(8),
pfctl(8), devfs(8), sysctl(8), tar(1). Options are matched whole, so a new option is refused until it
is listed.
"""

from __future__ import annotations

import getopt
from collections.abc import Callable, Mapping, Sequence

Words = Sequence[str]
_FOLDERS = ("", "/bin", "/sbin", "/usr/bin", "/usr/sbin")


def is_read_only(argv: Words) -> bool:
    """Whether this command can only read. `argv[0]` is a bare name or lies in a folder of the system."""
    folder, _, tool = argv[0].rpartition("/") if argv else ("", "", "")
    rule = _RULES.get(tool)
    return rule is not None and folder in _FOLDERS and rule(argv[1:])


def _any(words: Words) -> bool:
    """Tools that only ever read."""
    return True


def _none(words: Words) -> bool:
    """Tools that read when they are given nothing: `hostname NAME` sets."""
    return not words


def _version(words: Words) -> bool:
    """Not -j, which runs a jail's own script."""
    return all(word in ("-k", "-r", "-u", "-ku", "-kru") for word in words)


def _subcommand(*names: str) -> Callable[[Words], bool]:
    return lambda words: bool(words) and words[0] in names


def _options(words: Words, short: str, long: Sequence[str] = ()) -> tuple[dict[str, str], list[str]] | None:
    """Options and operands, or None when there is an option that is not listed."""
    try:
        found, rest = getopt.getopt(list(words), short, list(long))
    except getopt.GetoptError:
        return None
    return dict(found), rest


def _mount(words: Words) -> bool:
    """Listing: no operands, and neither -a, -u nor -o."""
    parsed = _options(words, "pvt:", ["libxo="])
    return parsed is not None and not parsed[1]


def _ifconfig(words: Words) -> bool:
    """Listing all, or one interface with nothing said about it."""
    parsed = _options(words, "almvLk")
    return parsed is not None and len(parsed[1]) <= (0 if set(parsed[0]) & {"-a", "-l"} else 1)


def _rctl(words: Words) -> bool:
    """Showing rules, limits or usage; -a adds and -r removes."""
    parsed = _options(words, "hnlu")
    return parsed is not None and len(parsed[1]) <= 1


def _pfctl(words: Words) -> bool:
    """Showing: -s, and nothing that loads, flushes, kills or switches."""
    parsed = _options(words, "a:s:vqPri:")
    return parsed is not None and "-s" in parsed[0] and not parsed[1]


def _devfs(words: Words) -> bool:
    """`rule showsets` and `rule [-s N] show [N]`."""
    if not words or words[0] != "rule":
        return False
    parsed = _options(words[1:], "s:")
    if parsed is None:
        return False
    rest = parsed[1]
    return rest == ["showsets"] or (rest[:1] == ["show"] and len(rest) <= 2)


def _sysctl(words: Words) -> bool:
    """Asking: no NAME=VALUE, and no -f, which sets from a file."""
    parsed = _options(words, "abdehiNnoqTtx")
    return parsed is not None and not any("=" in word for word in parsed[1])


def _tar(words: Words) -> bool:
    """Listing an archive, or making one on standard output."""
    parsed = _options(
        words, "ctf:C:pvzJn", ["null", "one-file-system", "numeric-owner", "format=", "options="]
    )
    if parsed is None:
        return False
    found = parsed[0]
    return ("-t" in found and "-c" not in found) or ("-c" in found and found.get("-f") == "-")


def _jail(words: Words) -> bool:
    """Only `-f FILE -e SEPARATOR`, which prints what a configuration says."""
    return len(words) == 4 and words[0] == "-f" and words[2] == "-e"


_RULES: Mapping[str, Callable[[Words], bool]] = {
    "zfs": _subcommand("list", "get", "diff", "holds", "version"),
    "zpool": _subcommand("list", "get", "status"),
    "jls": _any,
    "jail": _jail,
    "mount": _mount,
    "ifconfig": _ifconfig,
    "rctl": _rctl,
    "pfctl": _pfctl,
    "devfs": _devfs,
    "sysctl": _sysctl,
    "tar": _tar,
    "hostname": _none,
    "freebsd-version": _version,
    **dict.fromkeys(
        ("cat", "stat", "ls", "test", "readlink", "realpath", "df", "du", "id", "uname", "true"), _any
    ),
    **dict.fromkeys(("sha256", "kldstat", "ps", "head", "wc", "grep"), _any),
}
