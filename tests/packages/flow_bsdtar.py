"""What a real bsdtar unpacks of our streams, it writes again as they were. Slow: `make test-slow`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler.build.reading import READ
from reconciler.build.unpack import UNPACK
from reconciler.packages.capture import Captured, capture
from reconciler.packages.delta import delta

from .lab import payload
from .test_bsdtar import captured

BSDTAR = os.environ.get("BSDTAR") or shutil.which("bsdtar") or ""
pytestmark = [
    pytest.mark.skipif(not BSDTAR, reason="there is no bsdtar here; name one in BSDTAR"),
    pytest.mark.skipif(os.geteuid() != 0, reason="owners and flags are root's to set"),
]


def run(argv: tuple[str, ...], root: Path, stdin: bytes) -> bytes:
    """A command line that is meant for a jail, with this bsdtar and this root."""
    words = [BSDTAR if word == "tar" else str(root) if word == "/" else word for word in argv]
    return subprocess.run(words, input=stdin, capture_output=True, check=True).stdout


def read(root: Path) -> Captured:
    names = [b"./."]
    for folder, folders, files in os.walk(os.fsencode(root)):
        names += [b"./" + os.path.relpath(os.path.join(folder, name), os.fsencode(root)) for name in folders + files]
    return capture([run(READ, root, b"".join(name + b"\0" for name in sorted(names)))], top=True)


def test_what_bsdtar_unpacks_it_writes_again_as_it_was(tmp_path: Path) -> None:
    first = captured("bsdtar-3.6.2.tar.xz")
    root = tmp_path / "root"
    root.mkdir()
    try:
        run(UNPACK, root, b"".join(payload(delta({}, first.tree), first.content)))
        assert read(root).tree == first.tree
    finally:
        subprocess.run(["chattr", "-i", str(root / "flagged")], check=False)
