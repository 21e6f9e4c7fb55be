"""The usage texts of zfs(8), OpenZFS 2.4 on FreeBSD 15.1."""

from __future__ import annotations

from reconciler.hosts.sandbox.properties import HELP

_TEXTS = {
    "list": (
        "list [-Hp] [-j [--json-int]] [-r|-d max] [-o property[,...]] [-s property]...\n"
        "\t    [-S property]... [-t type[,...]] [filesystem|volume|snapshot] ..."
    ),
    "get": (
        'get [-rHp] [-j [--json-int]] [-d max] [-o "all" | field[,...]]\n'
        "\t    [-t type[,...]] [-s source[,...]]\n"
        '\t    <"all" | property[,...]> [filesystem|volume|snapshot|bookmark] ...'
    ),
    "set": "set [-u] <property=value> ... <filesystem|volume|snapshot> ...",
    "inherit": "inherit [-rS] <property> <filesystem|volume|snapshot> ...",
    "create": (
        "create [-Pnpuv] [-o property=value] ... <filesystem>\n"
        "\tcreate [-Pnpsv] [-b blocksize] [-o property=value] ... -V <size> <volume>"
    ),
    "destroy": (
        "destroy [-fnpRrv] <filesystem|volume>\n"
        "\tdestroy [-dnpRrv] <filesystem|volume>@<snap>[%<snap>][,...]\n"
        "\tdestroy <filesystem|volume>#<bookmark>"
    ),
    "snapshot": "snapshot [-r] [-o property=value] ... <filesystem|volume>@<snap> ...",
    "clone": "clone [-pu] [-o property=value] ... <snapshot> <filesystem|volume>",
    "promote": "promote <clone-filesystem>",
    "rename": (
        "rename [-f] <filesystem|volume|snapshot> <filesystem|volume|snapshot>\n"
        "\trename -p [-f] <filesystem|volume> <filesystem|volume>\n"
        "\trename -u [-f] <filesystem> <filesystem>\n"
        "\trename -r <snapshot> <snapshot>"
    ),
    "rollback": "rollback [-rRf] <snapshot>",
    "hold": "hold [-r] <tag> <snapshot> ...",
    "holds": "holds [-rHp] <snapshot> ...",
    "release": "release [-r] <tag> <snapshot> ...",
    "mount": "mount [-j]\n\tmount [-flvO] [-o opts] <-a|-R filesystem|filesystem>",
    "unmount": "unmount [-fu] <-a | filesystem|mountpoint>",
    "diff": "diff [-FHth] <snapshot> [snapshot|filesystem]",
    "send": "send [-DLPbcehnpsVvw] [-i|-I snapshot] [-R [-X dataset[,dataset]...]]     <snapshot>",
    "receive": (
        "receive [-vMnsFhu] [-o <property>=<value>] ... [-x <property>] ...\n"
        "\t    <filesystem|volume|snapshot>\n"
        "\treceive [-vMnsFhu] [-o <property>=<value>] ... [-x <property>] ... \n"
        "\t    [-d | -e] <filesystem>\n"
        "\treceive -A <filesystem|volume>"
    ),
    "allow": "allow <filesystem|volume>",
    "jail": "jail <jailid|jailname> <filesystem>",
    "unjail": "unjail <jailid|jailname> <filesystem>",
    "version": "version [-j]",
}
_ALIASES = {"umount": "unmount", "recv": "receive", "snap": "snapshot"}
_SHORT = (
    "\nFor the property list, run: zfs set|get\n"
    "\nFor the delegated permission list, run: zfs allow|unallow\n"
    "\nFor further help on a command or topic, run: zfs help [<topic>]"
)
_LONG = (
    "\nThe following properties are supported:\n\n"
    "\tPROPERTY              EDIT  INHERIT   VALUES\n\n"
    f"{HELP}\n"
    "Sizes are specified in bytes with standard units such as K, M, G, etc.\n\n"
    "User-defined properties can be specified by using a name containing a colon (:).\n\n"
    "The {user|group|project}[obj]{used|quota}@ properties must be appended with\n"
    "a user|group|project specifier of one of these forms:\n"
    '    POSIX name      (eg: "matt")\n'
    '    POSIX id        (eg: "126829")\n'
    '    SMB name@domain (eg: "matt@sun")\n'
    '    SMB SID         (eg: "S-1-234-567-89")'
)


def usage(verb: str) -> str:
    """What follows the complaint about bad usage of a subcommand."""
    verb = _ALIASES.get(verb, verb)
    return f"usage:\n\t{_TEXTS[verb]}\n{_LONG if verb in ('get', 'set', 'list', 'inherit') else _SHORT}"


def overview() -> str:
    """What `zfs` without a known subcommand prints."""
    lines = "\n\n".join(f"\t{text}" for text in _TEXTS.values())
    return (
        "usage: zfs command args ...\nwhere 'command' is one of the following:\n\n"
        f"{lines}\n\nEach dataset is of the form: pool/[dataset/]*dataset[@name]\n{_SHORT}"
    )
