"""A stage of a jail's Makejail, run by hand while the jail runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.command import Completed, Output
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.model.ports import Host, Request
from reconciler.runtime import by_hand
from reconciler.runtime.stages import file_name


@dataclass(frozen=True)
class Stage:
    """A stage of a jail on a host; `mountpoint` is where our files lie."""

    host: Host
    mountpoint: str
    jail: str
    stage: str

    @property
    def folder(self) -> str:
        """Where the jail's files lie."""
        return f"{self.mountpoint}/jails/{self.jail}"


def run(
    asked: Stage,
    words: Sequence[str],
    timeout: float,
    output: Output | None,
    typed: Iterable[bytes] | None = None,
) -> Completed:
    """Run it with `words`, for at most `timeout` seconds; `typed` is what comes from a terminal, None without one.

    Raises HostError (`jail-not-running`, `stage-missing`, `terminal-missing`).
    """
    files = _files(asked)
    stdin = _terminal(asked, files, typed)
    text = by_hand.script(asked.jail, asked.folder, f"{asked.mountpoint}/live/{asked.jail}", files, asked.stage, words)
    folder = f"{asked.mountpoint}/run"
    script = f"{folder}/{uuid.uuid4().hex}.sh"
    asked.host.files.mkdir(folder, 0o700)
    try:
        # Written to a file of ours: in an argument vector every user of the host would see the words.
        asked.host.files.write(script, text.encode())
        return asked.host.files.script(script, {}, timeout=timeout, output=output, stdin=stdin)
    finally:
        asked.host.files.remove(script)


def _terminal(asked: Stage, files: frozenset[str], typed: Iterable[bytes] | None) -> bytes | Iterable[bytes]:
    """What the stage reads: nothing, but where it holds a LOGIN."""
    names = [file_name(prefix + asked.stage) for prefix in ("pre", "", "post")]
    texts = [asked.host.files.read(f"{asked.folder}/{name}") or b"" for name in names if name in files]
    if not any(b"\nreconciler_login " in text for text in texts):
        return b""
    if typed is None:
        detail = (
            f"Stage {asked.stage} of {asked.jail} holds a LOGIN, and standard input is no terminal. Nothing was run."
        )
        hint = f"Run it from a terminal: reconcile run {asked.jail} --stage {asked.stage}"
        raise HostError(Diagnostic("terminal-missing", "The stage needs a terminal", detail, hint))
    return typed


def _files(asked: Stage) -> frozenset[str]:
    """The names of the jail's files; the jail runs and has the stage."""
    below = f"jails/{asked.jail}"
    request = Request("", asked.mountpoint, frozenset({"jails", "files"}), below=(below,))
    seen = asked.host.parse(request, asked.host.observe(request))
    if not any(row.name == asked.jail and not row.dying for row in seen.jails):
        detail = f"{asked.jail} is not running, and its stages run only while it does."
        hint = f"reconcile status, or on the host: service reconciler_jails start {asked.jail}"
        raise HostError(Diagnostic("jail-not-running", "The jail is not running", detail, hint))
    files = frozenset(path.removeprefix(f"{below}/") for path in seen.files)
    there = by_hand.stages(files)
    if asked.stage not in there:
        detail = f"{asked.jail} has no stage {asked.stage}. "
        detail += f"There is: {', '.join(there)}." if there else "Its Makejail has none that is run by hand."
        hint = f"reconcile run {asked.jail} --stage {there[0]}" if there else "Add STAGE cmd to its Makejail; apply."
        raise HostError(Diagnostic("stage-missing", "The jail has no such stage", detail, hint))
    return files
