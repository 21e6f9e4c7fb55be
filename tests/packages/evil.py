"""Archives that mean harm, as they would lie on a server, and what must be as before once they were refused."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from reconciler.packages.layout import END
from reconciler.packages.manifest import serialize
from tests.cli.conftest import Desk

from . import test_archive
from .tars import tar_of
from .test_hostile import EVIL, GOOD, LYING, TOLD, told
from .trees import assembled, manifest, members

ARCHIVES: dict[str, bytes] = {
    **{f"manifest: {name}": told(*evil) for name, evil in EVIL.items()},
    **{f"payload: {name}": assembled(TOLD, data) for name, data in LYING.items()},
    **{f"bare: {number}": tar_of(items) for number, items in enumerate(test_archive.EVIL)},
    "cut short": assembled(TOLD, members(GOOD.entries) + END)[:-9],
    "a bomb": assembled(TOLD, bytes(1 << 23)),
    "no archive": b"#!/bin/sh\nrm -rf /\n",
    "another format": assembled(serialize(manifest(GOOD)).replace(b'"format":2', b'"format":3'), b""),
}
WEB = "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nstate: stopped\n"
REFUSALS = ("archive-", "package-malformed", "package-disagrees", "package-format", "package-signature")

MISFIT = "package-does-not-fit"


def refused_everywhere(desk: Desk, data: bytes, signature: bytes = b"", *key: str) -> None:
    """Neither a jail that lists it nor a pull takes it; and nothing is there that was not."""
    digest = hashlib.sha256(data).hexdigest()
    for folder in (desk.folder, desk.folder / "specs"):
        (folder / "evil.tar.xz").write_bytes(data)
        if signature:
            (folder / "evil.tar.xz.sig").write_bytes(signature)
    before = there(desk)
    pulled = desk.run("package", "pull", "evil.tar.xz", "--digest", digest)
    out = desk.run("package", "pull", "evil.tar.xz", "--digest", digest, "--out", "pulled", *key)
    # The plan looks at one beside the specs, and says more of it than that it is evil.
    line = f"packages: [{{name: evil, digest: 'sha256:{digest}', source: %s}}]\n"
    desk.write("web.yaml", WEB + line % "evil.tar.xz")
    beside = desk.run("apply", "specs")
    assert beside.status in (1, 3) and any(code in beside.err + beside.out for code in (*REFUSALS, MISFIT)), beside
    shutil.rmtree(desk.folder / "cache")
    desk.write("web.yaml", WEB + line % f"'file:{desk.folder}/specs/evil.tar.xz'")
    applied = desk.run("apply", "specs")
    for answer in (pulled, out, applied):
        assert answer.status == 1 and any(code in answer.err + answer.out for code in REFUSALS), answer
    assert there(desk) == before
    assert not (desk.folder / "pulled").exists()


def there(desk: Desk) -> tuple[str, list[str], list[str]]:
    """Every dataset and snapshot, everything in any of them, and whatever waits to be finished here."""
    datasets = desk.zfs("list", "-Hr", "-t", "all", "-o", "name,guid", "zroot")
    data = desk.folder / "box/data"
    inside = sorted(str(path.relative_to(data)) for path in data.rglob("*"))
    return datasets, inside, [path.name for path in Path(desk.folder).rglob("*") if path.suffix in (".partial", ".new")]
