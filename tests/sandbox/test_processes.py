"""Real processes of jails: confined, kept between commands, killed with the jail."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.hosts.sandbox import jailtable, processes, unconfined
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.task import Task
from reconciler.model.command import Command, Completed


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "sandbox")
    (made.host / "jails/j/dev").mkdir(parents=True)
    run(made, "jail", "-c", "name=j", "path=/jails/j", "persist", "mount.devfs", "host.hostname=j.example")
    yield made
    processes.kill_everything(made)


def run(machine: Machine, *argv: str, stdin: bytes = b"", timeout: float = 60.0) -> Completed:
    return machine.run(Command(argv, stdin=stdin, timeout=timeout))


def members(machine: Machine) -> list[int]:
    with machine.state.reading():
        return processes.members(jailtable.find_number(machine, 1))


def test_standard_streams_and_the_exit_status_pass_through(machine: Machine) -> None:
    done = run(machine, "jexec", "j", "sh", "-c", "cat; echo no >&2; exit 42", stdin=b"in")
    assert (done.status, done.stdout, done.stderr) == (42, b"in", b"no\n")


def test_a_jail_sees_its_own_root_and_nothing_of_this_machine(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    script = f"ls {tmp_path} {Path.home()} /etc/hostname /proc/sys; echo me > /own"
    done = run(machine, "jexec", "j", "sh", "-c", script)
    assert done.stdout == b""
    assert (machine.host / "jails/j/own").read_text() == "me\n"


def test_a_jail_cannot_change_mounts_or_the_programs_it_is_lent(machine: Machine) -> None:
    script = "for f in /.sandbox/bin /.sandbox/usr/bin /lib64; do touch $f/x && echo wrote; done"
    script += "; /.sandbox/usr/bin/umount /dev"
    done = run(machine, "jexec", "j", "sh", "-c", script)
    assert done.stdout == b"" and done.status != 0
    assert run(machine, "jexec", "j", "test", "-c", "/dev/null").status == 0


def test_a_mount_that_goes_while_a_process_starts_does_not_keep_it_from_starting(machine: Machine) -> None:
    spec = processes._spec(machine, 0, processes._host_init(machine))
    spec["mounts"].append([str(machine.host / "gone"), "/mnt", False, False])
    spec.update({"argv": ["echo", "ran"], "env": processes.FIRST_ENV})
    assert processes._started(machine, spec, Task(("echo", "ran"))).completed.stdout == b"ran\n"


def test_what_is_mounted_for_a_command_is_not_mounted_for_the_first_process(machine: Machine, tmp_path: Path) -> None:
    spec = processes._spec(machine, 0, None)
    spec["own"].append([str(tmp_path), "/mnt", False, False])
    spec.update({"argv": ["sleep", "0"], "env": processes.FIRST_ENV})
    processes._started(machine, spec, Task(("sleep", "0")))
    first = processes._first_process(machine)
    limit = time.monotonic() + 30
    while b"confine" in Path(f"/proc/{first}/cmdline").read_bytes() and time.monotonic() < limit:
        os.sched_yield()  # its root is whole when it has become the keeper
    mounted = Path(f"/proc/{first}/mountinfo").read_text()
    assert " /.sandbox " in mounted
    assert " /mnt " not in mounted


def test_a_link_in_a_jail_leads_nowhere_else(machine: Machine, tmp_path: Path) -> None:
    (machine.host / "jails/j/out").symlink_to(tmp_path)
    run(machine, "jexec", "j", "sh", "-c", "echo evil > /out/evil")
    assert not (tmp_path / "evil").exists()


def test_a_daemon_goes_on_after_its_command_and_dies_with_the_jail(machine: Machine) -> None:
    done = run(machine, "jexec", "j", "sh", "-c", "sleep 300 & echo started")
    assert done.stdout == b"started\n"
    (pid,) = members(machine)
    assert run(machine, "jail", "-r", "j").status == 0
    assert processes.start_time(pid) is None


def test_a_jail_outlives_the_program_that_started_it_and_another_can_kill_it(machine: Machine) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from reconciler.hosts.sandbox.machine import Machine;"
        "from reconciler.model.command import Command; m = Machine(Path(sys.argv[1]));"
        "m.run(Command(('jexec', 'j', 'sh', '-c', 'sleep 300 &'))); os.kill(os.getpid(), signal.SIGKILL)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", code, str(machine.directory)], env=env, check=False)
    assert killed.returncode == -9
    (pid,) = members(machine)
    run(machine, "jail", "-r", "j")
    assert processes.start_time(pid) is None


def test_a_reused_process_number_is_not_taken_for_the_jail(machine: Machine) -> None:
    assert processes.alive([os.getpid(), 1]) is None
    assert processes.alive([os.getpid(), processes.start_time(os.getpid())]) == os.getpid()


def test_a_command_that_takes_too_long_is_ended(machine: Machine) -> None:
    with pytest.raises(TimeoutError):
        run(machine, "jexec", "j", "sleep", "300", timeout=0.5)
    assert members(machine) == []


def test_mounts_made_later_are_seen_by_the_next_process(machine: Machine) -> None:
    run(machine, "jexec", "j", "true")
    (machine.host / "data").mkdir()
    (machine.host / "data/f").write_text("here")
    (machine.host / "jails/j/mnt").mkdir()
    run(machine, "mount", "-t", "nullfs", "-o", "ro", "/data", "/jails/j/mnt")
    assert run(machine, "jexec", "j", "cat", "/mnt/f").stdout == b"here"
    assert run(machine, "jexec", "j", "sh", "-c", "echo x > /mnt/f").status != 0


def test_what_a_jail_asks_of_the_simulator_is_answered_as_that_jail(machine: Machine) -> None:
    script = "jls; sysctl -n security.jail.jailed; hostname new; zfs destroy zroot; jail -r j"
    done = run(machine, "jexec", "j", "sh", "-c", script)
    assert done.stdout == b"   JID  IP Address      Hostname                      Path\n1\n"
    assert run(machine, "jls", "-j", "j", "host.hostname").stdout == b"new\n"


def test_ruleset_hides_devices(machine: Machine) -> None:
    run(machine, "devfs", "rule", "-s", "99", "add", "hide")
    run(machine, "devfs", "rule", "-s", "99", "add", "path", "null", "unhide")
    run(machine, "umount", "/jails/j/dev")
    run(machine, "mount", "-t", "devfs", "-o", "ruleset=99", "devfs", "/jails/j/dev")
    assert run(machine, "jexec", "j", "ls", "/dev").stdout == b"null\n"


def test_without_isolation_a_process_runs_only_when_that_was_asked_for(machine: Machine) -> None:
    ended = unconfined.run(machine, Task(("sh", "-c", "pwd; exit 3"), 1))
    assert (ended.completed.status, ended.completed.stdout) == (3, f"{machine.host}/jails/j\n".encode())


def test_what_a_jail_writes_does_not_depend_on_the_mask_of_who_runs_the_tool(machine: Machine) -> None:
    before = os.umask(0o077)
    try:
        done = run(machine, "jexec", "j", "sh", "-c", "umask")
    finally:
        os.umask(before)
    assert done.stdout.strip() == b"0022"
