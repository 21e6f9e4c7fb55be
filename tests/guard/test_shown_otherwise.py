"""What FreeBSD shows in other words than a spec is written in is no drift, and no reason to fail a start."""

from __future__ import annotations

import pytest

from tests.fleet import Fleet, problems

WRITTEN = {
    # ifconfig(8) and jls(8) show addresses in their shortest form, with their prefix length.
    "address": "network: {addresses: [{interface: vtnet0, address: 10.0.2.90}]}",
    "inet6": 'network: {addresses: [{interface: lo0, address: "FD00:0::7"}, {interface: lo0, address: "fd01::1/64"}]}',
    "vnet": 'network: {vnet: {bridge: lan, address: "fd00:0:0::2/64", gateway: "fd00:0::1"}}',
    # jls(8) of 14 knows neither, and that of 15 shows them by their keys.
    "meta": 'parameters: {meta: "k=v", env: "A=1"}',
    # jail(8) knows it, the kernel and jls(8) do not.
    "jail(8)": "parameters: {stop.timeout: 30, exec.fib: 0}",
    # sys/kern/kern_rctl.c, rctl_rule_to_sbuf: what a rule is counted by, where it is its subject, is not printed.
    "limit": "limits: {maxproc: 100/jail, openfiles: 1K/process}",
    # vfs_mountedfrom(9): they have no source, whatever fstab(5) calls it.
    "procfs": "mounts: [{device: proc, mountpoint: /mnt/proc, type: procfs, options: rw}]",
    "fdescfs": "mounts: [{device: fdesc, mountpoint: /mnt/fd, type: fdescfs, options: rw}]",
    # mount_nullfs(8): realpath(3) of its source.
    "nullfs": "mounts: [{device: /etc/, mountpoint: /mnt/etc, type: nullfs, options: ro}]",
    # zfs(4) on FreeBSD: nosuid is nosetuid.
    "volume": "volumes: [{name: data, mountpoint: /data, exec: false}]",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_nothing_is_left_to_do_after_an_apply(fleet: Fleet, text: str) -> None:
    fleet.write(f"kind: Jail\nname: web\nrelease: 15.1-RELEASE\n{text}\n")
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    assert [row.name for row in fleet.session().observed.jails] == ["web"]
