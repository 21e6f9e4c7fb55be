"""jail(8) in the sandbox: the order of starting and stopping, and what a failure takes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.hosts.sandbox import processes
from reconciler.hosts.sandbox.machine import Machine
from reconciler.model.command import Command, Completed

HOOKS = ("exec.prepare", "exec.prestart", "exec.created", "exec.start", "exec.poststart", "exec.prestop",
         "exec.stop", "exec.poststop", "exec.release")  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "sandbox")
    for folder in ("jails/web/dev", "jails/web/mnt", "data", "tmp"):
        (made.host / folder).mkdir(parents=True, exist_ok=True)
    yield made
    processes.kill_everything(made)


def run(machine: Machine, *argv: str) -> Completed:
    return machine.run(Command(argv))


def configured(machine: Machine, text: str) -> None:
    (machine.host / "etc/web.conf").write_text("path = /jails/web; persist;\n" + text)


def mounted(machine: Machine) -> list[str]:
    return [str(mount["target"]) for mount in machine.mounts_below("/jails")]


def test_hooks_run_in_the_order_of_the_manual(machine: Machine) -> None:
    configured(machine, "web {" + "".join(f'{hook} = "echo {hook}";' for hook in HOOKS) + "}")
    started = run(machine, "jail", "-f", "/etc/web.conf", "-c", "web")
    stopped = run(machine, "jail", "-f", "/etc/web.conf", "-r", "web")
    assert started.stdout.decode().split() == ["exec.prepare", "exec.prestart", "web:", "created", *HOOKS[2:5]]
    assert stopped.stdout.decode().split() == ["exec.prestop", "exec.stop", "web:", "removed", *HOOKS[7:]]


def test_hooks_know_the_jail_unless_the_environment_is_clean(machine: Machine) -> None:
    told = "exec.created = 'echo \"$JID $JNAME $JPATH\"';"
    configured(machine, f"web {{ {told} }} clean {{ exec.clean; {told} }}")
    assert b"1 web /jails/web\n" in run(machine, "jail", "-f", "/etc/web.conf", "-c", "web").stdout
    assert b"/jails/web" not in run(machine, "jail", "-f", "/etc/web.conf", "-c", "clean").stdout


def test_hooks_of_the_host_reach_the_simulator(machine: Machine) -> None:
    configured(machine, "web { exec.created = 'jls -j \"$JID\" name && /sbin/ifconfig -l > /tmp/seen'; }")
    done = run(machine, "jail", "-f", "/etc/web.conf", "-c", "web")
    assert (done.status, done.stdout) == (0, b"web: created\nweb\n")
    assert (machine.host / "tmp/seen").read_text() == "vtnet0 lo0\n"


@pytest.mark.parametrize("hook", ["exec.prestart", "exec.created", "exec.start", "exec.poststart"])
def test_a_failing_hook_takes_back_mounts_aliases_and_the_jail(machine: Machine, hook: str) -> None:
    (machine.host / "etc/web.fstab").write_text("/data /jails/web/mnt nullfs rw 0 0\n")
    text = 'web {{ mount.devfs; mount.fstab = /etc/web.fstab; ip4.addr = "lo0|127.0.9.1/32"; {} = "false"; }}'
    configured(machine, text.format(hook))
    done = run(machine, "jail", "-f", "/etc/web.conf", "-c", "web")
    assert done.status == 1 and done.stderr == b"jail: web: false: failed\n"
    assert mounted(machine) == []
    assert b"127.0.9.1" not in run(machine, "ifconfig", "lo0").stdout
    assert run(machine, "jls", "-j", "web", "name").status == 1


def test_stopping_unmounts_in_reverse(machine: Machine) -> None:
    lines = "/data /jails/web/mnt nullfs rw 0 0\ntmpfs /jails/web/mnt/below tmpfs rw 0 0\n"
    (machine.host / "data/below").mkdir()
    (machine.host / "etc/web.fstab").write_text(lines)
    configured(machine, "web { mount.devfs; mount.fstab = /etc/web.fstab; }")
    assert run(machine, "jail", "-f", "/etc/web.conf", "-c", "web").status == 0
    assert len(mounted(machine)) == 3
    assert run(machine, "jail", "-f", "/etc/web.conf", "-r", "web").status == 0
    assert mounted(machine) == []


def test_once_removed_what_cannot_be_unmounted_keeps_nothing_else(machine: Machine) -> None:
    # usr.sbin/jail/jail.c, main: a failed step ends a stop only while the jail has a jid.
    (machine.host / "etc/web.fstab").write_text("/data /jails/web/mnt nullfs rw 0 0\n")
    configured(machine, "web { mount.devfs; mount.fstab = /etc/web.fstab; exec.release = 'echo released'; }")
    assert run(machine, "jail", "-f", "/etc/web.conf", "-c", "web").status == 0
    assert run(machine, "umount", "/jails/web/dev").status == 0
    done = run(machine, "jail", "-f", "/etc/web.conf", "-r", "web")
    assert done.status == 1 and b"not a mount point" in done.stderr and b"released\n" in done.stdout
    assert mounted(machine) == []


def test_without_its_configuration_a_removed_jail_leaves_devfs_mounted(machine: Machine) -> None:
    assert run(machine, "jail", "-c", "name=web", "path=/jails/web", "persist", "mount.devfs").status == 0
    assert run(machine, "jail", "-r", "web").status == 0
    assert mounted(machine) == ["/jails/web/dev"]


def test_a_mount_point_that_the_jail_made_a_link_is_refused(machine: Machine) -> None:
    (machine.host / "jails/web/mnt").rmdir()
    (machine.host / "jails/web/mnt").symlink_to("/etc")
    (machine.host / "etc/web.fstab").write_text("/data /jails/web/mnt nullfs rw 0 0\n")
    configured(machine, "web { mount.fstab = /etc/web.fstab; }")
    done = run(machine, "jail", "-f", "/etc/web.conf", "-c", "web")
    assert done.stderr == b"jail: web: mount.fstab: /jails/web/mnt is a symbolic link\n"
    assert done.status == 1 and mounted(machine) == []


def test_blanks_in_fstab_are_octal(machine: Machine) -> None:
    (machine.host / "jails/web/a b").mkdir()
    (machine.host / "etc/web.fstab").write_text("/data /jails/web/a\\040b nullfs rw 0 0\n")
    configured(machine, "web { mount.fstab = /etc/web.fstab; }")
    assert run(machine, "jail", "-f", "/etc/web.conf", "-c", "web").status == 0
    assert mounted(machine) == ["/jails/web/a b"]


def test_an_fstab_line_ends_where_a_comment_begins(machine: Machine) -> None:
    # usr.sbin/jail/config.c cuts every line at its first #, whatever stands before it; 043 in octal is one.
    (machine.host / "jails/web/a#b").mkdir()
    lines = "# all of it\n/data /jails/web/a\\043b nullfs rw 0 0 # as ever\n/data /jails/web/m#t nullfs rw 0 0\n"
    (machine.host / "etc/web.fstab").write_text(lines)
    configured(machine, "web { mount.fstab = /etc/web.fstab; }")
    done = run(machine, "jail", "-f", "/etc/web.conf", "-c", "web")
    assert done.status == 1 and done.stderr.endswith(b"missing information\n")


def test_single_keys_of_meta_are_set_and_read(machine: Machine) -> None:
    run(machine, "jail", "-c", "name=web", "path=/jails/web", "persist", "meta.a.b=1")
    run(machine, "jail", "-m", "name=web", "meta.reconciler=xyz")
    assert run(machine, "jls", "-j", "web", "meta.reconciler", "meta.a.b").stdout == b"xyz 1\n"


def test_a_removed_vnet_jail_gives_its_interface_back(machine: Machine) -> None:
    run(machine, "ifconfig", "epair0", "create")
    run(machine, "jail", "-c", "name=web", "path=/jails/web", "persist", "vnet", "vnet.interface=epair0b")
    assert run(machine, "ifconfig", "-l").stdout == b"vtnet0 lo0 epair0a\n"
    run(machine, "jail", "-r", "web")
    assert run(machine, "ifconfig", "-l").stdout == b"vtnet0 lo0 epair0a epair0b\n"
