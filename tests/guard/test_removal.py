"""Who may remove, and what needs a word: pruning, protection, volumes."""

from __future__ import annotations

import pytest

from reconciler.cli.destroying import destroy
from reconciler.guard import Consent
from reconciler.model.command import Command
from reconciler.model.diagnostic import Refused, SpecError
from tests.fleet import Fleet, problems

POOL = "zroot/reconciler"


def jail(name: str, more: str = "") -> str:
    """A stopped jail, the cheapest there is."""
    return f"---\nkind: Jail\nname: {name}\nrelease: 15.1-RELEASE\nstate: stopped\n{more}"


def fleet_of(*names: str) -> str:
    """Several of them."""
    return "".join(jail(name) for name in names)


def codes(fleet: Fleet, **options: object) -> list[str]:
    """What the guard says."""
    return [refusal.code for refusal in fleet.decide(**options).refusals]


@pytest.fixture
def five(fleet: Fleet) -> Fleet:
    """Five jails, converged."""
    fleet.write(fleet_of("a", "b", "c", "d", "e"))
    assert problems(fleet.apply(jobs=2)) == []
    return fleet


def test_two_of_five_may_go_without_a_word(five: Fleet) -> None:
    five.write(fleet_of("a", "b", "c"))
    assert codes(five) == []
    assert problems(five.apply()) == []
    assert five.titles() == []


def test_three_of_five_need_consent(five: Fleet) -> None:
    five.write(fleet_of("a", "b"))
    assert codes(five) == ["prune-many"]
    assert codes(five, consent=Consent(prune=True)) == []


def test_all_of_them_never_go_whatever_is_consented(five: Fleet) -> None:
    five.write(fleet_of("other"))
    assert codes(five) == ["prune-all"]
    assert codes(five, consent=Consent(prune=True)) == ["prune-all"]


def test_a_higher_share_may_go_where_the_host_allows_it(five: Fleet) -> None:
    host = 'kind: Host\nname: h\nmatch: {hostname: "*"}\npolicy: {max_prune_percent: 60}\n'
    five.write(host + fleet_of("a", "b"))
    assert codes(five) == []


def test_a_single_file_another_folder_and_only_never_prune(five: Fleet) -> None:
    five.write(fleet_of("a", "b", "c"))
    one = five.specs / "fleet.yaml"
    for options in ({"path": one}, {"only": frozenset({"a"})}):
        decided = five.decide(**options)
        assert decided.plan.empty, options
    other = five.folder / "elsewhere"
    other.mkdir()
    (other / "fleet.yaml").write_text(one.read_text())
    decided = five.decide(path=other)
    assert decided.plan.empty
    assert {(note.scope, note.code) for note in decided.plan.notes} == {("d", "not-pruned"), ("e", "not-pruned")}


def test_another_folder_may_prune_once_it_is_adopted(five: Fleet) -> None:
    other = five.folder / "elsewhere"
    other.mkdir()
    (other / "fleet.yaml").write_text(fleet_of("a", "b", "c"))
    titles = five.titles(path=other, adopt_source=True)
    assert f": record {other} as the source of this pool" in titles
    assert sum("mark jails/" in title for title in titles) == 2
    assert problems(five.apply(path=other, adopt_source=True)) == []
    assert five.titles(path=other) == []
    assert codes(five) == []
    assert {note.code for note in five.decide().plan.notes} <= {"not-pruned"}


def test_protection_holds_when_the_spec_is_gone(fleet: Fleet) -> None:
    fleet.write(fleet_of("a", "b") + jail("safe", "protect: true\n"))
    assert problems(fleet.apply()) == []
    fleet.write(fleet_of("a", "b"))
    assert codes(fleet, consent=Consent(prune=True, data_loss=frozenset({"safe"}))) == ["jail-protected"]
    fleet.write(fleet_of("a", "b") + jail("safe"))
    assert "safe: no longer protect jails/safe" in fleet.titles()
    assert problems(fleet.apply()) == []
    fleet.write(fleet_of("a", "b"))
    assert codes(fleet) == []


