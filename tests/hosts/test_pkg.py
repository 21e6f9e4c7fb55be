"""What the host's pkg(8) is told, where the base system's pkg(7) may stand in its place.

Facts: usr.sbin/pkg/pkg.c of FreeBSD 15 (main: options end at the first word that is none, `-y` is looked for right
after the subcommand, and without a terminal only ASSUME_ALWAYS_YES says yes), libpkg/pkg_config.c of pkg 2
(config_init_abi: an ABI without OSVERSION is taken for .0), /etc/pkg/FreeBSD.conf of 15.1 (kmods_quarterly_N, N being
VERSION_MINOR).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.hosts.freebsd.pkg import HostPackages
from reconciler.hosts.freebsd.pkgbase import HostBase
from reconciler.hosts.freebsd.run import LocalRunner
from reconciler.model.diagnostic import HostError

HOSTS = "FreeBSD:15:amd64"
PKG = f"""
[ "$ASSUME_ALWAYS_YES" = yes ] || {{ echo 'Please set ASSUME_ALWAYS_YES=yes environment variable' >&2; exit 1; }}
case "$*" in
"config abi") echo {HOSTS} ;;
*"rquery -U %R -- pkg") [ ! -e "${{0%/*}}/ports" ] || echo FreeBSD-ports ;;
*rquery*) exit 1 ;;
*update*) [ ! -e "${{0%/*}}/kmods-missing" ] || {{ echo 'pkg: No SRV record found' >&2; exit 1; }} ;;
esac"""


def host(folder: Path) -> LocalRunner:
    """A host with such a pkg, which notes what it is asked."""
    for name, text in {"pkg": PKG, "mkdir": ""}.items():
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{folder}/asked\n{text}\n')
        (folder / name).chmod(0o755)
    return LocalRunner(path=[str(folder)])


def test_pkg_is_fetched_first_where_the_host_has_none(tmp_path: Path) -> None:
    packages = HostPackages(host(tmp_path))
    assert packages.install("rcb-1", ["nginx"]).status == 0
    assert packages.installed("rcb-1") == {}
    assert packages.offered(["nginx"], jail="rcb-1") == {}
    assert packages.meant(["nginx"], abi=HOSTS) == {}
    base = HostBase(host(tmp_path))
    assert base.update("/work", HOSTS).status == base.upgrade("rcb-1", HOSTS).status == 0


@pytest.mark.parametrize(("abi", "told"), [(HOSTS, False), ("FreeBSD:14:amd64", True), ("FreeBSD:15:aarch64", True)])
def test_only_another_abi_than_the_hosts_is_given(tmp_path: Path, abi: str, told: bool) -> None:
    HostPackages(host(tmp_path)).offered(["nginx"], abi=abi)
    asked = (tmp_path / "asked").read_text().splitlines()
    catalogues = [line for line in asked if line.startswith("pkg ") and line != "pkg config abi"]
    assert len(catalogues) == 3
    for line in catalogues:
        assert (f"-o ABI={abi}" in line) == told and f"-o PKG_DBDIR=/var/cache/reconciler/pkg/{abi}" in line


@pytest.mark.parametrize(
    ("abi", "there", "works"),
    [("FreeBSD:14:amd64", True, True), ("FreeBSD:14:amd64", False, False), (HOSTS, True, False)],
)
def test_a_repository_that_another_abi_lacks_is_passed_over(tmp_path: Path, abi: str, there: bool, works: bool) -> None:
    # The address of FreeBSD-ports-kmods has VERSION_MINOR in it, which pkg guesses where only the ABI is given.
    (tmp_path / "kmods-missing").touch()
    if there:
        (tmp_path / "ports").touch()
    packages = HostPackages(host(tmp_path))
    if works:
        assert packages.offered(["nginx"], abi=abi) == {}
    else:
        with pytest.raises(HostError, match="No SRV record"):
            packages.offered(["nginx"], abi=abi)
