"""What fetching a release costs beside unpacking it: see README.md.

    python bench/release.py [--size MB] [--runs N] [--cache DIR]

A base.txz of SIZE megabytes is made (once, kept in the cache folder) and served on loopback by a process of
its own. `alone` is `bsdtar -x` of the file (tar where there is no bsdtar), nothing else. `fetch` is what the
tool does until the same tree is there: MANIFEST, download, SHA256, every member judged, the same tar fed
through a pipe. Best of N runs each, taken in turn. The last line is JSON.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import http.server
import json
import lzma
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

REACH = {"ratio": 1.15, "peak_mb": 100.0}
FOLDER = "amd64/amd64/15.1-RELEASE"
VERSION = b'#!/bin/sh\nUSERLAND_VERSION="15.1-RELEASE"\n'


def synthetic(path: Path, size: int) -> None:
    """A base.txz of about `size` bytes: files of 1 kB to 8 MB, of content that xz shrinks to some three quarters.

    Each header and each content is an xz stream of its own, which one file of xz may hold many of. There are 48
    contents, compressed once: making the file is no part of what is measured, and would take longer.
    """
    chance = random.Random(size)
    contents = [_content(chance) for _ in range(48)]
    with path.open("wb") as packed:
        packed.write(lzma.compress(_member("./bin", None) + _member("./bin/freebsd-version", len(VERSION))))
        packed.write(lzma.compress(_padded(VERSION)))
        number = 0
        while packed.tell() < size:
            folder = _member(f"./usr{number // 100}", None) if number % 100 == 0 else b""
            length, content = chance.choice(contents)
            packed.write(lzma.compress(folder + _member(f"./usr{number // 100}/f{number}", length), preset=0) + content)
            number += 1
        packed.write(lzma.compress(bytes(1024)))


def _content(chance: random.Random) -> tuple[int, bytes]:
    length = min(8 << 20, int(1000 * chance.paretovariate(0.4)))
    data = base64.b64encode(chance.randbytes(length))[:length]
    return length, lzma.compress(_padded(data), preset=1)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def _member(name: str, size: int | None) -> bytes:
    member = tarfile.TarInfo(name)
    member.mode, member.type = 0o755, tarfile.DIRTYPE if size is None else tarfile.REGTYPE
    member.size = size or 0
    return member.tobuf(tarfile.USTAR_FORMAT)


def mirror(folder: Path, size: int) -> Path:
    """A mirror with that one release, made when it is not there."""
    place = folder / f"release-{size}" / FOLDER
    if not (place / "MANIFEST").exists():
        place.mkdir(parents=True, exist_ok=True)
        synthetic(place / "base.txz", size)
        with (place / "base.txz").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        (place / "MANIFEST").write_text(f'base.txz\t{digest}\t1\tbase\t"Base system"\ton\n')
    return place.parents[2]


def worker(url: str, cache: str, target: str, program: str) -> None:
    """One fetch, in a process of its own; prints its seconds and peak MB."""
    from reconciler.cache import Cache
    from reconciler.releases.fetch import fetch, plan_fetch
    from reconciler.spec.document import Release

    start = time.monotonic()
    plan = plan_fetch(Release(name="15.1-RELEASE", mirror=url), "amd64", "amd64")
    fetched = fetch(plan, Cache(Path(cache)), unpacking=True)
    for part in fetched.sets:
        tar = subprocess.Popen([program, "-xpf", "-", "-C", target], stdin=subprocess.PIPE)
        assert tar.stdin is not None
        for chunk in part.chunks(expanded=True):
            tar.stdin.write(chunk)
        tar.stdin.close()
        if tar.wait():
            raise RuntimeError("tar failed")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(json.dumps([time.monotonic() - start, peak]))


def once(url: str, folder: Path, program: str) -> tuple[float, float, float]:
    """Seconds, peak MB and CPU seconds of one fetch into a fresh tree with an empty cache."""
    target, cache = Path(tempfile.mkdtemp(dir=folder)), Path(tempfile.mkdtemp(dir=folder))
    argv = [sys.executable, __file__, "--worker", url, str(cache), str(target), program]
    try:
        cpu = spent()
        said = subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True).stdout
        seconds, peak = json.loads(said)
        assert (target / "bin/freebsd-version").read_bytes() == VERSION
        return seconds, peak, spent() - cpu
    finally:
        shutil.rmtree(target)
        shutil.rmtree(cache)


def spent() -> float:
    """CPU seconds of all child processes that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def alone(file: Path, folder: Path, program: str) -> tuple[float, float]:
    """Seconds, and CPU seconds, of unpacking alone."""
    target = tempfile.mkdtemp(dir=folder)
    try:
        start, cpu = time.monotonic(), spent()
        subprocess.run([program, "-xJpf", str(file), "-C", target], check=True)
        return time.monotonic() - start, spent() - cpu
    finally:
        shutil.rmtree(target)


def serve(folder: str) -> None:
    """Serve a folder on loopback until the process is ended; prints the port."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def main() -> None:
    """Measure, print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=200, help="megabytes of base.txz")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "reconciler-bench")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
    if given.worker:
        worker(*given.worker)
        return
    given.cache.mkdir(parents=True, exist_ok=True)
    program = "bsdtar" if shutil.which("bsdtar") else "tar"
    root = mirror(given.cache, given.size * 1_000_000)
    argv = [sys.executable, __file__, "--serve", str(root)]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        runs = [
            (alone(root / FOLDER / "base.txz", given.cache, program), once(url, given.cache, program))
            for _ in range(given.runs)
        ]
    finally:
        server.kill()
        server.wait()
    report(given.size, program, runs)


def report(size: int, program: str, runs: list[tuple[tuple[float, float], tuple[float, float, float]]]) -> None:
    """The table for people and the line for programs."""
    bare, whole = min(run[0][0] for run in runs), min(run[1][0] for run in runs)
    peak = max(run[1][1] for run in runs)
    found = {
        "size_mb": size,
        "tar": program,
        "cores": os.cpu_count(),
        "alone_s": round(bare, 2),
        "fetch_s": round(whole, 2),
        "ratio": round(whole / bare, 2),
        "peak_mb": round(peak, 1),
        "alone_cpu_s": round(min(run[0][1] for run in runs), 2),
        "fetch_cpu_s": round(min(run[1][2] for run in runs), 2),
    }
    for name, value in found.items():
        print(f"{name:>10}  {value}" + (f"   to reach: {REACH[name]}" if name in REACH else ""))
    print(json.dumps({**found, "reached": all(float(str(found[name])) <= limit for name, limit in REACH.items())}))


if __name__ == "__main__":
    main()