def test_a_volume_that_leaves_its_spec_needs_consent_is_only_marked_and_comes_back(fleet: Fleet) -> None:
    volume = "volumes: [{name: data, mountpoint: /data}]\n"
    fleet.write(jail("a", volume) + jail("b"))
    assert problems(fleet.apply()) == []
    guid = {row.name: row.guid for row in fleet.session().observed.datasets}[f"{POOL}/volumes/a/data"]
    fleet.write(fleet_of("a", "b"))
    assert codes(fleet) == ["volume-undeclared"]
    consent = Consent(data_loss=frozenset({"a/data"}))
    assert codes(fleet, consent=consent) == []
    assert problems(fleet.apply(consent=consent)) == []
    row = fleet.session().seen.rows["volumes/a/data"]
    assert (row.guid, bool(row.user.get("pruned"))) == (guid, True)
    assert codes(fleet) == []
    fleet.write(jail("a", volume) + jail("b"))
    assert problems(fleet.apply()) == []
    row = fleet.session().seen.rows["volumes/a/data"]
    assert (row.guid, row.user.get("pruned")) == (guid, None)
    assert fleet.titles() == []


def test_builds_are_refused_below_the_free_space_that_the_host_wants(fleet: Fleet) -> None:
    fleet.write(jail("a"))
    assert problems(fleet.apply()) == []
    host = 'kind: Host\nname: h\nmatch: {hostname: "*"}\npolicy: {min_free: 900T}\n'
    fleet.write(host + jail("a"))
    assert codes(fleet) == []
    fleet.write(host + jail("a") + jail("b"))
    assert codes(fleet) == ["free-space-low"]


def test_what_nothing_pins_is_said_or_denied_before_it_is_built(fleet: Fleet) -> None:
    fleet.write(jail("a", "pkg: [curl]\n"))
    assert [(n.code, n.failing) for n in fleet.decide().plan.notes] == [("unpinned", False)]
    host = 'kind: Host\nname: h\nmatch: {hostname: "*"}\npolicy: {unpinned: deny}\n'
    fleet.write(host + jail("a", "pkg: [curl]\n") + jail("b"))
    decided = fleet.decide()
    assert [(n.scope, n.code, n.failing) for n in decided.plan.notes] == [("a", "unpinned", True)]
    assert {step.scope for step in decided.plan.steps} == {"", "b"}
    makejail = 'makejail: {text: "PKG curl"}\n'
    fleet.write(host + jail("a", makejail) + jail("b"))
    assert [n.code for n in fleet.decide().plan.notes] == ["unpinned"]


def test_code_on_the_host_is_for_those_who_may(fleet: Fleet) -> None:
    policy = 'kind: Host\nname: h\nmatch: {{hostname: "*"}}\npolicy: {{host_code: {}, host_code_allowed: [a]}}\n'
    jails = "".join(jail(name, 'makejail: {text: "CMD --local true"}\n') for name in "ab")
    for host_code, denied in (("allow", []), ("listed", ["b"]), ("deny", ["a", "b"])):
        fleet.write(policy.format(host_code) + jails)
        notes = [n.scope for n in fleet.decide().plan.notes if n.code == "host-code-denied"]
        assert notes == denied, host_code


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("secrets: [{name: key, from: {command: [/bin/echo, x]}, path: /run/secrets/key}]", "the secret key"),
        ('makejail: {text: "STAGE start\\nRAW true"}', "runs code on the host"),
        ('makejail: {text: "STAGE stop\\nCMD --local true"}', "runs code on the host"),
    ],
)
def test_what_runs_on_the_host_at_every_start_is_code_on_the_host_too(fleet: Fleet, line: str, words: str) -> None:
    policy = 'kind: Host\nname: h\nmatch: {hostname: "*"}\npolicy: {host_code: deny}\n'
    fleet.write(policy + jail("a", f"{line}\n"))
    assert [words in n.text for n in fleet.decide().plan.notes if n.code == "host-code-denied"] == [True]
    quiet = 'makejail: {text: "STAGE start\\nCMD true"}\n'
    fleet.write(policy + jail("a", quiet))
    assert "host-code-denied" not in [n.code for n in fleet.decide().plan.notes]


