"""What the sandbox's pkg(8) works on: its repository, archives, and what is installed in a root.

What is installed is recorded in the root, under the name of the real one's record, one JSON object in a line.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.hosts.sandbox import base_pkg, mirror, processes
from reconciler.hosts.sandbox.answer import Refusal
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.task import Task
from reconciler.model.command import Completed

RECORD = f"/{base_pkg.RECORD}"
REPOSITORY = "FreeBSD"
Package = dict[str, Any]


@dataclass(slots=True)
class Root:
    """Where packages go: the jail of a number (0 is the host), and what it says it is."""

    machine: Machine
    jid: int

    def run(self, *argv: str, stdin: bytes = b"") -> Completed:
        """Run one of the root's own programs inside it."""
        return processes.run(self.machine, Task(argv, self.jid, stdin=stdin)).completed

    def installed(self) -> dict[str, Package]:
        """What is installed, by name."""
        done = self.run("/bin/sh", "-c", f"cat {RECORD} 2>/dev/null")
        found = [json.loads(line) for line in done.stdout.decode().splitlines() if line.strip()]
        return {str(package["name"]): package for package in found}

    def record(self, packages: dict[str, Package]) -> None:
        """Write the record whole, by rename."""
        text = "".join(json.dumps(packages[name]) + "\n" for name in sorted(packages))
        script = f"mkdir -p /var/db/pkg && cat > {RECORD}.new && mv {RECORD}.new {RECORD}"
        self.run("/bin/sh", "-c", script, stdin=text.encode())

    def unpack(self, package: Package, files: bytes, have: dict[str, Package], *, automatic: bool) -> None:
        """Unpack an archive that was opened, run its script and record it beside what is there. Raises Refusal."""
        done = self.run("/usr/bin/tar", "-x", "-p", "-f", "-", "-C", "/", "--no-same-owner", stdin=files)
        if done.status:
            raise Refusal(f"{package['name']}: {done.stderr.decode(errors='replace').strip()}", 70)
        if package["script"]:
            self.run("/bin/sh", "-c", package["script"])
        have[package["name"]] = {**package, "automatic": automatic}
        self.record(have)


def repository(machine: Machine, name: str = "") -> tuple[Path, dict[str, Package]]:
    """The folder of the sandbox's repository, and its catalogue by name. Raises Refusal where it cannot be had."""
    if name not in ("", REPOSITORY):
        raise Refusal(f"No repositories are enabled.\npkg: Repository {name} cannot be opened.")
    folder = mirror.ensure_mirror(machine.directory) / "pkg" / mirror.ABI["15"] / "latest"
    try:
        lines = (folder / "packagesite.jsonl").read_text().splitlines()
    except FileNotFoundError:
        raise Refusal(
            f"Repository {REPOSITORY} has a wrong packagesite, need to re-create database\n"
            f"pkg: packagesite URL error for {REPOSITORY}: Not Found\nUnable to update repository {REPOSITORY}"
        ) from None
    return folder, {p["name"]: p for p in map(json.loads, lines)}


def words(package: Package) -> tuple[str, str, str]:
    """What pkg takes for a package, exactly: its name, that with its version, its origin."""
    return package["name"], f"{package['name']}-{package['version']}", f"local/{package['name']}"


def archive(folder: Path, package: Package) -> bytes:
    """An archive of the repository, held against its catalogue. Raises Refusal."""
    try:
        data: bytes = (folder / package["path"]).read_bytes()
    except FileNotFoundError:
        raise Refusal(f"{folder / package['path']}: Not Found") from None
    if hashlib.sha256(data).hexdigest() != package["sum"]:
        raise Refusal(f"{package['name']}-{package['version']} failed checksum from repository")
    return data


def opened(archive: bytes) -> tuple[Package, bytes]:
    """What an archive says of itself, and its files as a tar stream. Raises Refusal for what is no package."""
    files = io.BytesIO()
    try:
        with tarfile.open(fileobj=io.BytesIO(lzma.decompress(archive))) as given:
            text = given.extractfile("+MANIFEST")
            said = json.loads(text.read()) if text else {}
            with tarfile.open(fileobj=files, mode="w", format=tarfile.PAX_FORMAT) as made:
                for member in given:
                    if not member.name.startswith("+"):
                        made.addfile(member, given.extractfile(member) if member.isreg() else None)
    except (lzma.LZMAError, tarfile.TarError, KeyError, ValueError, EOFError):
        raise Refusal("archive_read_open_filename(-): Unrecognized archive format") from None
    package = {
        "name": said["name"], "version": said["version"], "comment": said["comment"], "deps": sorted(said["deps"]),
        "sum": hashlib.sha256(archive).hexdigest(), "files": sorted(said["files"]),
        "script": said["scripts"].get("post-install", ""),
    }  # fmt: skip
    return package, files.getvalue()
