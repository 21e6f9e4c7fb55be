"""What whoever has the token may ask for: a look now, an approval, a jail left alone for a while, or no longer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.agent import logs, page_view
from reconciler.agent.page import Pages
from reconciler.agent.web import Answer, Ask, Route, redirect
from reconciler.agent.web_gate import COOKIE, LIFETIME, Gate, from_here
from reconciler.model.diagnostic import ReconcilerError

REASON_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Acts:
    """What the agent lets others do. All may raise ReconcilerError, which is shown to whoever asked.

    `approve(commit)` lets this very commit go on; `suspend(jail, reason)` and `resume(jail)` mean everything
    where the jail is "". `preview(jail)` is the plan of what would be done to a suspended jail once it is resumed, as
    `reconcile plan --json` prints it; it may take a while, and changes nothing.
    """

    sync: Callable[[], Any]
    approve: Callable[[str], Any]
    suspend: Callable[[str, str], Any]
    resume: Callable[[str], Any]
    preview: Callable[[str], Mapping[str, Any]]


class Acting:
    """The ways in for those who act."""

    def __init__(self, acts: Acts, gate: Gate, pages: Pages, known: Callable[[str], bool]) -> None:
        """`known` says whether a jail of that name is there."""
        self._acts, self._gate, self._pages, self._known = acts, gate, pages, known

    def routes(self) -> tuple[Route, ...]:
        """All of them; nothing here answers to GET but the form to sign in."""
        return (
            Route("GET", "/login", self.form, "login"),
            Route("POST", "/login", self.sign_in, "login"),
            Route("POST", "/logout", self.sign_out, "logout"),
            Route("GET", "/resume/", self.preview, "act"),
            Route("POST", "/act/sync", self._guarded(self._sync), "act"),
            Route("POST", "/act/approve", self._guarded(self._approve), "act"),
            Route("POST", "/act/suspend", self._guarded(self._suspend), "act"),
            Route("POST", "/act/resume", self._guarded(self._resume), "act"),
        )

    def form(self, ask: Ask) -> Answer:
        """Where the token is asked for."""
        return self._login(ask, 200, "")

    def sign_in(self, ask: Ask) -> Answer:
        """Begin a session."""
        if not from_here(ask):
            return self._login(ask, 403, "This form does not come from a page of ours. Load the page again.")
        name = self._gate.sign_in(ask.form().get("token", ""))
        if not name:
            logs.log.warning(logs.WEB_LOGIN_FAILED, peer=ask.peer)
            words = "Too many wrong tokens; wait a minute." if name == "" else "The token is wrong."
            return self._login(ask, 429 if name == "" else 401, words)
        # A browser names the page that a form stands on; with TLS in front the cookie is never sent without it.
        secure = "; Secure" if ask.headers.get("origin", "").lower().startswith("https://") else ""
        cookie = f"{COOKIE}={name}; Path=/; HttpOnly; SameSite=Strict; Max-Age={int(LIFETIME)}{secure}"
        return redirect("/", ("Set-Cookie", cookie))

    def sign_out(self, ask: Ask) -> Answer:
        """End the session."""
        if self._gate.refusal(ask)[0] == 0:
            self._gate.sign_out(ask)
        return redirect("/", ("Set-Cookie", f"{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"))

    def preview(self, ask: Ask) -> Answer:
        """What resuming a jail would do, and the button that does it; for whoever is signed in, as it costs a plan."""
        jail = ask.path.rpartition("/")[2]
        if self._gate.session(ask) is None:
            return redirect("/login")
        if not self._known(jail):
            return self._pages.said(ask, 404, "No such jail", f"There is no jail {jail}.")
        try:
            document = self._acts.preview(jail)
        except ReconcilerError as error:
            return self._pages.said(ask, 409, "Refused", "\n".join(d.detail or d.summary for d in error.diagnostics))
        scopes, left_out = page_view.scopes(document)
        return self._pages.page("resume.html", ask, here="jail", jail=jail, scopes=scopes, left_out=left_out)

    def _login(self, ask: Ask, number: int, problem: str) -> Answer:
        return self._pages.page("login.html", ask, number, here="login", problem=problem)

    def _guarded(self, act: Callable[[Ask], str]) -> Callable[[Ask], Answer]:
        def handler(ask: Ask) -> Answer:
            number, words = self._gate.refusal(ask)
            if number:
                return self._pages.said(ask, number, "Not allowed", words)
            try:
                jail = ask.form().get("jail", "")
                if jail and not self._known(jail):
                    return self._pages.said(ask, 404, "No such jail", f"There is no jail {jail}.")
                done = act(ask)
            except ReconcilerError as error:
                return self._pages.said(
                    ask, 409, "Refused", "\n".join(d.detail or d.summary for d in error.diagnostics)
                )
            logs.log.info(logs.WEB_ACTED, act=ask.path.rpartition("/")[2], jail=jail, peer=ask.peer, done=done)
            return redirect(f"/jails/{jail}" if jail else "/")

        return handler

    def _sync(self, _ask: Ask) -> str:
        self._acts.sync()
        return "sync"

    def _approve(self, ask: Ask) -> str:
        commit = ask.form().get("commit", "")
        self._acts.approve(commit)
        return f"approve {commit}"

    def _suspend(self, ask: Ask) -> str:
        fields = ask.form()
        reason = " ".join(fields.get("reason", "").split())[:REASON_LIMIT] or "from the status page"
        self._acts.suspend(fields.get("jail", ""), reason)
        return f"suspend: {reason}"

    def _resume(self, ask: Ask) -> str:
        self._acts.resume(ask.form().get("jail", ""))
        return "resume"
