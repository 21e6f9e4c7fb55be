"""What changed between two snapshots is read, made a package of, and applied elsewhere: through the embedded host."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.build.reading import LOOK, Difference, bounded, difference, line
from reconciler.build.unpack import unpack
from reconciler.build.workspace import Workspace
from reconciler.kind import make_dataset
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import FetchError, HostError
from reconciler.packages.delta import Delta, delta
from reconciler.packages.manifest import Manifest
from reconciler.spool import Spool
from reconciler.wraps import Wrapper
from tests.packages.lab import Lab, payload

NAMES = (b"a", b"b", b"sp ace", b"new\nline", b"-f", "é".encode(), b"\xff")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def recorded(lab: Lab, name: str, **options: tuple[str, ...]) -> Difference:
    return difference(lab.site, [(f"zroot/{name}@a", f"zroot/{name}@b")], **options)


def begun(lab: Lab, name: str = "jail") -> bytes:
    lab.dataset(name)
    return lab.path(f"/{name}") + b"/"


def put(path: bytes, data: bytes = b"x") -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def paths(found: Difference) -> tuple[list[str], list[str]]:
    return [entry.path for entry in found.change.entries], list(found.change.deletions)


def test_what_zfs_does_not_name_is_found_all_the_same(lab: Lab) -> None:
    root = begun(lab)
    for name in (b"d/in", b"d/deep/er", b"many/one", b"other/x", b"goes/a"):
        put(root + name)
    os.link(root + b"many/one", root + b"other/two")
    lab.snapshot("zroot/jail@a")
    root = lab.path("/jail") + b"/"
    os.rename(root + b"d", root + b"renamed")
    put(root + b"many/one", b"written through one of its names")
    shutil.rmtree(root + b"goes")
    lab.snapshot("zroot/jail@b")
    before = lab.left()
    found = recorded(lab, "jail")
    brought, gone = paths(found)
    assert brought == ["many/one", "other/two", "renamed", "renamed/deep", "renamed/deep/er", "renamed/in"]
    assert gone == ["d", "d/deep", "d/deep/er", "d/in", "goes", "goes/a"]
    assert {entry.links for entry in found.change.entries if "o" in entry.path[:1] or entry.path == "many/one"} == {
        "many/one"
    }
    assert b"".join(found.captured.content(found.captured.tree["renamed/in"])) == b"x"
    assert lab.left() == before


class Silent(Wrapper):
    """A host whose zfs says nothing of files that were deleted while a process had them open, as OpenZFS does not."""

    def run(self, command: Command) -> Completed:
        done = self.inner.run(command)
        if command.argv[:2] != ("zfs", "diff"):
            return done
        kept = [line for line in done.stdout.splitlines(keepends=True) if b"\t-\tF\t" not in line]
        return Completed(done.argv, done.status, b"".join(kept), done.stderr)


def test_a_file_that_was_deleted_while_it_was_open_is_missed_by_zfs_and_found_by_its_folder(lab: Lab) -> None:
    root = begun(lab)
    put(root + b"d/goes")
    put(root + b"d/stays")
    lab.snapshot("zroot/jail@a")
    os.remove(lab.path("/jail") + b"/d/goes")
    lab.snapshot("zroot/jail@b")
    steps = [("zroot/jail@a", "zroot/jail@b")]
    assert paths(difference(lab.over(Silent(lab.plain)), steps)) == ([], ["d/goes"])


def test_what_is_ignored_is_left_out_and_said(lab: Lab) -> None:
    root = begun(lab)
    lab.snapshot("zroot/jail@a")
    root = lab.path("/jail") + b"/"
    for name in ("etc/ssh/ssh_host_rsa_key", "var/cache/pkg/x.pkg", "var/log/messages", "etc/resolv.conf", "etc/keep"):
        put(root + name.encode())
    os.mkfifo(root + b"pipe")
    lab.snapshot("zroot/jail@b")
    found = recorded(lab, "jail")
    assert paths(found) == (["etc/keep", "etc/ssh", "pipe"], [])
    assert found.left_out["etc/resolv.conf"] == ("etc/resolv.conf",)
    assert found.left_out["var/cache"] == ("var/cache", "var/cache/pkg", "var/cache/pkg/x.pkg")
    again = recorded(lab, "jail", wanted=("var/log",))
    assert "var/log/messages" in paths(again)[0]


def test_what_stands_at_a_path_is_told_by_the_root_itself(tmp_path: Path) -> None:
    (tmp_path / "d/below").mkdir(parents=True)
    (tmp_path / "d/f\n").write_text("x")
    os.link(tmp_path / "d/f\n", tmp_path / "other")
    (tmp_path / "out").symlink_to("/etc")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(os.path.relpath(tmp_path / "d/door"))
    asked = ("nd", "nd/door", "nout", "nout/passwd", "ngone", "wd", "wout", "f", "fd", "md/f\n", "mgone")
    stdin = b"".join(record.encode() + b"\0" for record in asked)
    argv = ("xargs", "-0", "sh", "-c", LOOK, "sh")
    done = subprocess.run(argv, input=stdin, capture_output=True, cwd=tmp_path, check=True)
    told = {
        "d./d", "s./d/door", "l./out", "f./out/passwd", "d./d/below", "f./d/f\n", "e./d", "e./other", "m./other",
        "e./out", "e./d/below", "e./d/f\n", "e./d/door", "m./d/f\n", "h./d/f\n",
    }  # fmt: skip
    assert set(done.stdout.decode().split("\0")[:-1]) == told


def test_a_folder_that_became_a_link_is_not_entered_through_it(lab: Lab) -> None:
    root = begun(lab)
    for name in (b"was/a", b"other/a"):
        put(root + name, name)
    lab.snapshot("zroot/jail@a")
    root = lab.path("/jail") + b"/"
    shutil.rmtree(root + b"was")
    os.symlink(b"other", root + b"was")
    lab.snapshot("zroot/jail@b")
    found = recorded(lab, "jail")
    assert paths(found) == (["was"], ["was", "was/a"])
    assert found.change.entries[0].target == "other"


def test_a_link_that_leads_out_is_named_as_one_and_can_be_left_out(lab: Lab) -> None:
    root = begun(lab)
    lab.snapshot("zroot/jail@a")
    root = lab.path("/jail") + b"/"
    os.symlink(b"../../../etc", root + b"etc/up")
    os.symlink(b"../bin", root + b"etc/beside")
    lab.snapshot("zroot/jail@b")
    with pytest.raises(FetchError, match="package-unrecordable") as caught:
        recorded(lab, "jail")
    assert "'etc/up': a symbolic link that leads out" in caught.value.diagnostics[0].detail
    assert "beside" not in caught.value.diagnostics[0].detail
    assert paths(recorded(lab, "jail", ignore=("etc/up",))) == (["etc/beside"], [])


def test_what_never_ends_or_has_no_room_is_not_read_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool()
    take = bounded(spool, 10)
    take(b"12345")
    with pytest.raises(FetchError, match="archive-too-large"):
        take(b"678901")
    assert spool.size == 5
    begun(lab)
    lab.snapshot("zroot/jail@a")
    put(lab.path("/jail") + b"/new")
    lab.snapshot("zroot/jail@b")
    before = lab.left()
    with monkeypatch.context() as full:
        full.setattr(tempfile, "tempdir", "/nonexistent")
        with pytest.raises(HostError, match="recording-no-room"):
            recorded(lab, "jail")
    assert lab.left() == before


def test_a_difference_is_followed_over_clones_of_clones(lab: Lab) -> None:
    root = begun(lab, "rel")
    put(root + b"base")
    put(root + b"gone")
    steps = ["zroot/rel@sealed"]
    lab.snapshot(steps[0])
    for name, file in (("one", b"first"), ("two", b"second")):
        lab.do("zfs", "clone", "-o", f"mountpoint=/{name}", steps[-1], f"zroot/{name}")
        put(lab.path(f"/{name}") + b"/" + file)
        if name == "two":
            os.remove(lab.path("/two") + b"/gone")
            os.remove(lab.path("/two") + b"/first")
        steps.append(lab.snapshot(f"zroot/{name}@{name}"))
    rows = lab.site.observe("datasets", roots=("zroot",)).datasets
    way = line(rows, "zroot/rel@sealed", "zroot/two@two")
    assert way == (("zroot/rel@sealed", "zroot/one@one"), ("zroot/one@one", "zroot/two@two"))
    assert paths(difference(lab.site, way)) == (["second"], ["gone"])
    with pytest.raises(HostError, match="recording-no-line"):
        line(rows, "zroot/two@two", "zroot/one@one")


def scramble(dice: random.Random, root: bytes, lab: Lab, name: str, count: int) -> None:
    """Do things to a tree as jails do them: write, replace, link, rename, remove, chmod."""
    for _ in range(count):
        folders = [root + b"t"] + [b"/".join((at, d)) for at, ds, _f in os.walk(root + b"t") for d in ds]
        files = [b"/".join((at, f)) for at, _d, fs in os.walk(root + b"t") for f in fs]
        new = dice.choice(folders) + b"/" + dice.choice(NAMES)
        if os.path.islink(os.path.dirname(new)):
            continue
        kind = dice.randrange(9)
        if kind < 3 and not os.path.lexists(new):
            (os.mkdir if kind == 0 else put)(new)
            if kind == 2:
                os.remove(new)
                os.symlink(dice.choice(NAMES), new)
        elif not files:
            continue
        elif kind == 3 and not os.path.lexists(new):
            os.link(dice.choice(files), new, follow_symlinks=False)
        elif kind == 4 and not os.path.lexists(new):
            old = dice.choice([*files, *folders[1:]])
            if not new.startswith(old + b"/"):
                os.rename(old, new)
        elif kind == 5:
            os.remove(dice.choice(files))
        elif kind == 6 and len(folders) > 1:
            shutil.rmtree(dice.choice(folders[1:]), ignore_errors=True)
        elif kind == 7 and not os.path.islink(one := dice.choice(files)):
            put(one, dice.randbytes(dice.randrange(3)))
        elif kind == 8:
            os.chmod(dice.choice(folders), dice.choice((0o755, 0o700, 0o1777)))


@pytest.mark.parametrize("seed", [1])
def test_a_recording_applied_elsewhere_gives_the_tree_that_was_recorded(lab: Lab, seed: int) -> None:
    dice = random.Random(seed)
    root = begun(lab)
    os.mkdir(root + b"t")
    scramble(dice, root, lab, "jail", 40)
    lab.snapshot("zroot/jail@a")
    old = lab.whole("jail").tree
    scramble(dice, lab.path("/jail") + b"/", lab, "jail", 25)
    files = [p for p, e in lab.whole("jail").tree.items() if e.type == "file" and p.isprintable() and p.isascii()]
    for path in files[:3]:
        lab.do("chown", "80:81", f"/jail/{path}")
        lab.do("chflags", "nodump,schg", f"/jail/{path}")
    lab.snapshot("zroot/jail@b")
    new = lab.whole("jail").tree
    found = recorded(lab, "jail")
    assert found.change == delta(old, new)
    assert apply_to(lab, "zroot/jail@a", found) == new


def apply_to(lab: Lab, base: str, found: Difference, claimed: Delta | None = None) -> object:
    manifest = Manifest("p", "1", "15.1-RELEASE", (0, 0), "amd64", change=claimed or found.change)
    make_dataset(lab.site, "zroot/reconciler/layers/next", {"mountpoint": "legacy"}, origin=base)
    with Workspace(lab.site, "zroot/reconciler/layers/next") as room:
        room.mount()
        room.start(network=False)
        unpack(room, "p", manifest, payload(found.change, found.captured.content), lambda _data: None)
        made = lab.whole(room.path.lstrip("/")).tree
    return {path: entry for path, entry in made.items() if not path.startswith("dev/")}


def test_two_trees_that_have_nothing_in_common_are_compared_whole(lab: Lab) -> None:
    trees = []
    for name, seed in (("one", 3), ("two", 4)):
        os.mkdir(begun(lab, name) + b"t")
        scramble(random.Random(seed), lab.path(f"/{name}") + b"/", lab, name, 30)
        lab.snapshot(f"zroot/{name}@a")
        trees.append(lab.whole(name).tree)
    found = difference(lab.site, [("zroot/one@a", "zroot/two@a")], everything=True)
    assert found.change == delta(*trees) and found.change


def test_a_package_that_does_not_fit_is_said_to_differ(lab: Lab) -> None:
    root = begun(lab)
    put(root + b"keeps/a")
    lab.snapshot("zroot/jail@a")
    put(lab.path("/jail") + b"/new")
    shutil.rmtree(lab.path("/jail") + b"/keeps")
    lab.snapshot("zroot/jail@b")
    found = recorded(lab, "jail")
    lab.dataset("other")
    put(lab.path("/other") + b"/keeps/b")
    lab.snapshot("zroot/other@a")
    with pytest.raises(HostError, match="package-apply-failed"):
        apply_to(lab, "zroot/other@a", found)


def test_what_is_said_of_the_root_itself_is_recorded_and_applied_and_looked_at_again(lab: Lab) -> None:
    begun(lab)
    lab.snapshot("zroot/jail@a")
    lab.do("chown", "80:81", "/jail")
    lab.do("chmod", "0711", "/jail")
    put(lab.path("/jail") + b"/-new")
    lab.snapshot("zroot/jail@b")
    found = recorded(lab, "jail")
    assert paths(found) == (["-new", "."], [])
    assert [(e.type, e.mode, e.uid, e.gid) for e in found.change.entries][1] == ("directory", 0o711, 80, 81)
    apply_to(lab, "zroot/jail@a", found)
    lab.do("zfs", "set", "mountpoint=/next", "zroot/reconciler/layers/next")
    assert lab.do("stat", "-f", "%u %g %Lp", "/next").stdout == b"80 81 0711\n"
    lab.do("zfs", "rename", "zroot/reconciler/layers/next", "zroot/applied")
    wrong = replace(found.change.entries[1], mode=0o755)
    with pytest.raises(HostError, match=r"'\.': mode 0755 → 0711"):
        apply_to(lab, "zroot/jail@a", found, Delta((found.change.entries[0], wrong)))
