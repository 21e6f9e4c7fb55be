"""pkg(8) for base systems made of packages: argument vectors, and the facet that runs them.

Outside it works with databases and a cache below our work folder, so that the host's own packages are not
touched. `-R` names our repositories; `-o REPOS_DIR` would be looked for below `--rootdir`. The host's own pkg.conf
counts outside (its proxies), and ours inside a jail, whose own may say anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.hosts.freebsd.failure import there
from reconciler.hosts.freebsd.pkg import CATALOGUE_TIMEOUT, ENVIRONMENT, INSTALL_TIMEOUT
from reconciler.model.command import Command, Completed, Output, Runner
from reconciler.model.diagnostic import HostError
from reconciler.model.ports import Offer
from reconciler.releases import pkgbase
from reconciler.releases.pkgbase import INSIDE, NAME


def outside(work: str, abi: str) -> tuple[str, ...]:
    """The pkg that asks the repository."""
    return (
        "pkg", "-R", f"{work}/repos", "-o", f"ABI={abi}", "-o", "IGNORE_OSVERSION=yes",
        "-o", f"PKG_DBDIR={work}/db", "-o", f"PKG_CACHEDIR={work}/cache",
    )  # fmt: skip


def update(work: str, abi: str) -> tuple[str, ...]:
    """Fetch the catalogue, whatever there is of an earlier one, and verify its signature."""
    return (*outside(work, abi), "update", "-f", "-r", NAME)


def catalogue(work: str, abi: str, form: str) -> tuple[str, ...]:
    """Print a line for each package of the catalogue."""
    return (*outside(work, abi), "rquery", "-U", "-r", NAME, form)


def fetch(work: str, abi: str, names: Sequence[str]) -> tuple[str, ...]:
    """Fetch packages into a folder, and verify them by the catalogue."""
    return (*outside(work, abi), "fetch", "-U", "-y", "-r", NAME, "-o", f"{work}/repo", "--", *names)


def index(work: str) -> tuple[str, ...]:
    """Make that folder a repository."""
    return ("pkg", "repo", f"{work}/repo")


def installed(jail: str) -> tuple[str, ...]:
    """Print what is installed in a jail, by its database and nothing else of it: no settings, no plugins."""
    return (
        "pkg", "-j", jail, "-C", "/dev/null", "-R", "/var/empty", "-o", "PKG_ENABLE_PLUGINS=no",
        "query", "-a", "%n\t%v",
    )  # fmt: skip


def upgrade(jail: str, abi: str) -> tuple[str, ...]:
    """Upgrade what is installed in a jail from the folder that is mounted into it."""
    return (
        "pkg", "-j", jail, "-C", f"{INSIDE}/inside.conf", "-R", f"{INSIDE}/inside", "-o", f"ABI={abi}",
        "-o", "IGNORE_OSVERSION=yes", "upgrade", "-y", "-r", NAME,
    )  # fmt: skip


def install(tree: str, work: str, abi: str, names: Sequence[str]) -> tuple[str, ...]:
    """Install packages from the folder into a tree of ours in which nothing is yet."""
    return (
        "pkg", "--rootdir", tree, "-R", f"{work}/local", "-o", f"ABI={abi}", "-o", "IGNORE_OSVERSION=yes",
        "install", "-y", "-r", NAME, "--", *names,
    )  # fmt: skip


class HostBase:
    """The BasePackages facet. Every method raises HostError when a command cannot run."""

    def __init__(self, runner: Runner) -> None:
        """Work through `runner`."""
        self._runner = runner

    def update(self, work: str, abi: str, *, output: Output | None = None) -> Completed:
        """Have the repository's catalogue, verified; how that ended."""
        return self._run(update(work, abi), CATALOGUE_TIMEOUT, output)

    def offered(self, work: str, abi: str) -> Mapping[str, Offer]:
        """What the catalogue has, by name. Raises HostError (`pkgbase-fetch-failed`)."""
        needs: dict[str, set[str]] = {}
        for name, need in self._rows(catalogue(work, abi, "%n\t%dn")):
            needs.setdefault(name, set()).add(need)
        rows = self._rows(catalogue(work, abi, "%n\t%v"))
        return {name: Offer(name, version, NAME, "", tuple(sorted(needs.get(name, ())))) for name, version in rows}

    def installed(self, jail: str) -> Mapping[str, str]:
        """Versions by name of what is installed in a jail. Raises HostError (`pkgbase-fetch-failed`)."""
        return dict(self._rows(installed(jail)))

    def fetch(self, work: str, abi: str, names: Sequence[str], *, output: Output | None = None) -> Completed:
        """Have these packages in a repository in the work folder; how that ended, or what failed first."""
        done = self._run(fetch(work, abi, names), INSTALL_TIMEOUT, output)
        return done if done.status else self._run(index(work), CATALOGUE_TIMEOUT, output)

    def upgrade(self, jail: str, abi: str, *, output: Output | None = None) -> Completed:
        """Upgrade a jail's base system from that repository; how that ended."""
        return self._run(upgrade(jail, abi), INSTALL_TIMEOUT, output)

    def install(
        self, tree: str, work: str, abi: str, names: Sequence[str], *, output: Output | None = None
    ) -> Completed:
        """Install from that repository into an empty tree; how that ended."""
        return self._run(install(tree, work, abi, names), INSTALL_TIMEOUT, output)

    def _run(self, argv: tuple[str, ...], timeout: float, output: Output | None) -> Completed:
        return there(self._runner.run(Command(argv, timeout=timeout, env=ENVIRONMENT, output=output)))

    def _rows(self, argv: tuple[str, ...]) -> list[tuple[str, str]]:
        done = self._run(argv, CATALOGUE_TIMEOUT, None)
        pkgbase.fetched(done)
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        rows = [(words[0], words[1]) for words in (line.split("\t") for line in lines) if len(words) == 2 and words[1]]
        wrong = next((name for row in rows for name in row[:1] if not pkgbase.sound(name)), None)
        if wrong is not None or len({name for name, _ in rows}) > pkgbase.MAX_PACKAGES:
            raise _strange(done, wrong)
        return rows


def _strange(done: Completed, name: str | None) -> HostError:
    what = f"it names a package {name[:80]!a}" if name is not None else f"more than {pkgbase.MAX_PACKAGES} packages"
    hint = "Use FreeBSD's own repository, or look at this one by hand."
    return pkgbase.failed("pkgbase-fetch-failed", "Base packages could not be fetched", done, f"{what}. {hint}")
