"""What the agent may be told: its configuration. These models are the format: `schemas/agent.json` is made from them.

Where the values come from: `settings.py`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from reconciler.agent.news import Event
from reconciler.spec.fields import POOL, AbsolutePath, Bool, Duration, Int, Model, Name

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _form(pattern: str, words: str) -> AfterValidator:
    """A whole text of this form; `words` say which."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"expected {words}, not {value!r}")
        return value

    return AfterValidator(check)


HostName = Annotated[str, _form(r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+", "a host's name or address")]
NotifyURL = Annotated[str, _form(r"https?://[^\s/?#@]+([/?][^\s#]*)?", "a URL of http or https, without a password")]
PageURL = Annotated[str, _form(r"https?://[^\s/?#@]+(/[^\s?#]*)?", "a URL of http or https")]
Folder = Annotated[str, _form(r"(?!/)(?!(.*/)?\.\.(/|$))[^\x00-\x1f\x7f]*", "a folder below the repository's root")]
Ref = Annotated[str, _form(r"(?![-/.])(?!.*(\.\.|//|@\{))[A-Za-z0-9._/+@%-]{1,200}", "the name of a branch")]
Pattern = Annotated[str, _form(r"(?![-/.])(?!.*(\.\.|//))[A-Za-z0-9._/+@%*?-]{1,200}", "a pattern such as v*")]
Sha = Annotated[str, _form(r"[0-9a-f]{40}([0-9a-f]{24})?", "a whole commit in hexadecimal digits")]
Listen = Annotated[
    str, _form(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}", "an address and a port, such as 127.0.0.1:8399")
]
Clock = Annotated[str, _form(r"([01][0-9]|2[0-3]):[0-5][0-9]", "a time of day such as 02:30")]


def _zone(name: str) -> str:
    """The name of a time zone that this machine knows."""
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # unknown; a folder of them; a path
        raise ValueError(f"expected a time zone such as Europe/Berlin, not {name!r}") from error
    return name


Zone = Annotated[str, AfterValidator(_zone)]


class SourceConfig(Model):
    """Where specs come from: a git remote, or a folder of this machine."""

    name: Name = Field(default="origin", description="What it is called in status, logs and metrics.")
    url: str | None = Field(
        default=None, description="A git remote: https://, ssh:// (or user@host:path), file://, git:// or a path."
    )
    path: AbsolutePath | None = Field(default=None, description="A folder of this machine instead; it is watched.")
    branch: Ref = Field(default="main", description="The branch that is followed.")
    tag: Pattern | None = Field(
        default=None, description="Follow the newest tag of this pattern, such as v*, instead of a branch."
    )
    identity: AbsolutePath | None = Field(default=None, description="Private key for ssh.")
    known_hosts: AbsolutePath | None = Field(default=None, description="known_hosts file for ssh.")
    token_file: AbsolutePath | None = Field(
        default=None, description="File with a password or token for https, read at each fetch."
    )
    user: str = Field(default="git", description="User name that goes with `token_file`.")
    ca_file: AbsolutePath | None = Field(
        default=None, description="Certificates that https trusts, in PEM; those of the system when absent."
    )

    @model_validator(mode="after")
    def _one(self) -> SourceConfig:
        if (self.url is None) == (self.path is None):
            raise ValueError("expected either `url` or `path`")
        url = self.url or ""
        # TRANSPORT::ADDRESS asks a program of that name (gitremote-helpers(7)); an IPv6 address has colons too.
        if url.startswith("-") or re.match(r"[A-Za-z0-9+.-]*::", url) or not url.isprintable():
            raise ValueError("expected a URL that git can fetch, not an option or a remote helper")
        if re.match(r"https?://[^/?#]*@", url, re.IGNORECASE):
            # It would stand in the arguments of git(1), which every user of the machine may read (ps(1)).
            raise ValueError("expected a URL without a name and password; `user` and `token_file` are for these")
        return self


class TrustConfig(Model):
    """Whose commits are applied."""

    verify: Literal["none", "commits", "tags", "all"] = Field(
        default="none",
        description="What has to be signed: nothing; every commit since the last applied one; the tag; or both.",
    )
    allowed_signers: AbsolutePath | None = Field(
        default=None, description="SSH keys that may sign, as ssh-keygen(1) has it under ALLOWED SIGNERS."
    )
    gpg_home: AbsolutePath | None = Field(default=None, description="GnuPG folder whose keyring may sign.")
    since: Sha | None = Field(
        default=None,
        description="Commit from which signatures count on a host that has applied none yet; else only the newest.",
    )

    @model_validator(mode="after")
    def _keys(self) -> TrustConfig:
        if self.verify != "none" and self.allowed_signers is None and self.gpg_home is None:
            raise ValueError("expected `allowed_signers` or `gpg_home` beside `verify`")
        return self


class ApprovalConfig(Model):
    """When a new commit is applied. Drift is corrected against the last approved one meanwhile."""

    mode: Literal["automatic", "delayed", "manual"] = Field(
        default="automatic", description="At once; after some time unless somebody objects; or by `reconcile approve`."
    )
    after: Duration = Field(default=600.0, description="How long `delayed` waits.")


class WindowConfig(Model):
    """A stretch of the week, by the clock on the wall of `zone`."""

    days: tuple[Day, ...] = Field(default=("mon", "tue", "wed", "thu", "fri", "sat", "sun"), description="Days.")
    begin: Clock = Field(default="00:00", description="HH:MM at which it opens.")
    end: Clock = Field(
        default="00:00", description="HH:MM at which it closes; at or before `begin` means on the next day."
    )


class WindowsConfig(Model):
    """Maintenance windows: outside of them no new commit is applied."""

    allow: tuple[WindowConfig, ...] = Field(default=(), description="Only then; always when empty.")
    deny: tuple[WindowConfig, ...] = Field(default=(), description="Never then, whatever `allow` says.")
    zone: Zone | None = Field(
        default=None, description="Time zone of the windows, such as Europe/Berlin; the host's when absent."
    )
    drift: Literal["always", "windows"] = Field(
        default="always", description="Whether drift is corrected outside of windows too."
    )


class WebConfig(Model):
    """The status page, metrics and webhooks."""

    listen: Listen | None = Field(
        default=None, description="Address and port, such as 127.0.0.1:8399; nothing listens when absent."
    )
    token_file: AbsolutePath | None = Field(
        default=None, description="File with the token that whoever acts has to show."
    )
    actions: Bool = Field(default=False, description="Whether the page may act: sync, approve, suspend, resume.")
    private: Bool = Field(default=False, description="Whether reading asks for the token too.")
    hosts: tuple[HostName, ...] = Field(
        default=(), description="Names beside localhost by which the page may be asked for, such as a proxy's."
    )
    url: PageURL | None = Field(
        default=None,
        description="The page's URL as others know it, for links in notifications; its host may be asked for.",
    )

    @model_validator(mode="after")
    def _token(self) -> WebConfig:
        if (self.actions or self.private) and self.token_file is None:
            raise ValueError("expected `token_file` beside `actions` and `private`")
        return self


class WebhookConfig(Model):
    """Who may say: look again."""

    secret_file: AbsolutePath | None = Field(
        default=None, description="File with the secret that signs requests; without it there is no webhook."
    )
    kind: Literal["generic", "github", "gitlab", "gitea"] = Field(default="generic", description="Whose header counts.")


class NotifyConfig(Model):
    """Where news go: a URL or a command."""

    url: NotifyURL | None = Field(default=None, description="An http(s) URL that is given JSON by POST.")
    command: tuple[str, ...] = Field(default=(), description="An argument vector that is given JSON on its input.")
    secret_file: AbsolutePath | None = Field(
        default=None, description="File with the secret that signs what is sent; for a forge, with its token."
    )
    kind: Literal["generic", "slack", "github", "gitlab", "gitea"] = Field(
        default="generic", description="Form of the message; a forge's name reports the commit's status to it."
    )
    events: tuple[Event, ...] = Field(default=(), description="Only these kinds of news; all when empty.")

    @model_validator(mode="after")
    def _one(self) -> NotifyConfig:
        if (self.url is None) == (not self.command):
            raise ValueError("expected either `url` or `command`")
        if self.kind != "generic" and self.url is None:
            raise ValueError("expected `url` where `kind` is not generic")
        if self.kind in ("github", "gitlab", "gitea") and self.secret_file is None:
            raise ValueError("expected `secret_file` with a token where `kind` is a forge")
        return self


class LogConfig(Model):
    """What is logged, and how."""

    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: lines for people on a terminal, JSON elsewhere."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least that is said.")


class AgentConfig(Model):
    """The agent's configuration."""

    sources: Annotated[tuple[SourceConfig, ...], Field(max_length=16)] = Field(
        description="Where specs come from; several remotes of one repository stand in for each other.",
        json_schema_extra={"minItems": 1},
    )
    folder: Folder = Field(
        default="specs", description="The folder of specs within the repository; empty for all of it."
    )
    testing: Bool = Field(
        default=False, description="Follow testing-HOSTNAME where it sits on top of the branch. Not after a restart."
    )
    trust: TrustConfig = Field(default=TrustConfig(), description="What has to be signed, and by whom.")
    approval: ApprovalConfig = Field(default=ApprovalConfig(), description="When a new commit is applied.")
    windows: WindowsConfig = Field(default=WindowsConfig(), description="Maintenance windows.")
    interval: Annotated[Duration, Field(ge=1)] = Field(
        default=60.0, description="Time between two looks at sources and host."
    )
    jitter: Duration = Field(default=10.0, description="At most this is added to `interval`, by chance.")
    timeout: Annotated[Duration, Field(ge=1)] = Field(default=120.0, description="The longest a source may take.")
    backoff: Annotated[Duration, Field(ge=1)] = Field(
        default=10.0, description="First wait after a failure of a jail or source; it doubles with each."
    )
    backoff_max: Annotated[Duration, Field(ge=1)] = Field(default=900.0, description="The longest such wait.")
    stalled_after: Annotated[Int, Field(ge=1)] = Field(
        default=3, description="Failures in a row after which a jail counts as stalled."
    )
    host: str = Field(default="", description="The host, as for --host; RECONCILER_HOST, or this machine, when empty.")
    pool: Annotated[str, StringConstraints(pattern=POOL)] = Field(
        default="zroot/reconciler", description="The dataset that the specs' Host document names too."
    )
    labels: dict[str, str] = Field(default={}, description="Labels of this machine, as for --label.")
    jobs: Annotated[Int, Field(ge=1, le=64)] = Field(default=4, description="How many steps may run at once.")
    mirror: str = Field(default="", description="Where releases are fetched, as for --mirror.")
    state: AbsolutePath = Field(
        default="/var/db/reconciler/agent", description="Folder for the copy of the repository. It may be deleted."
    )
    run: AbsolutePath = Field(default="/var/run/reconciler", description="Folder for what lasts until the next boot.")
    web: WebConfig = Field(default=WebConfig(), description="Where the page listens, and what it may do.")
    webhook: WebhookConfig = Field(default=WebhookConfig(), description="What wakes the agent from outside.")
    notify: tuple[NotifyConfig, ...] = Field(default=(), description="Where news go.")
    log: LogConfig = Field(default=LogConfig(), description="Logging.")

    @model_validator(mode="after")
    def _agree(self) -> AgentConfig:
        if not self.sources:
            raise ValueError("expected at least one of `sources`")
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("expected another `name` for each source")
        folders = [source for source in self.sources if source.path is not None]
        if folders and len(self.sources) > 1:
            raise ValueError("expected one source, where it is a folder of this machine")
        if folders and self.trust.verify != "none":
            raise ValueError("expected a git source where `trust` asks for signatures")
        tags = any(source.tag is None for source in self.sources)
        if tags and self.trust.verify in ("tags", "all"):
            raise ValueError("expected sources with `tag` where `trust` asks for signed tags")
        if self.webhook.secret_file is not None and self.web.listen is None:
            raise ValueError("expected `web: {listen: ...}` where a webhook is to be received")
        return self
