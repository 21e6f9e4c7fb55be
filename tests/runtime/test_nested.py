"""What is mounted inside a volume finds its folder at every start, and no link that the jail made leads out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.runtime.nested import nested
from tests.runtime.jails import jail, runtime
from tests.runtime.machine import Place

VOLUME = "zroot/reconciler/volumes/web/www"
WEB = jail(
    network={},
    volumes=[{"name": "www", "mountpoint": "/srv/www"}, {"name": "deep", "mountpoint": "/srv/www/a b/deep"}],
    mounts=[{"type": "tmpfs", "device": "tmpfs", "mountpoint": "/srv/www/cache", "options": "rw"}],
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A machine with the jail web, whose volumes are empty."""
    place = Place(tmp_path / "machine")
    place.jail(WEB)
    yield place
    place.power_off()


def change(place: Place, script: str) -> None:
    """What the jail does to its volume, as its root could."""
    place.ok("mkdir", "-p", "/mnt/look")
    place.ok("mount", "-t", "zfs", VOLUME, "/mnt/look")
    place.ok("sh", "-c", f"cd /mnt/look && {script}")
    place.ok("umount", "/mnt/look")


def test_the_folders_are_made_at_each_start_without_the_tool(place: Place) -> None:
    assert place.start("web").status == 0
    assert place.inside("web", "ls", "/srv/www") == "a b\ncache\n"
    assert "/reconciler/live/web/srv/www/cache" in place.mounted()
    assert place.stop("web").status == 0
    change(place, "rmdir cache && rm -rf 'a b'")
    assert place.start("web").status == 0
    place.inside("web", "test", "-d", "/srv/www/a b/deep")
    assert place.stop("web").status == 0 and place.mounted() == []


@pytest.mark.parametrize("made", ["ln -s /root cache", "ln -s .. cache", "echo >cache", "ln -s / 'a b'"])
def test_a_link_or_a_file_in_the_way_starts_nothing_and_leads_nowhere(place: Place, made: str) -> None:
    change(place, made)
    before = place.ok("find", "/", "-xdev", "-name", "deep")
    assert place.start("web").status != 0
    assert place.mounted() == [] and not place.runs("web") and not place.runs("KEEP-web")
    assert place.ok("find", "/", "-xdev", "-name", "deep") == before


def test_what_a_start_that_was_killed_left_mounted_is_in_nobodys_way(place: Place) -> None:
    place.ok("mount", "-t", "zfs", "zroot/reconciler/jails/web/1", "/reconciler/live/web")
    place.ok("mount", "-t", "zfs", VOLUME, "/reconciler/live/web/dev")
    place.ok("jail", "-c", "name=KEEP-web", "path=/reconciler/live/web", "persist")
    assert place.start("web").status == 0
    assert place.stop("web").status == 0 and place.mounted() == [] and not place.runs("KEEP-web")


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ([], {VOLUME: ("a b/deep",)}),
        ([("/srv", "/srv"), ("/x", "/srv/www/y")], {VOLUME: ("a b/deep", "y")}),
        ([("/x", "/srv/www/a b")], {VOLUME: ("a b",)}),
        ([("/x", "/srv/wwww/y")], {VOLUME: ("a b/deep",)}),
    ],
)
def test_each_folder_belongs_to_the_innermost_mount_around_it(
    mounts: list[tuple[str, str]], expected: dict[str, tuple[str, ...]]
) -> None:
    spec = jail(
        volumes=[{"name": "www", "mountpoint": "/srv/www"}, {"name": "deep", "mountpoint": "/srv/www/a b/deep"}],
        mounts=[{"type": "nullfs", "device": device, "mountpoint": where} for device, where in mounts],
    )
    assert nested(runtime(spec)) == expected
