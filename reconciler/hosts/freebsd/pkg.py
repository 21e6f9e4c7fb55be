"""pkg(8): the host's own, working inside a running jail, or asking the repositories' catalogues.

pkg-rquery(8) tells name, version, repository and dependencies. The checksum of an archive stands only in the
manifest that `pkg search -R` prints; where it is not found there, nothing is said of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.hosts.freebsd.failure import there
from reconciler.model.command import Command, Completed, Output, Runner
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import Offer
from reconciler.spec.lock import is_package_pattern

INSTALL_TIMEOUT = 6 * 3600.0
"""Seconds that installing packages may take."""
CATALOGUE_TIMEOUT = 900.0
"""Seconds that fetching or asking a catalogue may take."""
CATALOGUES = "/var/cache/reconciler/pkg"
"""Where the host keeps catalogues of other ABIs than its own needs, one folder for each."""
MAX_PACKAGES = 20_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
ENVIRONMENT = (("ASSUME_ALWAYS_YES", "yes"),)
"""The base system's /usr/sbin/pkg is pkg(7), which fetches pkg itself where it is not there yet. Without a terminal it
does so only when told yes; `-y` counts when it follows the subcommand as the first word, so not after `-j JAIL`."""


def install(jail: str, names: Sequence[str]) -> tuple[str, ...]:
    """Install packages into a jail, asking nothing; names are operands, whatever they begin with."""
    return ("pkg", "-j", jail, "install", "-y", "--", *names)


def catalogue(jail: str, abi: str, *, own: bool = False) -> tuple[str, ...]:
    """The pkg that asks the catalogues of a jail, or with those of the host's repositories for an ABI, kept apart.

    The host's `own` ABI is not given: pkg would take its version for .0 then, and look for the kernel modules of
    another release, which need not be there any more (VERSION_MINOR in the URL of FreeBSD-ports-kmods, 15.0 and later).
    """
    if jail:
        return ("pkg", "-j", jail)
    chosen = () if own else ("-o", f"ABI={abi}")
    return ("pkg", *chosen, "-o", "IGNORE_OSVERSION=yes", "-o", f"PKG_DBDIR={CATALOGUES}/{abi}")


class HostPackages:
    """The Packages facet."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def install(self, jail: str, names: Sequence[str], *, output: Output | None = None) -> Completed:
        """Install packages and return how pkg ended, whatever its status. HostError (`command-missing`) without pkg."""
        asked = Command(install(jail, names), timeout=INSTALL_TIMEOUT, env=ENVIRONMENT, output=output)
        return there(self._runner.run(asked))

    def installed(self, jail: str) -> Mapping[str, str]:
        """Versions by name of what is installed in a jail. Raises HostError, code `pkg-catalogue-failed`."""
        done = self._ask(("pkg", "-j", jail, "query", "-a", "%n\t%v"))
        return {row[0]: row[1] for row in _rows(done, 2)}

    def offered(self, names: Sequence[str], *, jail: str = "", abi: str = "") -> Mapping[str, Offer]:
        """What the catalogues have of packages and of all that they need, by name; what they have not is left out.

        Raises HostError, code `pkg-catalogue-failed`.
        """
        pkg = self._fresh(jail, abi)
        found: dict[str, Offer] = {}
        asked: set[str] = set()
        waiting = set(names)
        while waiting and len(asked) < MAX_PACKAGES:
            asked |= waiting
            for offer in self._offers(pkg, sorted(waiting)):
                found[offer.name] = offer
            waiting = {need for offer in found.values() for need in offer.needs} - asked
        return found

    def meant(self, words: Sequence[str], *, abi: str) -> Mapping[str, tuple[str, ...]]:
        """The names of the packages that `install` would take each word for; without those that stand for none.

        rquery takes a word as install does: for a name, NAME-VERSION or an origin, unless told otherwise, as here for
        a shell's pattern, which install itself takes for a name.
        Raises HostError, code `pkg-catalogue-failed`.
        """
        if not words:
            return {}
        pkg = self._fresh("", abi)
        rows = {word: _rows(self._rquery(pkg, "%n", [word], glob=is_package_pattern(word)), 1) for word in words}
        found = {word: tuple(sorted({row[0] for row in each})) for word, each in rows.items()}
        return {word: names for word, names in found.items() if names}

    def fetch(
        self, versions: Mapping[str, str], folder: str, abi: str, repository: str, *, output: Output | None = None
    ) -> Mapping[str, str]:
        """Have archives of packages by name below a folder, where the repository has the versions that are given.

        pkg puts an archive where its catalogue says, so that this is looked at first. Returns the versions that it
        has. Raises HostError, code `pkg-catalogue-failed`.
        """
        pkg, chosen = self._fresh("", abi), ("-r", repository) if repository else ()
        words = ("rquery", "-U", *chosen, "%n\t%v", "--", *sorted(versions))
        there = {row[0]: row[1] for row in _rows(self._ask((*pkg, *words), allowed=(0, 1)), 2)}
        same = [name for name, version in sorted(versions.items()) if there.get(name) == version]
        for name in same:
            _inside(self._manifest(pkg, name, versions[name], chosen))
        if same:
            argv = (*pkg, "fetch", "-U", "-q", "-y", *chosen, "-o", folder, "--", *same)
            self._ask(argv, timeout=INSTALL_TIMEOUT, output=output)
        return there

    def _fresh(self, jail: str, abi: str) -> tuple[str, ...]:
        own = not jail and self._own(abi)
        pkg = catalogue(jail, abi, own=own)
        if not jail:
            self._ask(("mkdir", "-p", f"{CATALOGUES}/{abi}"))
        try:
            self._ask((*pkg, "update", "-q"))
        except HostError:
            # Of another ABI one of several repositories may not be there; the one that has pkg itself has the ports.
            if jail or own or not _rows(self._rquery(pkg, "%R", ["pkg"]), 1):
                raise
        return pkg

    def _own(self, abi: str) -> bool:
        """Whether it is the host's own ABI."""
        done = self._runner.run(Command(("pkg", "config", "abi"), timeout=CATALOGUE_TIMEOUT, env=ENVIRONMENT))
        return done.status == 0 and done.stdout.decode("utf-8", "replace").strip() == abi

    def _offers(self, pkg: tuple[str, ...], names: Sequence[str]) -> Iterable[Offer]:
        """One for each name that is there; of several repositories' the first, which is the one pkg prefers."""
        needs: dict[str, set[str]] = {}
        for name, need in _rows(self._rquery(pkg, "%n\t%dn", names), 2):
            needs.setdefault(name, set()).add(need)
        first: dict[str, tuple[str, str]] = {}
        for name, version, repository in _rows(self._rquery(pkg, "%n\t%v\t%R", names), 3):
            first.setdefault(name, (version, repository))
        for name, (version, repository) in first.items():
            checksum = self._checksum(pkg, name, version)
            yield Offer(name, version, repository, checksum, tuple(sorted(needs.get(name, ()))))

    def _rquery(self, pkg: tuple[str, ...], form: str, names: Sequence[str], *, glob: bool = False) -> Completed:
        # It ends with 1 as soon as one of the names has no match; what matched is printed all the same.
        return self._ask((*pkg, "rquery", "-U", *(["-g"] if glob else []), form, "--", *names), allowed=(0, 1))

    def _checksum(self, pkg: tuple[str, ...], name: str, version: str) -> str:
        found = self._manifest(pkg, name, version).get("sum")
        return found if isinstance(found, str) and _SHA256.fullmatch(found) else ""

    def _manifest(self, pkg: tuple[str, ...], name: str, version: str, chosen: tuple[str, ...] = ()) -> dict[str, Any]:
        """What the catalogue holds of a package; nothing where pkg does not tell."""
        words = ("search", "-U", *chosen, "-R", "--raw-format", "json-compact", "-e", "-S", "name", "--", name)
        done = self._runner.run(Command((*pkg, *words), timeout=CATALOGUE_TIMEOUT, env=ENVIRONMENT))
        for manifest in _manifests(done.stdout.decode("utf-8", "replace")):
            if (manifest.get("name"), manifest.get("version")) == (name, version):
                return manifest
        return {}

    def _ask(
        self,
        argv: tuple[str, ...],
        allowed: tuple[int, ...] = (0,),
        timeout: float = CATALOGUE_TIMEOUT,
        output: Output | None = None,
    ) -> Completed:
        done = there(self._runner.run(Command(argv, timeout=timeout, env=ENVIRONMENT, output=output)))
        if done.status not in allowed:
            said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
            hint = "Run it by hand on the host; check its repositories: pkg -vv"
            detail = f"{' '.join(argv)} ended with status {done.status}. {said}".rstrip()
            found = Diagnostic("pkg-catalogue-failed", "pkg could not say what there is", detail, hint)
            raise HostError(found, argv=argv, status=done.status, stderr=said)
        return done


def _inside(manifest: Mapping[str, Any]) -> None:
    """Raises HostError for an archive that would be put elsewhere than below the folder that it is fetched to."""
    for path in (str(manifest.get(key, "")) for key in ("path", "repopath")):
        if path.startswith("/") or ".." in path.split("/"):
            detail = f"The catalogue says that the archive of {manifest.get('name')} lies at {path!a}: not fetched."
            hint = "Ask who keeps the repository; check its signature: pkg -vv"
            raise HostError(Diagnostic("pkg-catalogue-failed", "pkg could not say what there is", detail, hint))


def _rows(done: Completed, count: int) -> Sequence[tuple[str, ...]]:
    """Lines of so many words between tabs."""
    lines = (tuple(line.split("\t")) for line in done.stdout.decode("utf-8", "replace").splitlines())
    return [words for words in lines if len(words) == count and all(words)]


def _manifests(text: str) -> Iterable[dict[str, Any]]:
    """The JSON objects in a text, one after the other."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict):
            yield value
