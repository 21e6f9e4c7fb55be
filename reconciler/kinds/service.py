"""rc.d/reconciler_jails on the host: starts the jails at boot and stops them at shutdown, without the tool.

Only files of our own are written: the script, and rc.conf.d/reconciler_jails, which rc.subr reads for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import ClassVar

from reconciler.kind import Desired, Kind, Place, Seen, digest
from reconciler.model.action import Action, Site
from reconciler.model.value import Ref, Resource

FILES = {
    "/usr/local/etc/rc.d/reconciler_jails": 0o555,
    "/etc/rc.conf.d/reconciler_jails": 0o644,
}


@dataclass(frozen=True, slots=True)
class Service(Resource):
    """One file of the service by its absolute path; `sha` of its content."""

    kind: ClassVar[str] = "service"
    sha: str = ""
    text: str = field(default="", compare=False)

    def needs(self) -> frozenset[Ref]:
        """The folder that it starts from."""
        return frozenset({Ref("dataset", "jails")})

    def facts(self) -> Mapping[str, str]:
        """What a plan shows."""
        return {"content": self.sha[:12]}


@dataclass(frozen=True, slots=True)
class InstallService(Action):
    """Write the file."""

    def title(self) -> str:
        """A verb and its object."""
        return f"write {self.subject.name}"

    def apply(self, site: Site) -> None:
        """By rename."""
        service = self.after
        assert isinstance(service, Service)
        site.host.files.mkdir(service.name.rpartition("/")[0], 0o755)
        site.host.files.write(service.name, service.text.encode(), FILES[service.name])


def script() -> str:
    """The rc.d script as shipped."""
    shipped = resources.files("reconciler").joinpath("data/reconciler_jails")
    if shipped.is_file():
        return shipped.read_text()
    return (Path(__file__).parents[2] / "rc.d/reconciler_jails").read_text()


def want(desired: Desired) -> Iterable[Service]:
    """Both files."""
    rc_conf = f'reconciler_jails_enable="YES"\nreconciler_jails_dir="{desired.place.mountpoint}"\n'
    for path, text in zip(FILES, (script(), rc_conf), strict=True):
        yield Service(path, digest(text), text)


def have(seen: Seen) -> Iterable[Service]:
    """What lies there."""
    for path in FILES:
        if path in seen.observed.files:
            yield Service(path, digest(seen.observed.files[path]))


def steps(before: Service | None, after: Service | None) -> Iterable[Action]:
    """Write what is missing or differs."""
    if after is not None:
        yield InstallService(before, after)


def narrow(resource: Service, _place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its folder."""
    return ((), (resource.name.rpartition("/")[0],))


KIND = Kind(Service, want, have, steps, frozenset({"files"}), narrow)
