"""A commit's status as its forge is told: which URL, headers and body. Pure.

GitHub: docs.github.com, REST, "Commit statuses"; GitLab: docs.gitlab.com, "Commits API", set the pipeline status;
Gitea and Forgejo: their API's `repoCreateStatus`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import quote, urlsplit, urlunsplit

from reconciler.agent.news import Event, News

Kind = Literal["github", "gitlab", "gitea"]
KINDS: tuple[str, ...] = get_args(Kind)
WORDS = 140
"""Characters of a description: the fewest that one of them takes."""

State = Literal["pending", "success", "failure", "error"]
STATES: dict[Event, State] = {
    "commit-pending": "pending",
    "approval-needed": "pending",
    "commit-applied": "success",
    "commit-unchanged": "success",
    "commit-failed": "failure",
    "commit-refused": "error",
}
"""The news that a forge is told; all others are none of its business."""
_GITLAB: dict[State, str] = {"pending": "pending", "success": "success", "failure": "failed", "error": "failed"}


@dataclass(frozen=True, slots=True)
class Post:
    """A request to make. `fine` are statuses beside 2xx that mean that nothing has to be done."""

    url: str
    headers: dict[str, str]
    body: bytes
    fine: frozenset[int] = frozenset()


def commit_status(kind: Kind, url: str, token: str, news: News, host: str, page: str = "") -> Post | None:
    """The request that tells a forge of a commit; None for news that it is not told.

    `url` is the repository's, as people or as the API have it; `page` is linked where it is not empty.
    """
    state = STATES.get(news.event)
    if state is None or not news.commit:
        return None
    words = news.text if len(news.text) <= WORDS else f"{news.text[: WORDS - 1]}…"
    body = {"state": state, "context": f"reconciler/{host}", "description": words}
    if page:
        body["target_url"] = page
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if kind == "github":
        headers |= {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"}
        headers["Accept"] = "application/vnd.github+json"
    elif kind == "gitlab":
        headers["PRIVATE-TOKEN"] = token
        body |= {"state": _GITLAB[state]}
    else:
        headers["Authorization"] = f"token {token}"
    # GitLab answers 400 to a state that the commit already has.
    fine = frozenset({400}) if kind == "gitlab" and state == "pending" else frozenset[int]()
    return Post(f"{api(kind, url)}/statuses/{news.commit}", headers, json.dumps(body).encode(), fine)


def api(kind: Kind, url: str) -> str:
    """The API's URL of a repository; one that is the API's already stays as it is."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/").removesuffix(".git")
    host, path = _APIS[kind](parts.netloc, path)
    return urlunsplit((parts.scheme, host, path, "", ""))


def _github(host: str, path: str) -> tuple[str, str]:
    if "/repos/" in path:
        return host, path
    return ("api.github.com", f"/repos{path}") if host == "github.com" else (host, f"/api/v3/repos{path}")


def _gitlab(host: str, path: str) -> tuple[str, str]:
    if "/api/v4/projects/" in path:
        return host, path
    return host, f"/api/v4/projects/{quote(path.strip('/'), safe='')}"


def _gitea(host: str, path: str) -> tuple[str, str]:
    if "/api/v1/repos/" in path:
        return host, path
    above, _, name = path.rpartition("/")
    root, _, owner = above.rpartition("/")
    return host, f"{root}/api/v1/repos/{owner}/{name}"


_APIS: dict[Kind, Callable[[str, str], tuple[str, str]]] = {"github": _github, "gitlab": _gitlab, "gitea": _gitea}
