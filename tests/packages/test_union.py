"""What unionfs records: the union's own view becomes a package, the tree below stays, and what is lost is said."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.build import union
from reconciler.build.reading import difference
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import HostError
from reconciler.model.ports import MountRow
from reconciler.packages.tree import Entry
from reconciler.runtime import fstab
from reconciler.wraps import Wrapper
from tests.packages.lab import Lab
from tests.packages.test_recording import apply_to, begun, lab, put, scramble

__all__ = ["lab"]
WRITABLE = "rw,noatime,copymode=transparent"
WORD = st.text("abc/.-", min_size=1, max_size=6)
LINES = st.lists(st.tuples(WORD, WORD, st.sampled_from(("tmpfs", "unionfs", "nullfs", "devfs"))), max_size=4)


@given(rest=LINES, upper=WORD)
def test_an_fstab_with_a_union_and_without_is_the_same_but_for_that(rest, upper):
    text = "pool/r /live/web zfs rw 0 0\ndevfs /live/web/dev devfs rw 0 0\n"
    text += "".join(f"{one} /live/web/{two} {three} rw 0 0\n" for one, two, three in rest)
    assert fstab.plain(text) == text and fstab.upper(text) == ""
    over = fstab.united(text, upper)
    assert fstab.upper(over) == upper and fstab.plain(over) == text == fstab.plain(text)
    assert fstab.united(over, "/other") == fstab.united(text, "/other")
    assert over.splitlines()[1] == f"{upper} /live/web unionfs {fstab.UNION} 0 0"


@pytest.mark.parametrize("text", ["", "\n", "pool/r\n", "pool/r /live/web zfs\nunionfs\n", "x\n\n"])
def test_an_fstab_that_is_none_has_no_union(text):
    assert fstab.upper(text) == "" and fstab.plain(text) == text


def test_the_mount_that_a_path_lies_in_is_the_longest_and_the_last():
    rows = [MountRow(name, at, kind, frozenset()) for name, at, kind in (
        ("/dev/a", "/", "ufs"), ("pool", "/pool", "zfs"), ("t", "/pool/up", "tmpfs"), ("z", "/pool/upper", "zfs"),
    )]  # fmt: skip
    found = {path: union.covering(rows, path).source for path in ("/x", "/pool", "/pool/up/web-1", "/pool/upper/a")}
    assert found == {"/x": "/dev/a", "/pool": "pool", "/pool/up/web-1": "t", "/pool/upper/a": "z"}
    assert union.may_be_there(rows, "/pool/up/a") and not union.may_be_there(rows, "/pool/other/a")
    assert union.may_be_there((), "/pool/other/a")  # nothing is known of mounts


def test_what_a_copy_lost_is_taken_from_below_and_hard_links_are_named():
    below = {
        "a": Entry("a", "file", 0o644, flags=("schg",), acl="x", xattrs=(("user.n", b"1"),)),
        "b": Entry("b", "file", 0o644, flags=("schg",)),
        "c": Entry("c", "file", 0o644, links="c"),
        "d": Entry("d", "directory", 0o755, flags=("sunlnk",)),
        "e": Entry("e", "file", 0o644, flags=("schg",)),
        "gone": Entry("gone", "file", 0o644, flags=("schg",)),
    }
    above = {
        "a": Entry("a", "file", 0o600),
        "b": Entry("b", "file", 0o644, flags=("uchg",)),
        "c": Entry("c", "file", 0o644),
        "d": Entry("d", "directory", 0o755),
        "e": Entry("e", "symlink", 0o755, target="a"),
        "new": Entry("new", "file", 0o644),
    }
    tree, lost = union.restored(below, above)
    assert lost == {"flags": ("a", "d"), "attributes": ("a",), "ACL": ("a",), "hard link": ("c",)}
    assert tree["a"] == Entry("a", "file", 0o600, flags=("schg",), acl="x", xattrs=(("user.n", b"1"),))
    assert (tree["b"], tree["e"], tree["new"], tree["d"]) == (above["b"], above["e"], above["new"], below["d"])


@pytest.mark.parametrize("seed", [1])
def test_a_package_of_a_union_gives_the_tree_that_the_union_showed(lab: Lab, seed: int) -> None:
    dice = random.Random(seed)
    root = begun(lab)
    os.mkdir(root + b"t")
    scramble(dice, root, lab, "jail", 40)
    put(root + b"t/immutable")
    lab.do("chflags", "schg", "/jail/t/immutable")
    lab.snapshot("zroot/jail@a")
    before = lab.whole("jail").tree
    lab.do("mkdir", "-p", "/up")
    lab.do("mount", "-t", "tmpfs", "tmpfs", "/up")
    lab.do("mkdir", "/up/x")
    lab.do("mount", "-t", "unionfs", "-o", WRITABLE, "/up/x", "/jail")
    scramble(dice, lab.path("/jail") + b"/", lab, "jail", 25)
    put(lab.path("/jail") + b"/t/immutable", b"not any more")
    lab.do("umount", "/jail")
    assert lab.whole("jail").tree == before
    lab.do("mount", "-t", "unionfs", "-o", union.READ_ONLY, "/up/x", "/jail")
    shown = lab.whole("jail").tree
    lab.do("umount", "/jail")
    lab.snapshot("zroot/jail@b")
    left = lab.left()
    where = union.looked(lab.site, "/up/x")
    assert "t" in where.names and "t" in where.folders and "t" not in where.whole | where.several
    found = difference(lab.site, [("zroot/jail@a", "zroot/jail@b")], upper="/up/x")
    assert lab.left() == left
    assert "t/immutable" in found.lost["flags"] and shown["t/immutable"].flags == ()
    assert apply_to(lab, "zroot/jail@a", found) == union.restored(before, shown)[0]


class Without(Wrapper):
    """A kernel that has no unionfs, and may load none."""

    def run(self, command: Command) -> Completed:
        if command.argv[:3] == ("mount", "-t", "unionfs"):
            return Completed(command.argv, 1, b"", b"mount_unionfs: /x: Operation not supported by device\n")
        return self.inner.run(command)


def test_a_kernel_without_unions_says_so_before_anything_is_stopped(lab: Lab) -> None:
    lab.do("mkdir", "-p", "/ufs")
    before = lab.left()
    site = lab.over(Without(lab.plain))
    for folder in ("", "/ufs"):
        with pytest.raises(HostError, match="Operation not supported by device"):
            union.prepare(site, "web", "00", folder, 1 << 20)
        assert lab.left() == before
    assert lab.do("ls", "-A", "/ufs").stdout == b""


def test_a_folder_that_has_no_whiteouts_or_is_no_plain_path_is_refused(lab: Lab) -> None:
    lab.dataset("zfs")
    lab.do("mkdir", "-p", "/ufs")
    for place, why in (("/zfs", "zfs, which has no whiteouts"), ("/u fs", "no plain"), ("/ufs/..", "no plain"),
                       ("ufs", "no plain"), ("/ufs\n", "no plain"), ("/ufs/-o", "no folder")):  # fmt: skip
        with pytest.raises(HostError, match=r"recording-upper-unfit") as caught:
            union.prepare(lab.site, "web", "00", place, 1)
        assert why in caught.value.diagnostics[0].detail
    upper = union.prepare(lab.site, "web", "00", "/ufs", 1)
    assert upper == "/ufs/web-00" and union.is_there(lab.site, upper)
    union.discard(lab.site, "web", upper)
    assert not union.is_there(lab.site, upper)
    mine = union.prepare(lab.site, "web", "01", "", 1 << 20)
    assert mine == "/reconciler/recording/web/web-01" and union.is_there(lab.site, mine)
    assert union.prepare(lab.site, "web", "02", "", 1 << 20) and not union.is_there(lab.site, mine)
    union.discard(lab.site, "web", mine)
    assert "recording" not in lab.do("mount").stdout.decode()
