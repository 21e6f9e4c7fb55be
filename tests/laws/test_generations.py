"""How many old roots stay: those that were good count, and what was built in between and never ran does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.generations import kept, next_generation
from reconciler.kinds.root import Root
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.wraps import Wrapper
from tests.fleet import Fleet, problems

WEB = """
kind: Jail
name: web
release: 15.1-RELEASE
state: stopped
update: {keep: 1}
makejail: {text: "CMD echo %s > /etc/version"}
"""


class NoPointer(Wrapper):
    """Dies before a new root takes the place of the old one."""

    def run(self, command: Command) -> Completed:
        if "@before-" in " ".join(command.argv):
            raise HostError(Diagnostic("killed", "The run was killed here"))
        return self.inner.run(command)


def roots(fleet: Fleet) -> set[str]:
    rows = fleet.session().observed.datasets
    return {r.name.rpartition("/")[2] for r in rows if r.kind == "filesystem" and "/jails/web/" in r.name}


def build(fleet: Fleet, word: str, runner: Wrapper | None = None) -> bool:
    fleet.write(WEB % word)
    return problems(fleet.apply(runner)) == []


def test_a_root_that_never_ran_takes_no_good_ones_place(fleet: Fleet) -> None:
    assert build(fleet, "one")
    assert build(fleet, "two")
    assert not build(fleet, "three", NoPointer(fleet.runner))
    assert roots(fleet) == {"1", "2", "3"}
    assert build(fleet, "four")
    assert fleet.titles() == []
    assert roots(fleet) == {"2", "4"}
    assert not build(fleet, "five", NoPointer(fleet.runner))
    fleet.write(WEB % "four")
    assert fleet.titles() == ["web: destroy root 5, which never was good"]
    assert problems(fleet.apply()) == []
    assert roots(fleet) == {"2", "4"}


def test_one_that_failed_its_check_stays_until_another_is_good(fleet: Fleet) -> None:
    def said(word: str) -> str:
        check = "\nhealthcheck: {command: [grep, -v, bad, /etc/version], interval: 0, retries: 1}\n"
        return (WEB % word).replace("state: stopped\n", "") + check

    fleet.write(said("two"))
    assert problems(fleet.apply()) == []
    fleet.write(said("bad"))
    assert problems(fleet.apply())
    fleet.write(said("two"))  # what a revert brings back
    assert fleet.titles() == []
    assert roots(fleet) == {"1", "2"}
    fleet.write(said("four"))
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    assert roots(fleet) == {"1", "3"}


MOVES = st.lists(st.sampled_from(("good", "failed", "unfinished", "back")), max_size=12)


@given(MOVES, st.integers(1, 3))
def test_whatever_happens_the_newest_good_ones_stay(moves: list[str], keep: int) -> None:
    """`good` is replaced and judged, `failed` is put back, `unfinished` is built and never pointed at."""
    there: dict[int, Root] = {}
    live, good, spec = 0, [], 0
    for move in moves:
        spec += move != "back"
        wanted = there[live].digest if move == "back" and live else f"spec {spec}"
        number, _former = next_generation(there.values(), live, wanted)
        root = there.get(number, Root(f"web/{number}", "web", number, wanted))
        stay = kept(list(there.values()), root, live, live, keep)
        there[number] = root
        if move == "unfinished" and number != live:
            continue
        if number != live and live:
            old = there[live]
            there[live] = Root(old.name, "web", live, old.digest, left_for=(*old.left_for, number))
        if move == "failed" and live:
            continue
        if number != live:
            live = number
            good.append(number)
        there = {n: r for n, r in there.items() if n == number or n in {one.number for one in stay}}
        older = [n for n in good if n in there and n != live]
        assert older[-keep:] == good[:-1][-keep:][-len(older[-keep:]) or len(good) :]
        assert {n for n in there if n < live} == set(older)
