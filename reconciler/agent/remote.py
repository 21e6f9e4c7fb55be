"""What one remote is asked with, and what is said of it when it does not answer."""

from __future__ import annotations

import base64
import os
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.agent.config import SourceConfig
from reconciler.model.diagnostic import Diagnostic, FetchError
from reconciler.url import is_loopback

MAX_REPOSITORY = 2 * 1024**3
"""Bytes that the copy of the repository may have."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def access(source: SourceConfig) -> tuple[dict[str, str], dict[str, str]]:
    """Settings and environment for one remote: its key, its token. Raises FetchError (`source-unreachable`)."""
    ssh = ["ssh", "-oBatchMode=yes", "-oConnectTimeout=20", "-oServerAliveInterval=10", "-oStrictHostKeyChecking=yes"]
    if source.identity:
        ssh += ["-oIdentitiesOnly=yes", f"-oIdentityFile={source.identity}"]
    if source.known_hosts:
        ssh += [f"-oUserKnownHostsFile={source.known_hosts}"]
    env = {"GIT_SSH_COMMAND": shlex.join(ssh), "GIT_SSH_VARIANT": "ssh", **_proxies(source.url or "")}
    settings = {"http.sslCAInfo": source.ca_file} if source.ca_file else {}
    if source.token_file is None:
        return settings, env
    try:
        token = Path(source.token_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FetchError(unreachable(source, f"its token cannot be read: {error}")) from error
    header = base64.b64encode(f"{source.user}:{token}".encode()).decode()
    # For this URL alone: another host, as a redirect would name one, never sees it.
    return {**settings, f"http.{source.url}.extraHeader": f"Authorization: Basic {header}"}, env


def _proxies(url: str) -> dict[str, str]:
    """The proxies of the agent's environment, as curl(1) reads them; what listens on this machine is asked directly."""
    try:
        near = is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        near = False
    names = () if near else (*_PROXIES, *map(str.upper, _PROXIES))
    return {name: os.environ[name] for name in names if name in os.environ}


def plain_url(url: str) -> str:
    """A URL without name and password."""
    return re.sub(r"(?<=://)[^/?#@]*@", "", url)


def unreachable(source: SourceConfig, why: str) -> Diagnostic:
    """A remote that gave no answer that can be used; `why` is shown without passwords."""
    detail = f"{source.name} ({plain_url(source.url or '')}): {plain_url(why)}"
    hint = "What was applied last stays in force; the agent goes on trying."
    if "dubious ownership" in why:  # what git says to do about it helps nobody here: we give it no such file to read
        hint = "It belongs to another user: fetch it as that one, ssh://USER@localhost/FOLDER, or chown it."
    return Diagnostic("source-unreachable", "A source of specs did not answer", detail, hint)


def too_large(source: SourceConfig) -> Diagnostic:
    """A remote that has more than is taken."""
    detail = f"{source.name}: more than {MAX_REPOSITORY} bytes."
    return Diagnostic("repository-too-large", "The repository is too large", detail, "Keep specs in one of their own.")
