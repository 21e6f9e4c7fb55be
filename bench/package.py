"""How long it takes to build a jail package of a large tree, against `tar | xz -T0` of the same files in the same run.

    python bench/package.py [--files 20000] [--megabytes 500] [--rounds 1] [--folder DIR] [--zstd]

The tree is text, programs and what cannot be compressed, in the shares that /usr/local of a jail has. A build reads
it through tar(1), as one of a jail does, hashes every file, and writes the archive and its digest; then the package
is verified as a whole. Times are of the clock; CPU is that of the process and its children. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from reconciler.packages.capture import capture
from reconciler.packages.compress import Compression, threads
from reconciler.packages.delta import delta
from reconciler.packages.inspect import digest
from reconciler.packages.manifest import Manifest
from reconciler.packages.read import check_package
from reconciler.packages.write import build_package

REACH = 1.2
"""Times that a build may take of what `tar | xz -T0` takes."""
MANIFEST = Manifest("bench", "1", "15.1-RELEASE", (1, 1), "amd64", creator="bench")


@dataclass(frozen=True)
class Took:
    """Seconds of the clock and of processors, and bytes that came of it."""

    seconds: float
    cpu: float
    size: int


def plant(folder: Path, files: int, size: int) -> None:
    """A tree that is the same in every run: half text, two fifths programs, the rest noise."""
    dice = random.Random(20261122)
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 10))) for _ in range(4000)]
    phrases = [" ".join(dice.choices(words, k=dice.randint(3, 12))) + "\n" for _ in range(3000)]
    patterns = [dice.randbytes(dice.choice((24, 64, 200))) for _ in range(3000)]
    mean = size // files
    for number in range(files):
        place = folder / f"usr/local/share/d{number % 200:03}/e{number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        wanted = max(1, int(dice.expovariate(1 / mean))) if mean > 1 else 1
        share = dice.random()
        if share < 0.5:
            data = "".join(dice.choices(phrases, k=wanted // 30 + 1)).encode()
        elif share < 0.9:
            data = b"".join(dice.choices(patterns, k=wanted // 70 + 1))
        else:
            data = dice.randbytes(wanted)
        (place / f"file-{number}").write_bytes(data[:wanted])


def reading(tree: Path) -> Iterator[bytes]:
    """The tree as tar(1) writes it."""
    with subprocess.Popen(["tar", "--format", "pax", "-C", str(tree), "-cf", "-", "."], stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        while piece := tar.stdout.read(1 << 18):
            yield piece
    assert tar.returncode == 0


def build(tree: Path, out: Path, compression: Compression) -> Path:
    """What `reconcile package build` does with the tree that it has read."""
    captured = capture(reading(tree))
    manifest = replace(MANIFEST, change=delta({}, captured.tree))
    return build_package(out, manifest, captured.content, compression).path


def checked(path: Path) -> Path:
    """What `reconcile package verify` does with it."""
    assert check_package(path) is not None
    return path


def plain(tree: Path, out: Path) -> Path:
    """tar | xz -T0, as by hand."""
    path = out / "plain.tar.xz"
    with open(path, "wb") as file:
        tar = subprocess.Popen(["tar", "-C", str(tree), "-cf", "-", "."], stdout=subprocess.PIPE)
        xz = subprocess.run(["xz", "-T0", "-c"], stdin=tar.stdout, stdout=file, check=True)
        assert tar.wait() == 0 and xz.returncode == 0
    return path


def measured(work: Callable[[], Path]) -> Took:
    """Do it once."""
    before, start = _cpu(), time.monotonic()
    path = work()
    return Took(time.monotonic() - start, _cpu() - before, path.stat().st_size)


def _cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def best(rounds: list[Took]) -> Took:
    """The one that was disturbed least."""
    return min(rounds, key=lambda took: took.seconds)


def run(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Plant, then build and compress by turns."""
    tree, out = folder / "tree", folder / "out"
    tree.mkdir()
    out.mkdir()
    plant(tree, args.files, args.megabytes * 1_000_000)
    compression: Compression = "zstd" if args.zstd else "xz"
    took: dict[str, list[Took]] = {"tar | xz -T0": [], "package": [], "verify": []}
    digests = set()
    for _ in range(args.rounds):
        took["tar | xz -T0"].append(measured(partial(plain, tree, out)))
        took["package"].append(measured(partial(build, tree, out, compression)))
        path = next(out.glob("bench-1_*.tar.[xz]*[tz]"))
        digests.add(digest(path))
        took["verify"].append(measured(partial(checked, path)))
    print(f"{args.files} files, {args.megabytes} MB, {threads()} processors, {compression}, best of {args.rounds}")
    print(f"{'':<14}{'seconds':>9}{'cpu s':>9}{'MB':>9}")
    found = {name: best(rounds) for name, rounds in took.items()}
    for name, one in found.items():
        print(f"{name:<14}{one.seconds:>9.2f}{one.cpu:>9.2f}{one.size / 1e6:>9.1f}")
    ratio = found["package"].seconds / found["tar | xz -T0"].seconds
    work = found["package"].cpu / found["tar | xz -T0"].cpu
    print(f"a package takes {ratio:.2f} of the time of tar | xz -T0, and {work:.2f} of its work; to reach: {REACH}")
    return {
        "files": args.files,
        "megabytes": args.megabytes,
        "processors": threads(),
        "compression": compression,
        "ratio": round(ratio, 3),
        "cpu_ratio": round(work, 3),
        "reach": REACH,
        "reached": ratio <= REACH,
        "same_bytes": len(digests) == 1,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        **{
            name.replace(" | ", "_").replace(" ", "_"): {
                "s": round(one.seconds, 2),
                "cpu_s": round(one.cpu, 2),
                "bytes": one.size,
            }
            for name, one in found.items()
        },
    }


def main() -> int:
    """Measure and print; 0 when what was to be reached was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--zstd", action="store_true")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-package-", dir=args.folder))
    try:
        found = run(args, folder)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(found))
    return 0 if found["reached"] else 1


if __name__ == "__main__":
    os.environ.pop("XZ_DEFAULTS", None)
    os.environ.pop("XZ_OPT", None)
    sys.exit(main())
