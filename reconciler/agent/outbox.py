"""When which message goes to one target: one for each subject, not twice the same, not too many, again after failures.

Pure but for its own state: the time and a number between 0 and 1 are arguments. A target that is down costs
nobody anything: what cannot be sent for long is dropped, and counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

WAITING = 200
"""Subjects with a message that waits."""
REMEMBERED = 1000
"""Subjects of which it is remembered what was last said."""
AGAIN = 3600.0
"""Seconds for which the same is not said again of a subject."""
BURST, EACH = 20, 15.0
"""So many messages at once, then one every so many seconds."""
ATTEMPTS = 9
FIRST, LONGEST = 2.0, 300.0
"""Seconds between attempts: doubled each time, up to the longest, with up to half of it more by chance."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something to send. `said` is what makes it different from another of its subject."""

    subject: str
    said: str
    body: Any
    attempts: int = 0


class Outbox:
    """The messages of one target. Not for several threads at once."""

    def __init__(self, random: Callable[[], float]) -> None:
        """Nothing waits. `random` gives numbers from 0 up to 1."""
        self._random = random
        self._waiting: OrderedDict[str, Message] = OrderedDict()
        self._said: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._tokens, self._filled = float(BURST), 0.0
        self._not_before = 0.0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def put(self, message: Message, now: float) -> Message | None:
        """Take a message, and give the one that had to make room for it: the oldest, of another subject."""
        said, at = self._said.get(message.subject, ("", 0.0))
        queued = self._waiting.get(message.subject)
        if queued is not None:
            self._waiting[message.subject] = replace(message, attempts=queued.attempts)
        elif said != message.said or now - at > AGAIN:
            self._waiting[message.subject] = message
        return self._waiting.popitem(last=False)[1] if len(self._waiting) > WAITING else None

    def due(self, now: float) -> tuple[Message | None, float]:
        """The message to send now, or in how many seconds to ask again; infinity when nothing waits."""
        if not self._waiting:
            return None, float("inf")
        self._tokens = min(BURST, self._tokens + max(0.0, now - self._filled) / EACH)
        self._filled = now
        wait = max(self._not_before - now, (1.0 - self._tokens) * EACH)
        if wait > 0:
            return None, wait
        return next(iter(self._waiting.values())), 0.0

    def sent(self, message: Message, now: float) -> None:
        """It arrived."""
        self._tokens -= 1.0
        self._not_before = 0.0
        self._said[message.subject] = (message.said, now)
        self._said.move_to_end(message.subject)
        while len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        self._forget(message)

    def failed(self, message: Message, now: float, *, again: bool) -> bool:
        """It did not arrive; whether it is kept for another attempt. `again` says whether that may help."""
        attempts = message.attempts + 1
        pause = min(LONGEST, FIRST * 2 ** (attempts - 1))
        self._not_before = now + pause * (1 + self._random() / 2)
        if not again or attempts >= ATTEMPTS:
            self._forget(message)
            self._not_before = now if not again else self._not_before
            return False
        waiting = self._waiting.get(message.subject)
        if waiting is not None:
            self._waiting[message.subject] = replace(waiting, attempts=attempts)
        return True

    def waiting(self) -> tuple[Message, ...]:
        """What is not sent yet, the oldest first."""
        return tuple(self._waiting.values())

    def said(self, now: float) -> dict[str, tuple[str, float]]:
        """What was last said of each subject, and how many seconds ago."""
        return {subject: (said, max(0.0, now - at)) for subject, (said, at) in self._said.items()}

    def restore(self, waiting: Iterable[Message], said: Mapping[str, tuple[str, float]], now: float) -> None:
        """Go on from what another box held: what `waiting` and `said` gave, so many seconds later as they say."""
        self._said.update((subject, (words, now - ago)) for subject, (words, ago) in list(said.items())[-REMEMBERED:])
        self._waiting.update((message.subject, message) for message in list(waiting)[-WAITING:])

    def _forget(self, message: Message) -> None:
        """Drop it, but not what came for its subject meanwhile."""
        if (waiting := self._waiting.get(message.subject)) is not None and waiting.body is message.body:
            del self._waiting[message.subject]
