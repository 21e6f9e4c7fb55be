"""What only reads is known by name; all else may change something."""

from __future__ import annotations

import pytest

from reconciler.readonly import is_read_only

READS = """
zfs list -Hp -r -t filesystem,snapshot -o name,guid zroot/reconciler
zfs get -Hp -o value guid zroot
zfs diff -FHt a@b a
zpool list -Hp
jls
jls --libxo json jid name
jail -f /reconciler/jails/web.conf -e ;
mount
mount -p
mount --libxo json
mount -t nullfs
ifconfig
ifconfig -a
ifconfig -l
ifconfig vtnet0
rctl
rctl -hn jail:web
rctl -u jail:web
pfctl -s nat
pfctl -a * -s nat
pfctl -sr -v
devfs rule showsets
devfs rule -s 5 show
sysctl -n kern.ostype hw.machine
tar -tf x.tar
tar -cf - -C /reconciler .
cat /etc/rc.conf
/bin/cat /etc/rc.conf
/usr/bin/stat -f %z x
ls -la
hostname
freebsd-version -kru
true
"""
CHANGES = """
zfs
zfs create zroot/x
zfs destroy zroot/x
zfs set quota=1G zroot/x
zfs snapshot zroot/x@a
zfs -? list
zpool destroy zroot
jail -c name=web
jail -r web
jail -f x -r web
jexec web ls
mount -a
mount -t nullfs /a /b
mount -o rw /a
mount /a
umount /a
ifconfig bridge create
ifconfig bridge0 destroy
ifconfig -a down
ifconfig vtnet0 up
rctl -a jail:web:maxproc:deny=1
rctl -r jail:web
rctl -hr jail:web
pfctl -f /etc/pf.conf
pfctl -s nat -F all
pfctl -a reconciler/web -f -
pfctl -e
pfctl
devfs rule -s 5 add path null unhide
devfs rule -s 5 delset
devfs ruleset 5
sysctl kern.x=1
sysctl -w kern.x=1
sysctl -f /etc/sysctl.conf
tar -xpf - -C /
tar -cf /etc/x .
tar -tf x --use-compress-program=sh
tar -c .
tar cf - .
hostname new
freebsd-version -j web
sh -c ls
/tmp/cat /etc/passwd
rm -f x
unknown
"""


@pytest.mark.parametrize("line", READS.strip().splitlines())
def test_a_command_that_only_reads_is_known(line: str) -> None:
    assert is_read_only(tuple(line.split()))


@pytest.mark.parametrize("line", CHANGES.strip().splitlines())
def test_a_command_that_could_change_the_host_is_not_taken_for_reading(line: str) -> None:
    assert not is_read_only(tuple(line.split()))


def test_no_command_reads_nothing() -> None:
    assert not is_read_only(())
