"""Streams that a real bsdtar (libarchive 3.6.2, on Linux, ext4) wrote with the very options that roots are read with.

What holds the round trip against a bsdtar that is here: flow_bsdtar.py.
"""

from __future__ import annotations

import lzma
from pathlib import Path

from reconciler.packages.capture import Captured, capture
from reconciler.packages.tree import Entry

DATA = Path(__file__).parent / "data"
WHEN = 1_700_000_000


def captured(name: str) -> Captured:
    return capture([lzma.decompress((DATA / name).read_bytes())], top=True)


def said(entry: Entry) -> tuple[str, int, int, int, int]:
    return entry.type, entry.mode, entry.uid, entry.gid, entry.mtime


def test_what_bsdtar_wrote_is_read_as_it_was() -> None:
    tree = captured("bsdtar-3.6.2.tar.xz").tree
    plain = {"-f", "new\nline", "é", "\udcff", "n" * 120, "one", "two", "marked", "flagged", "empty"}
    others = {".", "bin", "bin/setuid", "far", "holes", "link", "owned", "pipe", "void"}
    assert set(tree) == plain | others
    assert {said(tree[path]) for path in plain} == {("file", 0o644, 0, 0, WHEN)}
    assert said(tree["bin/setuid"]) == ("file", 0o4755, 80, 81, WHEN)
    assert said(tree["owned"]) == ("file", 0o644, 4_000_000_000, 3_000_000, WHEN)
    assert said(tree["."]) == ("directory", 0o711, 0, 0, 0) and tree["void"].mode == 0o1777
    assert tree["far"].mtime == 1 << 33 and tree["holes"].size == (1 << 20) + 1
    assert (tree["link"].target, tree["pipe"].type) == ("/etc/passwd", "fifo")
    assert {path for path, entry in tree.items() if entry.links} == {"one", "two"}
    assert tree["flagged"].flags == ("nodump", "schg") and not tree["one"].flags
    assert tree["marked"].xattrs == (("user.note", b"\0\xff"), ("user.é", b"v"))


def test_an_access_list_is_kept_as_libarchive_writes_it() -> None:
    assert captured("bsdtar-3.6.2-acl.tar.xz").tree["f"].acl == "owner@:rwpaARWcCos::allow,user:www:rwxp:f:allow:80"
