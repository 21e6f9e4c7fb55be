"""A mirror whose sets hold another patch level than FreeBSD's own."""

import hashlib
import io
import tarfile

from tests.fleet import base

SPEC = """kind: Release
name: 15.1-RELEASE
sets: [base]
mirror: {mirror}
---
kind: Jail
name: web
release: 15.1-RELEASE
"""


def patched(folder, level):
    """A mirror with one release at a patch level; answers its file: URL."""
    data = base(f"15.1-RELEASE-p{level}")
    place = folder / "amd64/amd64/15.1-RELEASE"
    place.mkdir(parents=True)
    (place / "base.txz").write_bytes(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        count = len(archive.getmembers())
    line = f'base.txz\t{hashlib.sha256(data).hexdigest()}\t{count}\tbase\t"Base system"\ton\n'
    (place / "MANIFEST").write_text(line)
    return f"file:{folder}"


def test_an_apply_takes_the_level_that_the_mirror_has(desk, tmp_path):
    desk.write("web.yaml", SPEC.format(mirror=patched(tmp_path / "mirror", 3)))
    applied = desk.run("apply", "specs")
    assert applied.status == 0, applied
    assert "fetch release 15.1-RELEASE-p3" in applied.out
    assert "No changes" in desk.run("plan", "specs").out


def test_a_level_that_is_written_down_is_the_one_that_is_wanted(desk, tmp_path):
    text = SPEC.format(mirror=patched(tmp_path / "mirror", 3)) + "patch_level: 2\n"
    desk.write("web.yaml", text)
    applied = desk.run("apply", "specs")
    assert applied.status in {1, 4}
    assert "Write `patch_level: 3`." in applied.out + applied.err
