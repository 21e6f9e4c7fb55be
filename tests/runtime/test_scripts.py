"""Generated sh: it parses, means what was given, holds no secret, and survives being killed anywhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.runtime import files
from reconciler.runtime.identity import config_id
from reconciler.spec.document import Jail
from tests.runtime.jails import FULL, STAGES, VNET, jail, jails, runtime
from tests.runtime.machine import SERVICE

# A host in a folder: interfaces are files, every call is counted, and one of them kills the script.
HOST = r"""#!/bin/sh
name=${0##*/}
count=$(($(cat "$H/count") + 1)); echo $count > "$H/count"
echo "$name $*" >> "$H/log"
[ "$count" != "${BEFORE:-}" ] || { kill -9 "$(cat "$H/pid")"; exit 1; }
status=0
case "$name $1 $2 $3" in
"ifconfig bridge create "*) touch "$H/if/bridge0"; echo bridge0 ;;
"ifconfig epair create "*) n=0; while [ -e "$H/if/epair${n}a" ]; do n=$((n + 1)); done
    echo "pair epair${n}" > "$H/if/epair${n}a"; echo "pair epair${n}" > "$H/if/epair${n}b"; echo "epair${n}a" ;;
"ifconfig "*" name "*) mv "$H/if/$1" "$H/if/$3"; echo "$3" ;;
"ifconfig "*" destroy "*) pair=$(grep ^pair "$H/if/$1"); rm -f "$H/if/$1"
    [ -z "$pair" ] || for i in "$H"/if/*; do if grep -q "^$pair$" "$i"; then rm -f "$i"; fi; done ;;
"ifconfig "*" description "*) echo "description: $3" >> "$H/if/$1" ;;
"ifconfig "*" inet "*) echo "inet ${3%/*} alias" >> "$H/if/$1" ;;
"ifconfig "*"  ") cat "$H/if/$1" 2>/dev/null || status=1 ;;
"ifconfig "*) if [ -e "$H/if/$1" ]; then echo "$2 ${3:-}" >> "$H/if/$1"; else status=1; fi ;;
"jls "*) status=1 ;;
"zfs list -H -o") case "$4" in mounted) echo yes ;; *) echo x ;; esac ;;
"umount "*) grep -vF " $1 " "$H/mounts" > "$H/mounts.new"; mv "$H/mounts.new" "$H/mounts" ;;
"mount -p "*) cat "$H/mounts" ;;
"devfs rule -s "*) case "$4" in show) cat "$H/devfs/$3" 2>/dev/null ;; delset) rm -f "$H/devfs/$3" ;;
    add) set=$3; shift 4; echo "100 $*" >> "$H/devfs/$set" ;; esac ;;
esac
[ "$count" != "${AFTER:-}" ] || { kill -9 "$(cat "$H/pid")"; exit 1; }
exit $status
"""
LIVE = "/reconciler/live/web"


def standing_in(folder: Path) -> Path:
    """prepare.sh of a vnet jail with rules of its own, made to run in `folder`; all its commands stand in there."""
    for name in ("sbin", "usr/sbin", "if", "devfs"):
        (folder / name).mkdir(parents=True)
    for name in (
        "sbin/ifconfig",
        "sbin/zfs",
        "sbin/mount",
        "sbin/umount",
        "sbin/devfs",
        "sbin/kldload",
        "usr/sbin/jls",
    ):
        (folder / name).write_text(HOST)
        (folder / name).chmod(0o755)
    for number in range(1, 6):
        (folder / "devfs" / str(number)).write_text("100 hide\n")
    (folder / "mounts").write_text(
        f"zroot/x {LIVE} zfs rw 0 0\ndevfs {LIVE}/dev devfs rw 0 0\n".replace(LIVE, f"{folder}{LIVE}")
    )
    spec = jail(network={"vnet": VNET}, devfs=["path 'bpf*' unhide"])
    made = files(runtime(spec, mountpoint=f"{folder}/reconciler", devfs_ruleset=40001))
    home = folder / "reconciler" / "jails" / "web"
    home.mkdir(parents=True)
    for name, (_mode, text) in made.items():
        (home / name).write_text(re.sub(r"(?<![\w/])/((?:usr/)?sbin/)", rf"{folder}/\1", text))
    return home / "prepare.sh"


def prepared(folder: Path, script: Path, **kill: int) -> int:
    """Run it, killed at the given call if at all. Its exit status."""
    (folder / "count").write_text("0")
    env = {"H": str(folder), "PATH": "/usr/bin:/bin", **{name: str(value) for name, value in kill.items()}}
    line = f'echo $$ > "$H/pid"; exec /bin/sh {script}'
    return subprocess.run(["/bin/sh", "-c", line], env=env, capture_output=True, check=False, timeout=60).returncode


def shown(folder: Path) -> dict[str, list[str]]:
    """The interfaces and what was said of each, and the mounts and the ruleset that are there."""
    interfaces = {f"if/{each.name}": sorted(set(each.read_text().split("\n"))) for each in (folder / "if").iterdir()}
    interfaces = {name: [re.sub(r"epair\d+", "epair", line) for line in lines] for name, lines in interfaces.items()}
    leaks = re.compile(r"if/(epair|bridge)\d")
    kept = {name: lines for name, lines in interfaces.items() if not leaks.match(name)}
    return {
        **kept,
        "mounts": [(folder / "mounts").read_text()],
        "rules": (folder / "devfs/40001").read_text().split("\n"),
    }


def killed_and_made_good(folder: Path, when: str, step: int) -> None:
    """Kill prepare.sh at every `step`th call, before or after it; the next run makes everything as one that was not."""
    (folder / "whole").mkdir()
    script = standing_in(folder / "whole")
    assert prepared(folder / "whole", script) == 0
    wanted, calls = shown(folder / "whole"), int((folder / "whole" / "count").read_text())
    assert len(wanted) == 5 and calls > 30 and wanted["mounts"] == [""]
    assert prepared(folder / "whole", script) == 0, "a second time over the first"
    assert shown(folder / "whole") == wanted
    for call in range(1, calls + 1, step):
        place = folder / f"{call}"
        place.mkdir()
        script = standing_in(place)
        assert prepared(place, script, **{when: call}) != 0
        assert prepared(place, script) == 0
        assert shown(place) == wanted, call


def test_prepare_killed_at_some_calls_is_made_good_by_the_next(tmp_path: Path) -> None:
    killed_and_made_good(tmp_path, "AFTER", 4)  # at every call, before and after: flow_prepare.py


def parses(text: str) -> None:
    """sh -n."""
    done = subprocess.run(["/bin/sh", "-n"], input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() + text


@given(jails(), st.sampled_from(["/reconciler", "/my pool's $HOME `x`"]))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_script_of_any_jail_parses(spec: Jail, mountpoint: str) -> None:
    made = files(runtime(spec, mountpoint=mountpoint, stages=STAGES))
    for name, (mode, text) in made.items():
        script = name.endswith(".sh") or name == "bin/appjail"
        assert mode == (0o700 if script else 0o600)
        if script:
            parses(text)
    assert made == files(runtime(spec, mountpoint=mountpoint, stages=STAGES))


def test_a_path_that_looks_like_a_blank_of_a_script_stays_as_it_is() -> None:
    spec = jail(volumes=[{"name": "x", "mountpoint": "/srv/@STATE@@NUMBER@@TARGET@@BRIDGE@"}])
    text = files(runtime(spec, mountpoint="/my pool"))["prepare.sh"][1]
    parses(text)
    assert "'/my pool/live/web/srv/@STATE@@NUMBER@@TARGET@@BRIDGE@'" in text


@pytest.mark.parametrize("spec", [FULL, jail()], ids=["full", "plain"])
def test_shellcheck_finds_nothing(spec: Jail, tmp_path: Path) -> None:
    made = {name: text for name, (_, text) in files(runtime(spec, stages=STAGES)).items() if name.endswith(".sh")}
    for name, text in made.items():
        if not name.startswith("stage-"):
            (tmp_path / name).write_text(text)
    # 2016: text for the jail's own sh; 2094: /etc/resolv.conf of host and jail; 2317: `fail` is in every head.
    checked = ["shellcheck", "-s", "sh", "-e", "SC2016,SC2094,SC2317", *tmp_path.iterdir(), SERVICE]
    done = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@given(st.text(st.characters().filter(str.isprintable), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_a_secret_command_gets_its_words_as_they_are(word: str) -> None:
    spec = jail(secrets=[{"name": "x", "from": {"command": ["/usr/bin/printf", "%s", word]}, "path": "/run/secrets/x"}])
    text = files(runtime(spec))["created.sh"][1]
    command = next(line for line in text.splitlines() if "/usr/bin/printf" in line and "status=" in line)
    bare = command.partition("{ { ")[2].partition(" </dev/null")[0]
    said = subprocess.run(["/bin/sh", "-c", bare], capture_output=True, check=True).stdout.decode()
    assert said == word


def test_hooks_call_programs_by_absolute_path() -> None:
    bare = re.compile(r"(^|[|;&(`] *)(ifconfig|zfs|rctl|pfctl|devfs|jexec|jls|jail|mount|umount|kldload|sysctl|mv|rm) ")
    for name, (_mode, text) in files(runtime(FULL)).items():
        if name.endswith(".sh"):
            lines = [line.strip() for line in text.splitlines() if not line.strip().startswith("#")]
            # What stands between single quotes is for the sh inside the jail.
            code = re.sub(r"'[^']*'", "''", "\n".join(lines)).splitlines()
            assert [line for line in code if bare.search(line)] == [], name


def test_no_file_can_hold_a_secret_because_none_is_read(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("canary-value")
    spec = jail(
        secrets=[
            {"name": "a", "from": {"file": str(canary)}, "path": "/run/secrets/a"},
            {"name": "b", "from": {"command": ["/bin/cat", str(canary)]}, "path": "/etc/b"},
        ]
    )
    assert not any("canary-value" in text for _, text in files(runtime(spec)).values())


def test_only_what_a_running_jail_cannot_take_on_changes_its_identity() -> None:
    def identity(**fields: object) -> str:
        return config_id(runtime(jail(**fields)))

    base = identity()
    for live in (
        {"limits": {"maxproc": 5}}, {"boot": False}, {"depends_on": ["db"]}, {"keep": ["/x"]}, {"hostname": "other"},
        {"parameters": {"allow.raw_sockets": True}}, {"healthcheck": {"command": ["true"]}}, {"labels": {"a": "b"}},
    ):  # fmt: skip
        assert identity(**live) == base, live
    for restart in (
        {"network": {"inherit": True}}, {"devfs": ["hide"]}, {"parameters": {"exec.start": "/bin/x"}},
        {"volumes": [{"name": "v", "mountpoint": "/v"}]}, {"mounts": [{"device": "/a", "mountpoint": "/b"}]},
        {"secrets": [{"name": "s", "path": "/s", "from": {"file": "/x"}}]},
    ):  # fmt: skip
        assert identity(**restart) != base, restart
    assert config_id(runtime(root="zroot/reconciler/jails/web/6")) == base, "the root is compared by itself"
    assert config_id(runtime(stages={"stop": "x"})) == base
    assert config_id(runtime(stages={"start": "x"})) != base
