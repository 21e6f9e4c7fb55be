"""From a command line to a session of the engine: the host, the specs, the site."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from reconciler.cache import Cache, default_folder
from reconciler.cli.mirrors import Offer
from reconciler.guard import Consent
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.open import default_url, open_runner
from reconciler.model.command import Output
from reconciler.model.diagnostic import ReconcilerError
from reconciler.model.ports import Host, Observation, Request
from reconciler.model.value import Ref
from reconciler.packages.signature import Trust
from reconciler.reconcile import Options, Session
from reconciler.site import LocalSite, Progress
from reconciler.spec.cache import cache_folder
from reconciler.spec.load import load
from reconciler.spec.specset import SpecSet
from reconciler.today import today
from reconciler.wraps import ReadOnlyRunner

DEFAULT_SPECS = Path("specs")


def host_url(given: str) -> str:
    """The host that is meant: the one given (or in RECONCILER_HOST), else this machine's default."""
    return given or default_url()


def reading(url: str) -> Host:
    """A host that refuses every command that could change it. Raises SpecError for an unknown address."""
    url = host_url(url)
    return FreeBSDHost(ReadOnlyRunner(open_runner(url)), url)


def changing(url: str) -> Host:
    """A host that may be changed. Raises SpecError for an unknown address."""
    url = host_url(url)
    return FreeBSDHost(open_runner(url), url)


def options(
    path: Path,
    labels: dict[str, str],
    *,
    only: list[str] | None = None,
    retry: list[str] | None = None,
    consent: Consent | None = None,
    adopt_source: bool = False,
    offline: bool = False,
) -> Options:
    """What a run is asked, from the words of a command line."""
    return Options(
        path,
        labels,
        frozenset(only or ()),
        frozenset(retry or ()),
        consent or Consent(),
        adopt_source=adopt_source,
        offline=offline,
    )


def planning(
    asked: Options, url: str, *, cached: bool = True, earlier: tuple[Request, Observation] | None = None
) -> Session:
    """A session that can change nothing. Raises SpecError before it looks for a host.

    `cached` allows specs to be known from an earlier run; `earlier` is what this run has seen already.
    """
    specs = load(asked.path, cache_folder(os.environ) if cached else None)
    return Session(reading(url), asked, specs, earlier)


def pool_session(host: Host, specs: Path | None, labels: dict[str, str]) -> Session:
    """A session for commands that are about the pool: without any specs, those that a running agent applies, else none.

    Raises SpecError when specs are named and invalid.
    """
    if specs is None and not DEFAULT_SPECS.exists():
        if (held := agent_specs(host.url)) is not None:
            path, source, own = held
            return Session(host, Options(path, own | labels, source=source), load(path, cache_folder(os.environ)))
        return Session(host, Options(DEFAULT_SPECS, labels), no_specs())
    return Session(host, Options(specs or DEFAULT_SPECS, labels))


def run_folder() -> Path:
    """Where a running agent says what it does: RECONCILER_AGENT_RUN, else as its file says, else the usual folder."""
    usual = Path("/var/run/reconciler")
    if named := os.environ.get("RECONCILER_AGENT_RUN", ""):
        return Path(named)
    file = Path(os.environ.get("RECONCILER_AGENT_CONFIG", "") or "/usr/local/etc/reconciler/agent.yaml")
    if not file.exists():
        return usual
    from reconciler.agent.settings import load_config

    try:
        return Path(load_config(file, os.environ).run)
    except ReconcilerError:  # `reconcile agent --check` says what is wrong with it
        return usual


def agent_specs(url: str) -> tuple[Path, str, dict[str, str]] | None:
    """The specs that an agent of this host applies now: their folder, what the pool calls them, the agent's labels."""
    if not ((folder := run_folder()) / "agent.json").exists():
        return None
    from reconciler.agent.published import read_status

    status = read_status(folder)
    if status is None or status.get("host") != url or not status.get("specs"):
        return None
    return Path(status["specs"]), str(status.get("origin", "")), dict(status.get("labels", {}))


def no_specs() -> SpecSet:
    """Specs that say nothing. They are no folder, so nothing is ever pruned for them."""
    here = Path.cwd()
    return SpecSet(here, here, "", (), {}, {}, {}, {}, is_folder=False)


def site(
    session: Session,
    *,
    offer: Offer | None = None,
    stop: threading.Event | None = None,
    outputs: Callable[[Ref], Output] = lambda _ref: lambda _data: None,
    progresses: Callable[[Ref], Progress] = lambda _ref: lambda _done, _total: None,
) -> LocalSite:
    """Where the session's actions happen."""
    request = session.request
    offer, policy = offer or Offer(), session.document.policy.packages
    return LocalSite(
        session.host,
        session.place,
        Cache(default_folder(os.environ)),
        session.facts,
        today().isoformat(),
        offer.mirror or None,
        offer.updates,
        offer.patience,
        request.parameters,
        request.extra_pools,
        outputs,
        progresses,
        stop or threading.Event(),
        Trust(policy.trusted_keys, policy.require_signature),
        policy.max_size,
    )
