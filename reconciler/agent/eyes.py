"""Everything that shows what the agent does, as one part that runs beside its loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.agent import logs
from reconciler.agent.config import AgentConfig, WebhookConfig
from reconciler.agent.deliver import Secret, read_secret
from reconciler.agent.held import Held
from reconciler.agent.metrics import Metrics
from reconciler.agent.narrate import narrate
from reconciler.agent.notify import Follower, Notifier, Target
from reconciler.agent.page import Pages
from reconciler.agent.page_view import Records
from reconciler.agent.run import Beside
from reconciler.agent.wake import Wake
from reconciler.agent.web import Answer, Ask, Handler, Route, Web, plain, redirect
from reconciler.agent.web_act import Acting, Acts
from reconciler.agent.web_gate import TOKEN_LEAST, Gate
from reconciler.agent.web_live import Live
from reconciler.agent.web_server import Server
from reconciler.agent.webhook import Forge, refusal

_OPEN = frozenset({"login", "logout", "static", "health", "webhook", "act"})
"""Routes that everybody may have although the page is private; those that act ask for the token themselves."""


@contextmanager
def eyes(beside: Beside, records: Records, acts: Acts) -> Iterator[None]:
    """Page, metrics, webhooks and notifications, from here on until the agent ends. Raises ReconcilerError
    (`listen-failed`)."""
    config, board = beside.config, beside.board
    metrics = Metrics(board, lambda status: records.releases(status.jails))
    host, page = board.now().host, config.web.url or ""
    every = enumerate(config.notify, 1)
    held = Held(Path(config.state) / "news", time.time, config.notify)
    targets = [Target(number, one, host, metrics.notification, page=page, held=held) for number, one in every]
    notifier = Notifier(targets, held=held)
    follower = Follower(board, [narrate, lambda _, after: metrics.follow(after), notifier.changed])
    live = Live(board)
    server = None
    if config.web.listen is not None:
        server = Server(site(beside, records, acts, metrics, live), config.web.listen)
    _warn(config)
    for problem in board.now().cautions:
        logs.log.warning(logs.PROBLEM_FOUND, code=problem.code, summary=problem.summary, detail=problem.detail)
    logs.log.info(logs.AGENT_STARTED, host=host, version=board.now().version, pid=board.now().pid)
    notifier.start()
    follower.start()
    if server is not None:
        server.start()
        logs.log.info(logs.WEB_LISTENING, address="{}:{}".format(*server.address))
    try:
        yield
    finally:
        follower.close()
        live.close()
        if server is not None:
            server.close()
        notifier.close()
        logs.log.info(logs.AGENT_STOPPED)


def site(beside: Beside, records: Records, acts: Acts, metrics: Metrics, live: Live) -> Web:
    """All that is served, as the configuration has it."""
    config, board = beside.config, beside.board
    gate = Gate(_token(config), time.monotonic)
    pages = Pages(board, records, gate, time.time)
    routes = [
        *pages.routes(),
        Route("GET", "/live", live.answer, "live"),
        Route("GET", "/metrics", metrics.answer, "metrics"),
    ]
    if config.webhook.secret_file is not None:
        secret = read_secret(config.webhook.secret_file)
        routes.append(Route("POST", "/webhook", receiver(config.webhook, secret, beside.wake, metrics), "webhook"))
    if gate.open:
        acting = Acting(acts, gate, pages, lambda name: any(jail.name == name for jail in board.now().jails))
        own = acting.routes()
        routes += own if config.web.actions else [route for route in own if route.name != "act"]
    if config.web.private:
        routes = [
            route if route.name in _OPEN else replace(route, handler=private(route.handler, gate)) for route in routes
        ]
    return Web(routes, _hosts(config), metrics.request)


def _warn(config: AgentConfig) -> None:
    """Say which secrets cannot be used, for nothing that needs them will work; they may still come."""
    wanted = {config.web.token_file: TOKEN_LEAST, config.webhook.secret_file: 1}
    wanted |= {one.secret_file: 1 for one in config.notify}
    for file, least in wanted.items():
        if file is not None and len(read_secret(file)()) < least:
            why = (
                f"it cannot be read, or has less than {least} characters"
                if least > 1
                else "it is empty or cannot be read"
            )
            logs.log.warning(logs.PROBLEM_FOUND, code="secret-unusable", file=file, why=why)


def _token(config: AgentConfig) -> Secret | None:
    wanted = config.web.token_file is not None and (config.web.actions or config.web.private)
    return read_secret(str(config.web.token_file)) if wanted else None


def _hosts(config: AgentConfig) -> list[str]:
    """The names that are ours: those that are configured, and the address itself."""
    listen = (config.web.listen or "").rpartition(":")[0]
    url = urlsplit(config.web.url or "").hostname or ""
    return [name for name in (*config.web.hosts, listen, url) if name]


def receiver(config: WebhookConfig, secret: Secret, wake: Wake, metrics: Metrics) -> Handler:
    """What takes webhooks: whoever knows the secret makes the agent look again, and that is all."""
    forge: Forge = config.kind

    def take(ask: Ask) -> Answer:
        why = refusal(forge, secret(), ask.headers, ask.body, time.time())
        metrics.webhook(not why)
        if why:
            logs.log.warning(logs.WEBHOOK_REFUSED, why=why, peer=ask.peer)
            return plain(401, "This message is not signed by whom it should be.")
        logs.log.info(logs.WEBHOOK_ACCEPTED, peer=ask.peer)
        wake.now("webhook")
        return plain(202, "The agent looks again.")

    return take


def private(handler: Handler, gate: Gate) -> Handler:
    """A page that is shown only to whoever has the token."""

    def guarded(ask: Ask) -> Answer:
        if gate.session(ask) is None:
            if "authorization" not in ask.headers:
                html = "text/html" in ask.headers.get("accept", "")
                return redirect("/login") if html else plain(401, "Sign in, or send the token.")
            number, words = gate.refusal(ask)
            if number:
                return plain(number, words)
        return handler(ask)

    return guarded
