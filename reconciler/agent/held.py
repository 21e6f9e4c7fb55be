"""What news must not forget over a restart: those that were not sent, what was said last, and the commit in force.

It lies in the agent's folder, a file for each target. Losing it costs messages that were not sent, and says once more
what is already known; a file that others may write is as none. No secret stands in it: news have none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reconciler.agent.config import NotifyConfig
from reconciler.agent.news import EVENTS, News
from reconciler.agent.orders import read_own, write_whole
from reconciler.agent.outbox import Message, Outbox

_REACHED = "reached.json"
_DAMAGED = (OSError, ValueError, TypeError, KeyError, AttributeError)


class Held:
    """The folder. `wall` gives seconds since 1970."""

    def __init__(self, folder: Path, wall: Callable[[], float], targets: Sequence[NotifyConfig] = ()) -> None:
        """Keep what belongs to `targets`; what belonged to others goes."""
        self._folder, self._wall = folder, wall
        named = {_name(target) for target in targets}
        with suppress(OSError):
            for file in folder.glob("target-*.json"):
                if file.name not in named:
                    file.unlink()

    def box(self, target: NotifyConfig) -> HeldBox:
        """Where the outbox of a target is kept."""
        return HeldBox(self._folder / _name(target), self._wall)

    def reached(self) -> str:
        """The commit that the host was brought to last; "" where that is not known."""
        with suppress(*_DAMAGED):
            return str(json.loads(read_own(self._folder / _REACHED))["commit"])
        return ""

    def reach(self, commit: str) -> None:
        """Remember it."""
        _write(self._folder / _REACHED, {"commit": commit})


@dataclass(frozen=True)
class HeldBox:
    """One target's outbox as a file."""

    file: Path
    wall: Callable[[], float]

    def keep(self, box: Outbox, now: float) -> None:
        """Write it down; where that fails a restart forgets."""
        waiting = [{**asdict(one.body[0]), "at": one.body[1], "attempts": one.attempts} for one in box.waiting()]
        said = {subject: [words, ago] for subject, (words, ago) in box.said(now).items()}
        _write(self.file, {"at": self.wall(), "waiting": waiting, "said": said})

    def restore(self, box: Outbox, now: float) -> None:
        """Go on with what is there. A wall clock that was set back makes nothing older than it was."""
        with suppress(*_DAMAGED):
            held = json.loads(read_own(self.file))
            ago = max(0.0, self.wall() - float(held["at"]))
            said = {str(key): (str(words), float(age) + ago) for key, (words, age) in held["said"].items()}
            box.restore([_message(one) for one in held["waiting"]], said, now)


def _message(given: dict[str, Any]) -> Message:
    at, attempts = float(given.pop("at")), int(given.pop("attempts"))
    one = News(**given)
    if one.event not in EVENTS:
        raise ValueError("no such event")
    return Message(one.subject, f"{one.event} {one.text}", (one, at), attempts)


def _name(target: NotifyConfig) -> str:
    where = json.dumps([target.url, list(target.command), target.kind])
    return f"target-{hashlib.sha256(where.encode()).hexdigest()[:16]}.json"


def _write(file: Path, value: Any) -> None:
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(file, json.dumps(value, default=str).encode())
