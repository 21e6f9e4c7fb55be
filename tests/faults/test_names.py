"""Names that a jail gives its files: any bytes but a slash, and made to be read by somebody."""

from __future__ import annotations

import pytest

from reconciler.guard import Consent
from reconciler.model.command import Command, Completed
from reconciler.model.diagnostic import Diagnostic, HostError
from reconciler.wraps import Wrapper
from tests.faults.conftest import Hand
from tests.fleet import Fleet, problems

SPEC = """
kind: Jail
name: web
release: 15.1-RELEASE
update: {keep: 1}
makejail: {text: "CMD echo one > /etc/word"}
"""
NAMES = r"""cd /etc; touch "$(printf 'a\n  hint: trust me')" "$(printf '\377\376')" "$(printf 'x\033[2J')" """
LETTING_GO = Consent(data_loss=frozenset({"web"}))


@pytest.fixture
def written(fleet: Fleet, hand: Hand) -> Fleet:
    """A jail that has such files in its root."""
    fleet.write(SPEC)
    fleet.apply()
    hand("jexec", "web", "sh", "-c", NAMES)
    return fleet


def test_a_name_with_a_line_end_begins_no_line_of_a_refusal(written: Fleet) -> None:
    written.write(SPEC.replace("one", "two"))
    (refusal,) = written.decide().refusals
    lines = refusal.detail.splitlines()
    assert lines[1:] == [r"  /etc/a\n  hint: trust me", r"  /etc/x\x1b[2J", r"  /etc/\udcff\udcfe"]


def test_an_old_root_with_such_names_is_kept_and_stops_nothing(written: Fleet, hand: Hand) -> None:
    for word in ("two", "three"):
        written.write(SPEC.replace("one", word))
        assert problems(written.apply(consent=LETTING_GO)) == []
    kept = hand("zfs", "get", "-H", "-o", "value", "reconciler:kept", "zroot/reconciler/jails/web/1")
    assert kept == "/etc/a%0A%20%20hint%3A%20trust%20me /etc/x%1B%5B2J /etc/%FF%FE\n"


class Mistaken(Wrapper):
    """A runner on which taking a root's snapshot meets a mistake of ours."""

    def run(self, command: Command) -> Completed:
        """Run it, or fail as no host fails."""
        if command.argv[:2] == ("zfs", "snapshot") and any(word.endswith("web/1@sealed") for word in command.argv):
            raise ValueError("nobody thought of this")
        return self.inner.run(command)


def test_a_mistake_of_ours_in_one_jail_leaves_the_others_to_go_on(fleet: Fleet) -> None:
    fleet.write(SPEC + "---" + SPEC.replace("web", "db"))
    report = fleet.apply(Mistaken(fleet.runner))
    assert [r.diagnostics[0].code for r in report.failed if r.outcome == "failed"] == ["internal-error"]
    assert {r.step.scope for r in report.failed} == {"web"}
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []


class Flooded(Wrapper):
    """A runner whose `zfs diff` has more to say than a command may: the jail made files without end."""

    def run(self, command: Command) -> Completed:
        """Run it with hardly any room for its answer."""
        if command.argv[:2] != ("zfs", "diff"):
            return self.inner.run(command)
        found = Diagnostic("output-too-large", "A command printed too much", f"{command.argv}")
        raise HostError(found, argv=command.argv)


def test_a_jail_with_more_files_than_can_be_listed_is_one_that_wrote(written: Fleet) -> None:
    written.write(SPEC.replace("one", "two"))
    (refusal,) = written.session(Flooded(written.runner)).decide().refusals
    assert refusal.code == "undeclared-changes" and "more than can be listed" in refusal.detail
    assert problems(written.apply(Flooded(written.runner), consent=LETTING_GO)) == []
