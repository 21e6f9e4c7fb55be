"""What is called on a host over a jail's whole life: programs of FreeBSD's base system and their own options.

Options are those of the manual pages of FreeBSD 14 and 15; a word that only GNU's or Linux's programs know fails here.
"""

from reconciler.model.command import Command
from reconciler.wraps import RecordRunner
from tests.fleet import Fleet

OPTIONS = {
    "cat": "",
    "chmod": "",
    "devfs": "-s",
    "find": "-xdev -type -print0",
    "ifconfig": "-a -alias -l",
    "jail": "-c -e -f -m -R -r",
    "jexec": "",
    "jls": "-d -j --libxo",
    "kldload": "-n",
    "ls": "-A",
    "mkdir": "-m -p",
    "mount": "--libxo -o -t",
    "pfctl": "-F -a -f -s -v",
    "pkg": "-C -R -j -o",
    "ps": "-J -o",
    "rctl": "-a -r",
    "rm": "-f -rf",
    "rmdir": "",
    "sh": "-c",
    "sha256": "-q",
    "sysctl": "-n",
    "tar": "-xpf -C",
    "umount": "-f",
    "zfs": "-FHt -H -Hp -o -p -r -s -t -u",
    "zpool": "-H -o",
}
INSIDE = {"jexec", "pkg", "sh"}
"""The words of these are their own, or those of what they start."""

SPEC = """kind: Host
name: here
match: {{hostname: "*"}}
external: vtnet0
---
kind: Release
name: 15.1-RELEASE
sets: [base]
mirror: {mirror}
---
kind: Jail
name: web
release: 15.1-RELEASE
network: {{vnet: {{bridge: rc0, address: 10.77.0.2/24, gateway: 10.77.0.1, nat: true}}}}
limits: {{memoryuse: 512M}}
devfs: ["path 'bpf*' unhide"]
volumes: [{{name: www, mountpoint: /usr/local/www}}]
makejail: {{text: "CMD echo {word} > /etc/version"}}
update: {{keep: 1}}
"""
DRIFT = (
    ("jail", "-m", "name=web", "host.hostname=other"),
    ("rctl", "-r", "jail:web"),
    ("ifconfig", "rc0", "inet", "10.77.0.1", "-alias"),
    ("pfctl", "-a", "reconciler/web", "-F", "all"),
)


def life(fleet: Fleet) -> list[tuple[str, ...]]:
    """Made, changed behind the specs' back and put right with another root: what was called."""
    recorded = RecordRunner(fleet.runner)
    real, fleet.runner = fleet.runner, recorded
    fleet.write(SPEC.format(mirror=fleet.mirror, word="one"))
    assert fleet.apply().failed == ()
    for argv in DRIFT:
        assert real.run(Command(argv)).status == 0, argv
    assert fleet.apply().failed == ()
    fleet.write(SPEC.format(mirror=fleet.mirror, word="two"))
    assert fleet.apply().failed == ()
    return [call.words for call in recorded.calls if call.verb == "run"]


def test_every_option_is_one_that_freebsd_has(fleet: Fleet) -> None:
    called = life(fleet)
    assert {"zfs", "jail", "ifconfig", "pfctl", "devfs", "rctl", "mount", "tar"} <= {words[0] for words in called}
    for words in called:
        assert words[0] in OPTIONS, words
        if words[0] not in INSIDE:
            given = {word for word in words[1:] if word.startswith("-") and word != "-"}
            assert given <= set(OPTIONS[words[0]].split()), words
