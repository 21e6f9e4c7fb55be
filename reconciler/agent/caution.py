"""What an operator should know of a configuration that can be used: nobody may learn of it only after an attack."""

from __future__ import annotations

import os
from collections.abc import Iterable
from urllib.parse import urlsplit

from reconciler.agent.config import AgentConfig, SourceConfig
from reconciler.agent.remote import plain_url
from reconciler.model.diagnostic import Diagnostic, ReconcilerError, Refused
from reconciler.url import is_loopback

_OPEN = frozenset({"git", "http"})
_SUMMARY = "A source is not protected on its way"
_ANOTHER = "Use https://, and have the forge forget this token."
_FIXED = ("host", "pool", "run", "state")


def cautions(config: AgentConfig) -> tuple[Diagnostic, ...]:
    """Warnings, in the order of the configuration."""
    return (*_sources(config), *_page(config))


def absent(config: AgentConfig) -> tuple[Diagnostic, ...]:
    """Files and folders that the configuration names and that cannot be read now; they may still come."""
    named = [("trust.allowed_signers", config.trust.allowed_signers), ("trust.gpg_home", config.trust.gpg_home)]
    for number, source in enumerate(config.sources):
        files = ("path", "identity", "known_hosts", "token_file", "ca_file")
        named += [(f"sources.{number}.{name}", getattr(source, name)) for name in files]
    named += [("web.token_file", config.web.token_file), ("webhook.secret_file", config.webhook.secret_file)]
    named += [(f"notify.{number}.secret_file", one.secret_file) for number, one in enumerate(config.notify)]
    return tuple(_absent(name, path) for name, path in named if path is not None and not os.access(path, os.R_OK))


def _absent(name: str, path: str) -> Diagnostic:
    detail = f"{name}: {path} is missing, or may not be read by whoever runs this."
    hint = "What needs it does not work until it is there; nothing has to be restarted then."
    summary = "A file that the configuration names is not there"
    return Diagnostic("config-file-missing", summary, detail, hint, severity="warning")


def kept(error: ReconcilerError) -> tuple[Diagnostic, ...]:
    """What is said when another configuration was to be put in force and could not."""
    detail = "What is wrong with the new one stands below; the agent goes on with the one that it had."
    hint = "service reconciler configtest"
    return (Diagnostic("config-kept", "The configuration was not taken", detail, hint), *error.diagnostics)


def settled(before: AgentConfig, after: AgentConfig) -> AgentConfig:
    """`after`, if it may follow without a restart. Raises Refused (`config-needs-restart`)."""
    changed = [name for name in _FIXED if getattr(before, name) != getattr(after, name)]
    if changed:
        detail = f"Another {' and '.join(changed)} counts only for an agent that begins with it."
        problem = Diagnostic("config-needs-restart", "This needs a restart", detail, "service reconciler restart")
        raise Refused(problem)
    return after


def _sources(config: AgentConfig) -> Iterable[Diagnostic]:
    """Remotes whose answers whoever sits in between may change (git-daemon(1) and http have no protection)."""
    for source in config.sources:
        if not _unprotected(source):
            continue
        detail = f"{source.name} ({plain_url(source.url or '')}) is asked without encryption"
        hint = "Use https:// or ssh://, or ask for signatures: trust: {verify: commits, allowed_signers: FILE}"
        if config.trust.verify == "none":
            what = ", and no commit has to be signed: whoever sits in between decides what runs on this host"
            yield Diagnostic("source-unprotected", _SUMMARY, f"{detail}{what}.", hint, severity="warning")
        if source.token_file is not None:
            what = f", so that whoever sits in between reads the token of {source.token_file}"
            yield Diagnostic("source-unprotected", _SUMMARY, f"{detail}{what}.", _ANOTHER, severity="warning")


def _page(config: AgentConfig) -> Iterable[Diagnostic]:
    """A page that others than this machine's users may read, with the specs, their history, and what steps printed."""
    host = (config.web.listen or "localhost").rpartition(":")[0] or "localhost"
    if not config.web.private and not is_loopback(host.strip("[]")):
        detail = f"It listens on {config.web.listen}: whoever reaches it reads specs, their history and steps' output."
        hint = "web: {private: true, token_file: FILE}, or listen on 127.0.0.1 behind a proxy that asks who it is."
        yield Diagnostic("page-unprotected", "The status page may be read by others", detail, hint, severity="warning")


def _unprotected(source: SourceConfig) -> bool:
    try:
        url = urlsplit(source.url or "")
        return url.scheme.lower() in _OPEN and not is_loopback(url.hostname or "")
    except ValueError:
        return False
