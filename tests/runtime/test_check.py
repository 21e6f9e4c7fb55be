"""What no runtime file can express is said beforehand, all of it at once."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.diagnostic import SpecError
from reconciler.runtime import check, files
from tests.runtime.jails import FULL, jail, runtime

VNET = {"bridge": "lan", "address": "10.77.0.2/24"}
CASES: list[tuple[dict[str, Any], str | None, list[str]]] = [
    ({"parameters": {"exec.poststart": "touch /x"}}, "em0", ["parameter-is-hook"]),
    ({"parameters": {"path": "/"}}, "em0", ["parameter-has-field"]),
    ({"parameters": {"nopersist": True}}, "em0", ["parameter-has-field"]),
    ({"parameters": {"depend": "db"}}, "em0", ["parameter-has-field"]),
    ({"parameters": {"a b": "x"}}, "em0", ["parameter-unwritable"]),
    ({"parameters": {"children.max": False}}, "em0", ["parameter-not-boolean"]),
    ({"limits": {"nosuch": 1}}, "em0", ["limit-invalid"]),
    ({"limits": {"cputime": 1}}, "em0", ["limit-invalid"]),
    ({"limits": {"maxproc:throttle": 1}}, "em0", ["limit-invalid"]),
    ({"limits": {"maxproc": "many"}}, "em0", ["limit-invalid"]),
    ({"limits": {"maxproc": "5\n"}}, "em0", ["limit-invalid"]),
    ({"limits": {"maxproc:log\n": 5}}, "em0", ["limit-invalid"]),
    ({"devfs": ["path bpf"]}, "em0", ["devfs-rule-invalid"]),
    ({"devfs": ["path 'a b' hide"]}, "em0", ["devfs-rule-invalid"]),
    ({"devfs": ["path"]}, "em0", ["devfs-rule-invalid"]),
    ({"devfs": ["reveal all"]}, "em0", ["devfs-rule-invalid"]),
    ({"devfs": ["add"]}, "em0", ["devfs-rule-invalid"]),
    # sbin/devfs/rule.c, rulespec_intok: conditions first, no `major`, four types.
    ({"devfs": ["hide path bpf0"]}, "em0", ["devfs-rule-invalid"]),
    ({"devfs": ["major 5 unhide"]}, "em0", ["devfs-rule-invalid"]),
    ({"devfs": ["type char unhide"]}, "em0", ["devfs-rule-invalid"]),
    ({"devfs": ["type tty path 'ttyu*' unhide mode 0660"]}, "em0", []),
    ({"mounts": [{"device": "/a", "mountpoint": "/dev"}]}, "em0", ["mountpoint-twice"]),
    ({"mounts": [{"device": "data", "mountpoint": "/a"}]}, "em0", ["mount-unwritable"]),
    ({"mounts": [{"device": "/a\nb", "mountpoint": "/a"}]}, "em0", ["mount-unwritable"]),
    ({"mounts": [{"device": "/a", "mountpoint": "/a", "options": "ro#"}]}, "em0", ["mount-unwritable"]),
    ({"network": {"inherit": True, "vnet": VNET}}, "em0", ["network-twice"]),
    ({"network": {"vnet": {**VNET, "gateway": "10.9.0.1"}}}, "em0", ["gateway-outside"]),
    ({"network": {"vnet": {**VNET, "nat": True}}}, None, ["external-missing"]),
    ({"network": {"vnet": {**VNET, "expose": [{"host": 80}]}}}, None, ["external-missing"]),
    ({"network": {"vnet": {**VNET, "expose": [{"host": 80, "interface": "em1"}]}}}, None, []),
    ({"secrets": [{"name": "a", "path": "/a", "from": {}}]}, "em0", ["secret-source"]),
    ({"secrets": [{"name": "a", "path": "/a", "from": {"command": ["pass"]}}]}, "em0", ["secret-command-path"]),
    ({"keep": ["/a\u202eb"]}, "em0", ["word-unwritable"]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "external", "codes"), CASES)
def test_each_mistake_has_its_code(fields: dict[str, Any], external: str | None, codes: list[str]) -> None:
    assert [d.code for d in check(jail(**fields), external)] == codes


def test_a_full_jail_has_nothing_to_complain_about() -> None:
    assert check(FULL, "em0") == ()


def test_all_mistakes_are_said_at_once() -> None:
    spec = jail(limits={"x": 1}, parameters={"path": "/"}, devfs=["x"])
    with pytest.raises(SpecError) as refused:
        files(runtime(spec, stages={"nosuch": "x"}))
    codes = {d.code for d in refused.value.diagnostics}
    assert codes == {"limit-invalid", "parameter-has-field", "devfs-rule-invalid", "stage-unknown"}


def test_rules_for_pf_and_devfs_are_these() -> None:
    made = files(runtime(FULL))
    assert made["pf.conf"][1] == (
        "nat on em0 inet from 10.77.0.2 to any -> (em0:0)\n"
        "rdr pass on em0 inet proto tcp from any to (em0) port 80 -> 10.77.0.2 port 8080\n"
        "rdr pass on em1 inet proto udp from any to (em1) port 53 -> 10.77.0.2 port 53\n"
    )
    assert made["devfs.rules"][1] == "include 1\ninclude 2\ninclude 3\ninclude 4\ninclude 5\npath bpf* unhide\n"
    assert (
        "jail:web:maxproc:deny=200 jail:web:memoryuse:deny=512M jail:web:writebps:throttle=10M" in made["created.sh"][1]
    )
