"""zfs(8): what it printed, as values."""

import time

import pytest
from captured import answer

from reconciler.hosts.freebsd import diff, zfs
from reconciler.model.command import Completed
from reconciler.model.diagnostic import HostError
from reconciler.model.ports import Change


def row(**values: str) -> str:
    names = zfs.columns(jailed=True)
    usual = dict.fromkeys(names, "-") | {"type": "filesystem", "mounted": "no", "written": "0", "used": "0"}
    return "\t".join((usual | values)[name] for name in names)


def listed(*rows: str) -> Completed:
    return Completed(zfs.listing(["zroot/reconciler"]), 0, "".join(line + "\n" for line in rows).encode())


def test_the_columns_of_the_listing_are_those_that_zfs_knows():
    known = answer("02-zfs.txt", "zfs get bogusprop zroot").stderr.decode()
    properties = {line.split()[0] for line in known.split("VALUES")[1].splitlines() if line.startswith("\t")}
    asked = {name for name in zfs.columns(jailed=True) if ":" not in name}
    assert asked - properties == {"name"}


def test_a_filesystem_is_read():
    line = row(
        name="zroot/reconciler/jails/web db",
        guid="17094462523202374556",
        mountpoint="legacy",
        canmount="noauto",
        mounted="yes",
        jailed="off",
        readonly="on",
        written="24576",
        used="225792",
        available="3892088320",
        quota="104857600",
        **{"reconciler:owner": "host/web", "reconciler:digest": "sha256:00"},
    )
    (web,) = zfs.parse_listing(listed(line))
    assert (web.name, web.guid) == ("zroot/reconciler/jails/web db", "17094462523202374556")
    assert (web.mountpoint, web.canmount) == ("legacy", "noauto")
    assert (web.mounted, web.readonly, web.jailed) == (True, True, False)
    assert (web.written, web.used, web.available) == (24576, 225792, 3892088320)
    assert web.native == {"quota": "104857600"}
    assert web.user == {"owner": "host/web", "digest": "sha256:00"}


def test_a_snapshot_has_neither_mountpoint_nor_available_space():
    (snap,) = zfs.parse_listing(listed(row(name="zroot/a@s1", type="snapshot", guid="193402756958550502", mounted="-")))
    assert (snap.kind, snap.mountpoint, snap.mounted, snap.available) == ("snapshot", "", False, 0)


def test_a_delegated_dataset_is_seen_as_jailed():
    assert zfs.parse_listing(listed(row(name="zroot/a", jailed="on")))[0].jailed


def test_a_key_that_is_not_loaded_is_seen():
    (enc,) = zfs.parse_listing(listed(row(name="lab/enc", keystatus="unavailable", encryptionroot="lab/enc")))
    assert (enc.keystatus, enc.encryptionroot) == ("unavailable", "lab/enc")


def test_a_dataset_listed_under_two_roots_is_one_row():
    twice = Completed(zfs.listing(["zroot", "zroot/a"]), 0, listed(*[row(name="zroot/a")] * 2).stdout)
    assert len(zfs.parse_listing(twice)) == 1


@pytest.mark.parametrize("line", ["zroot/a\tfilesystem", row(name="zroot/a", used="1.5G"), row(name="zroot/a") + "\tx"])
def test_a_row_of_another_shape_is_refused(line):
    with pytest.raises(HostError, match="unreadable-output"):
        zfs.parse_listing(listed(line))


def test_sixty_thousand_rows_are_read_within_the_budget():
    line = row(name="zroot/a", guid="1", **{"reconciler:owner": "web"}).split("\t", 1)[1]
    done = listed(*(f"zroot/reconciler/jails/{number}\t{line}" for number in range(60_000)))
    started = time.process_time()
    rows = zfs.parse_listing(done)
    zfs.steady(done.stdout)
    assert len(rows) == 60_000
    assert time.process_time() - started < 1.0  # 0.3 s on an idle core; shared ones are slower


def test_sizes_do_not_change_what_a_digest_covers():
    first, second = row(name="zroot/a", used="1", written="2"), row(name="zroot/a", used="3", available="4")
    assert zfs.steady(listed(first).stdout) == zfs.steady(listed(second).stdout)
    assert zfs.steady(listed(first).stdout) != zfs.steady(listed(row(name="zroot/b")).stdout)


def test_a_diff_is_read_with_its_renames_and_escapes():
    stdout = (
        b"1795316089.200000000\t-\t@\t/mnt/a/l\n"
        b"1795316091.136000000\t+\tF\t/mnt/a/a\\0040b\\0011c\n"
        b"1795316091.228000000\tM\t/\t/mnt/a/\n"
        b"1795316091.056000000\tR\tF\t/mnt/a/\\0303\\0251\t/mnt/a/new\n"
        b"1795316091.056000000\tM\tF\t/mnt/a/linked\t(+1)\n"
    )
    assert diff.parse_diff(Completed(("zfs", "diff"), 0, stdout)) == (
        Change("-", "@", "/mnt/a/l"),
        Change("+", "F", "/mnt/a/a b\tc"),
        Change("M", "/", "/mnt/a/"),
        Change("R", "F", "/mnt/a/é", "/mnt/a/new"),
        Change("M", "F", "/mnt/a/linked"),
    )


def captured_changes(dataset: str) -> set[Change]:
    return set(diff.parse_diff(answer("openzfs-diff.txt", f"zfs diff -FHt lab/{dataset}@a lab/{dataset}@b")))


def test_every_name_that_a_real_diff_escaped_is_read_back():
    names = {change.path for change in captured_changes("one") if change.op == "M" and change.type == "F"}
    strange = ("sp ace", "ta\tb", "new\nline", "\udcff\udcfe raw", "é", "back\\slash")
    assert names >= {f"/lab/one/{name}" for name in strange}


def test_what_a_real_diff_says_of_links_renames_and_other_types_is_read():
    changes = captured_changes("one")
    assert changes >= {
        Change("M", "F", "/lab/one/h1"),
        Change("R", "/", "/lab/one/d", "/lab/one/D2"),
        Change("R", "F", "/lab/one/d/in", "/lab/one/D2/in"),
        Change("+", "=", "/lab/one/sock"),
        Change("+", "C", "/lab/one/chr"),
        Change("+", "|", "/lab/one/fifo"),
        Change("+", "F", "/lab/one/x:(+1)"),
        Change("+", "F", "/lab/one(on_delete_queue)"),
    }
    assert Change("+", "F", "/lab/xattrdir/f/<xattrdir>/user.k") in captured_changes("xattrdir")


def test_pools_are_read_with_their_health():
    done = Completed(zfs.pools(), 0, b"zroot\tONLINE\ntank\tSUSPENDED\n")
    assert zfs.parse_pools(done) == {"zroot": "ONLINE", "tank": "SUSPENDED"}