def test_a_volume_on_another_pool_lies_there_and_is_not_made_anew_here(fleet: Fleet) -> None:
    def spec(pool: str) -> str:
        return jail("a", f"volumes: [{{name: data, mountpoint: /data{pool}}}]\n")

    fleet.write(spec(", pool: zroot/fast"))
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    done = fleet.runner.run(Command(("zfs", "list", "-Ho", "name,canmount,mountpoint", "-r", "zroot/fast")))
    assert done.stdout.decode().splitlines() == [
        "zroot/fast\toff\tnone",
        "zroot/fast/volumes\toff\tnone",
        "zroot/fast/volumes/a\toff\tnone",
        "zroot/fast/volumes/a/data\tnoauto\tlegacy",
    ]
    fleet.write(spec(""))
    decided = fleet.decide()
    assert decided.plan.empty
    assert [(n.code, n.failing) for n in decided.plan.notes] == [("volume-elsewhere", True)]


def test_the_parent_that_an_operator_made_for_volumes_stays_as_it_is(fleet: Fleet) -> None:
    fleet.runner.run(Command(("zfs", "create", "-o", "mountpoint=/fast", "zroot/fast")))
    fleet.write(jail("a", "volumes: [{name: data, mountpoint: /data, pool: zroot/fast}]\n"))
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    done = fleet.runner.run(Command(("zfs", "get", "-Ho", "value", "mountpoint,reconciler:owner", "zroot/fast")))
    assert done.stdout.decode().split() == ["/fast", "-"]


def test_a_protected_jail_cannot_be_destroyed_either(fleet: Fleet) -> None:
    fleet.write(jail("a") + jail("safe", "protect: true\n"))
    assert problems(fleet.apply()) == []
    fleet.write(jail("a"))
    run = fleet.session()
    with pytest.raises(Refused) as refused:
        destroy(run, "safe", yes=True)
    assert [problem.code for problem in refused.value.diagnostics] == ["jail-protected"]


def test_a_removal_that_was_cut_off_goes_on_without_a_word(fleet: Fleet) -> None:
    other = "---\nkind: Jail\nname: other\nrelease: 15.1-RELEASE\nstate: stopped\n"
    gone = "---\nkind: Jail\nname: gone\nrelease: 15.1-RELEASE\nstate: stopped\n"
    fleet.write(other + gone + "volumes: [{name: www, mountpoint: /usr/local/www}]\n")
    fleet.apply()
    fleet.write(other)
    # The first mark is the jail's, then the power goes.
    done = fleet.runner.run(Command(("zfs", "set", "reconciler:pruned=2026-11-22", "zroot/reconciler/jails/gone")))
    assert done.status == 0
    assert [title for title in fleet.titles() if "volume gone/www" in title]
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []


def test_a_name_that_is_not_whole_destroys_nothing(fleet: Fleet) -> None:
    fleet.write(jail("a") + jail("gone", "volumes: [{name: www, mountpoint: /usr/local/www}]\n"))
    assert problems(fleet.apply()) == []
    fleet.write(jail("a"))
    run = fleet.session()
    for name in ("", "/", "gone/", "/www", "jails", "volumes"):
        with pytest.raises(SpecError) as error:
            destroy(run, name, yes=True)
        assert [problem.code for problem in error.value.diagnostics] == ["unknown-jail"], name
    assert set(run.seen.rows) == set(fleet.session().seen.rows)
