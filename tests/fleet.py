"""A host of the tests' own: a sandbox, a mirror on disk, and the real flow over them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

from reconciler.cache import Cache
from reconciler.guard import Consent
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.sandbox import base_mirror, processes
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.runner import SandboxRunner
from reconciler.hosts.sandbox.signing import SigningKey, make_key
from reconciler.hosts.sandbox.update_mirror import Offer, publish
from reconciler.model.command import Runner
from reconciler.model.outcome import Report, Result
from reconciler.reconcile import Decided, Options, Session
from reconciler.releases.tag import Updates
from reconciler.site import LocalSite

FOLDERS = (
    "bin boot boot/kernel dev etc etc/ssh lib libexec mnt proc root sbin tmp usr usr/bin usr/local var var/db "
    "var/db/freebsd-update var/log var/run"
)
PASSWD = "root:*:0:0:Charlie:/root:/bin/sh\nwww:*:80:80:web:/nonexistent:/usr/sbin/nologin\n"
GROUP = "wheel:*:0:root\nwww:*:80:\n"


def files_of(release: str) -> dict[str, tuple[int, str]]:
    """The files of a small base: rc that does nothing, and what freebsd-version reads."""
    return {
        "bin/freebsd-version": (0o755, f'#!/bin/sh\nUSERLAND_VERSION="{release}"\necho "$USERLAND_VERSION"\n'),
        "etc/rc": (0o644, "exit 0\n"),
        "etc/rc.shutdown": (0o755, "#!/bin/sh\nexit 0\n"),
        "etc/passwd": (0o644, PASSWD),
        "etc/group": (0o644, GROUP),
        "etc/ssh/ssh_host_rsa_key": (0o600, "shared by nobody\n"),
    }


def base(release: str) -> bytes:
    """A small base.txz in FreeBSD's layout."""
    files = files_of(release)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz", preset=0) as archive:
        for name in [".", *FOLDERS.split()]:
            member = tarfile.TarInfo(name if name == "." else f"./{name}")
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        for name, (mode, text) in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.mode, member.size = mode, len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def mirror(folder: Path, *releases: str) -> str:
    """A mirror on disk; answers its file: URL."""
    for release in releases:
        data = base(release)
        place = folder / "amd64/amd64" / release.partition("-p")[0]
        place.mkdir(parents=True)
        (place / "base.txz").write_bytes(data)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            count = len(archive.getmembers())
        line = f'base.txz\t{hashlib.sha256(data).hexdigest()}\t{count}\tbase\t"Base system"\ton\n'
        (place / "MANIFEST").write_text(line)
    return f"file:{folder}"


KEY = make_key("fleet", 2048)
REPOSITORY = "base/${ABI}/base_release_${VERSION_MINOR}"
UPDATES = Updates("http://update.test", (KEY.key_print,), f"http://update.test/{REPOSITORY}", (KEY.key_print,))
EOL = 1806451200  # 2027-03-31


class Fleet:
    """One sandbox, and runs on it. `runner` may be wrapped to fail."""

    def __init__(self, folder: Path, mirror_url: str) -> None:
        """A sandbox below `folder`; specs are written to `folder`/specs."""
        self.folder = folder
        self.mirror = mirror_url
        self.specs = folder / "specs"
        self.specs.mkdir(parents=True, exist_ok=True)
        self.machine = Machine(folder / "host")
        self.runner: Runner = SandboxRunner(self.machine)

    def write(self, text: str, name: str = "fleet.yaml") -> None:
        """Replace a spec file."""
        (self.specs / name).write_text(text)

    @property
    def server(self) -> Path:
        """The folder of the update server that this host reaches."""
        return self.machine.directory / "servers" / "update.test"

    def publish(self, release: str, level: int, eol: int = EOL) -> None:
        """Patches that lead from a release to a level: the version changes, a file comes and one goes."""
        old = files_of(release)
        new = {**old, **files_of(f"{release}-p{level}"), "lib/libpatched.so": (0o444, f"of p{level}\n")}
        new["etc/rc"] = (0o644, f"# p{level}\nexit 0\n")
        del new["etc/ssh/ssh_host_rsa_key"]
        publish(self.server, Offer(release, level, old, new, eol), KEY)

    @property
    def repository(self) -> Path:
        """The folder of the base packages of 15.1 that this host reaches."""
        return self.server / "base" / "FreeBSD:15:amd64" / "base_release_1"

    def publish_base(self, release: str, level: int, key: SigningKey | None = KEY) -> None:
        """Packages of a release at a level: one changes with each, a file comes, and one that needs it is new."""
        tree = {**files_of(f"{release}-p{level}" if level else release), "usr/bin/true": (0o555, "#!/bin/sh\n")}
        if level:
            tree |= {"etc/rc": (0o644, f"# p{level}\nexit 0\n"), "lib/libpatched.so": (0o444, f"of p{level}\n")}
        packages = base_mirror.divided(release, level, "FreeBSD:15:amd64", tree, FOLDERS.split())
        if level:
            version = packages[0].version
            packages[0] = replace(packages[0], needs=("FreeBSD-split",))
            packages.append(base_mirror.Package("FreeBSD-split", version, packages[0].abi, {"lib/split": (0o444, "x")}))
        base_mirror.publish(self.repository, packages, key)

    def session(self, runner: Runner | None = None, **options: object) -> Session:
        """A run's beginning."""
        host = FreeBSDHost(runner or self.runner, f"sandbox:{self.folder}")
        return Session(host, replace(Options(self.specs), **options))

    def decide(self, **options: object) -> Decided:
        """Only the plan."""
        return self.session(**options).decide()

    def titles(self, **options: object) -> list[str]:
        """What a plan would do, in words."""
        return [f"{s.scope}: {s.action.title()}" for s in self.decide(**options).plan.steps]

    def apply(self, runner: Runner | None = None, jobs: int = 1, **options: object) -> Report:
        """Plan and apply, as the command does; refusals of the guard fail loudly."""
        session = self.session(runner, **options)
        decided = session.decide()
        site = LocalSite(
            session.host,
            session.place,
            Cache(self.folder / "cache"),
            session.facts,
            "2026-11-22",
            mirror=self.mirror,
            updates=UPDATES,
            parameters=session.request.parameters,
            extra_pools=session.request.extra_pools,
        )
        decided = session.looked_into(decided, site)
        if decided.refusals:
            raise AssertionError(decided.refusals)
        return session.apply(decided, site, jobs, quiet, threading.Event())

    def close(self) -> None:
        """End every jail of the sandbox, so that no process outlives the test."""
        processes.kill_everything(self.machine)
        self.machine.reboot()


def quiet(_event: str, _step: object, _result: Result | None) -> None:
    """Say nothing."""


def problems(report: Report) -> list[str]:
    """What went wrong, in words."""
    return [f"{r.step.action.ref} {r.outcome}: {[d.detail for d in r.diagnostics]}" for r in report.failed]


CONSENT = Consent(prune=True)
