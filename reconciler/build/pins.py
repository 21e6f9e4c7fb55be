"""What reconcile.lock says of FreeBSD packages, as a recipe holds it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.spec.lock import Lock, Pin

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Pins:
    """Packages and all that they need, by name, of one ABI."""

    abi: str
    packages: Mapping[str, Pin]

    @property
    def texts(self) -> tuple[str, ...]:
        """`NAME VERSION [CHECKSUM]` of each: what a layer's digest covers."""
        return tuple(sorted(f"{name} {pin.version} {pin.checksum}".rstrip() for name, pin in self.packages.items()))

    @property
    def keepable(self) -> bool:
        """Whether each is known by its archive's SHA256, so that the archive can be kept and used again."""
        return all(_SHA256.fullmatch(pin.checksum) for pin in self.packages.values())


@dataclass(frozen=True, slots=True)
class Turn:
    """One package in the order in which they are installed for a word.

    `asked`: the word means it, so that it did not come for another's sake. `early`: something that it needs comes
    only later, since the two need each other.
    """

    word: str
    name: str
    pin: Pin
    asked: bool
    early: bool


def pins_of(lock: Lock, abi: str, words: Iterable[str]) -> Pins | None:
    """The pins of packages and of all that they need; None unless the lock has each."""
    found = lock.closure(abi, words)
    return Pins(abi, found) if found else None


def turns(pins: Pins, words: Iterable[str]) -> Iterator[Turn]:
    """For each word its packages, each after what it needs."""
    for word in dict.fromkeys(words):
        meant = [word] if word in pins.packages else [n for n, pin in pins.packages.items() if word in pin.named]
        done: set[str] = set()
        for name in _ordered(pins.packages, sorted(meant)):
            pin = pins.packages[name]
            yield Turn(word, name, pin, name in meant, not {*pin.needs} & pins.packages.keys() <= done)
            done.add(name)


def _ordered(packages: Mapping[str, Pin], meant: Iterable[str]) -> Iterator[str]:
    """Names, each after its needs as far as they do not need it in turn."""
    seen: set[str] = set()
    waiting = [(name, False) for name in reversed([*meant])]
    while waiting:
        name, left = waiting.pop()
        if left:
            yield name
        elif name not in seen and name in packages:
            seen.add(name)
            waiting.append((name, True))
            waiting += [(need, False) for need in reversed(packages[name].needs)]
