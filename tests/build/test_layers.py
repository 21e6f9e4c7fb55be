"""Makejails are executed by segments: what is built is used again, what fails leaves nothing, what lives runs again."""

from __future__ import annotations

import pytest

from reconciler.model.command import Command, Completed
from reconciler.model.outcome import Report
from reconciler.wrapper import Wrapper
from tests.fleet import Fleet, problems
from tests.laws.dead import Died, DyingRunner

WEB = """
kind: Jail
name: web
release: 15.1-RELEASE
makejail: {file: web.makejail}
"""
POOL = "zroot/reconciler"


def makejail(fleet: Fleet, *lines: str, name: str = "web.makejail") -> None:
    (fleet.specs / name).write_text("".join(f"{line}\n" for line in lines))


def shell(fleet: Fleet, *argv: str) -> str:
    done = fleet.runner.run(Command(argv))
    return done.stdout.decode()


def layers(fleet: Fleet) -> list[str]:
    """Datasets and snapshots of layers."""
    names = shell(fleet, "zfs", "list", "-H", "-o", "name", "-r", "-t", "filesystem,snapshot", f"{POOL}/layers")
    return [name for name in names.split() if name != f"{POOL}/layers"]


def build_titles(fleet: Fleet) -> list[str]:
    """What a plan would build, without digests."""
    return [title.partition("  ")[2] for title in fleet.titles() if ": layer " in title]


def build_jails(fleet: Fleet) -> list[str]:
    return [name for name in shell(fleet, "jls", "name").split() if name.startswith("rcb-")]


def inside(fleet: Fleet, path: str, jail: str = "web") -> str:
    return shell(fleet, "jexec", jail, "cat", path)


def failure(report: Report) -> str:
    return next(r.diagnostics[0] for r in report.failed if r.outcome == "failed").detail


def test_editing_the_last_instruction_runs_only_it(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, "CMD echo one >>/root/log", "CMD echo two >>/root/log", "CMD echo three >>/root/log")
    assert build_titles(fleet) == [f"build segment {n} of 3: CMD" for n in (1, 2, 3)]
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    makejail(fleet, "CMD echo one >>/root/log", "CMD echo two >>/root/log", "CMD echo four >>/root/log")
    assert build_titles(fleet) == ["build segment 3 of 3: CMD (2 already here)"]
    assert problems(fleet.apply()) == []
    assert inside(fleet, "/root/log").split() == ["one", "two", "four"]
    assert fleet.titles() == []


def test_two_jails_share_the_layers_that_they_have_in_common(fleet: Fleet) -> None:
    fleet.write(WEB + "---" + WEB.replace("web", "api"))
    makejail(fleet, "CMD echo shared >/root/log", "CMD echo web >>/root/log")
    makejail(fleet, "CMD echo shared >/root/log", "CMD echo api >>/root/log", name="api.makejail")
    assert sorted(build_titles(fleet)) == ["build segment 1 of 2: CMD", *["build segment 2 of 2: CMD"] * 2]
    assert problems(fleet.apply()) == []
    assert [inside(fleet, "/root/log", jail).split() for jail in ("web", "api")] == [
        ["shared", "web"], ["shared", "api"]
    ]  # fmt: skip


def test_a_failing_instruction_is_named_and_leaves_nothing(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, "CMD echo good >/root/log")
    assert problems(fleet.apply()) == []
    before = layers(fleet)
    makejail(fleet, "VAR x=1", "CMD echo so far so good; echo oops >&2; exit 7")
    report = fleet.apply()
    detail = failure(report)
    assert "web.makejail:2:1: CMD" in detail and detail.count("oops") == 1 and "status 7" in detail
    assert layers(fleet) == before
    assert build_jails(fleet) == []
    assert f"{POOL}/layers" not in shell(fleet, "mount")
    assert shell(fleet, "ls", "/reconciler/build").count(".work") == 0
    assert inside(fleet, "/root/log") == "good\n"


def test_the_instruction_that_failed_is_named_not_the_first_of_its_segment(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, "RAW if true; then", "    CMD true", "    CMD exit 3", "RAW fi")
    report = fleet.apply()
    found = next(d for r in report.failed for d in r.diagnostics if d.code == "build-failed")
    assert found.span is not None and found.span.line == 3


def test_layers_before_a_failure_stay_and_are_used(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, "CMD echo one >/root/log", "CMD false")
    assert len(fleet.apply().failed) > 0
    makejail(fleet, "CMD echo one >/root/log", "CMD true")
    assert build_titles(fleet) == ["build segment 2 of 2: CMD (1 already here)"]
    assert problems(fleet.apply()) == []


def test_what_a_live_layer_left_is_run_again(fleet: Fleet) -> None:
    fleet.write(WEB)
    live = "CMD echo run >>/root/log; sleep 300 >/dev/null 2>&1 &"
    makejail(fleet, "CMD echo first >/root/log", live, "CMD echo last >>/root/log")
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    makejail(fleet, "CMD echo first >/root/log", live, "CMD echo other >>/root/log")
    (title,) = build_titles(fleet)
    assert title == "build segment 3 of 3: CMD (1 already here; again, since live: segment 2)"
    assert problems(fleet.apply()) == []
    assert inside(fleet, "/root/log").split() == ["first", "run", "other"]
    assert fleet.titles() == []
    assert build_jails(fleet) == []


def test_host_code_is_listed_by_the_plan(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, "CMD true", "RAW echo out here", "CMD --local true")
    notes = [note for note in fleet.decide().plan.notes if note.code == "host-code"]
    (text,) = [note.text for note in notes]
    assert "web.makejail:2 RAW" in text and "web.makejail:3 CMD" in text and ":1 " not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ('cmd jexec "$APPJAIL_JAILNAME" sh -c "echo from inside >/root/log"', "from inside\n"),
        ('cmd jexec -d /root -e A=b "$APPJAIL_JAILNAME" sh -c "echo \\$PWD \\$A >log"', "/root b\n"),
        ('status -q "$APPJAIL_JAILNAME" && jexec "$RECONCILER_JAIL" sh -c "echo up >/root/log"', "up\n"),
    ],
)
def test_scripts_find_an_appjail_that_works_on_the_build_jail(fleet: Fleet, words: str, said: str) -> None:
    fleet.write(WEB)
    makejail(fleet, f"RAW appjail {words}")
    assert problems(fleet.apply()) == []
    assert inside(fleet, "/root/log") == said


def test_what_our_appjail_does_not_know_fails_with_its_name(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, 'RAW "$APPJAIL_SCRIPT" oci mount web')
    assert "oci mount web is not known here" in failure(fleet.apply())


def test_nothing_is_built_for_a_jail_that_may_not_run_host_code(fleet: Fleet) -> None:
    fleet.write(f'kind: Host\nname: here\nmatch: {{hostname: "*"}}\npolicy: {{host_code: deny}}\n---{WEB}')
    makejail(fleet, "RAW touch /tmp/was-here")
    assert build_titles(fleet) == []
    fleet.apply()
    assert "was-here" not in shell(fleet, "ls", "/tmp")


def test_only_builds_for_the_jail_that_is_named(fleet: Fleet) -> None:
    fleet.write(WEB + "---" + WEB.replace("web", "api"))
    makejail(fleet, "CMD true")
    makejail(fleet, "CMD false", name="api.makejail")
    assert problems(fleet.apply(only=frozenset({"web"}))) == []


def test_a_rebuild_runs_everything_and_leaves_what_is_there(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, "CMD echo one >/root/log", "CMD date +%s%N >>/root/log")
    assert problems(fleet.apply()) == []
    before = layers(fleet)
    rebuild = frozenset({"web"})
    assert build_titles(fleet) == []
    assert [t.partition("  ")[2] for t in fleet.titles(rebuild=rebuild) if "layer" in t] == [
        "build segment 1 of 2: CMD (again: no cache)", "build segment 2 of 2: CMD (again: no cache)"
    ]  # fmt: skip
    assert problems(fleet.apply(rebuild=rebuild)) == []
    now = layers(fleet)
    assert set(before) < set(now) and len(now) == 2 * len(before)
    assert fleet.titles() == []
    assert len(fleet.titles(rebuild=rebuild)) == 2


def test_two_jails_that_part_after_a_live_layer_each_run_it_again(fleet: Fleet) -> None:
    fleet.write(WEB + "---" + WEB.replace("web", "api"))
    live = "CMD echo run >>/root/log; sleep 300 >/dev/null 2>&1 &"
    part = 'CMD test "$(pgrep -x sleep | wc -l)" -gt 0; echo {} >>/root/log'
    makejail(fleet, live, part.format("web"))
    makejail(fleet, live, part.format("api"), name="api.makejail")
    assert problems(fleet.apply()) == []
    assert [inside(fleet, "/root/log", jail).split() for jail in ("web", "api")] == [["run", "web"], ["run", "api"]]
    assert fleet.titles() == []


def test_a_build_that_was_killed_is_begun_again_and_converges(fleet: Fleet) -> None:
    fleet.write(WEB)
    makejail(fleet, "CMD echo one >/root/log", "CMD echo two >>/root/log")
    for call in range(8, 60, 9):
        dying = DyingRunner(fleet.runner, call, after=bool(call % 2))
        try:
            fleet.apply(dying)
        except Died:
            continue
        break
    assert problems(fleet.apply()) == []
    assert inside(fleet, "/root/log").split() == ["one", "two"]
    assert fleet.titles() == []
    assert build_jails(fleet) == []


def test_a_mount_that_a_segment_left_makes_its_layer_live(fleet: Fleet) -> None:
    fleet.write(WEB)
    mount = 'RAW mkdir -p "$APPJAIL_JAILDIR/mnt"; mount -t tmpfs tmpfs "$APPJAIL_JAILDIR/mnt"'
    makejail(fleet, mount, "CMD true")
    assert problems(fleet.apply()) == []
    marked = shell(fleet, "zfs", "get", "-H", "-o", "value", "reconciler:live", *layers(fleet)[1:])
    assert marked.split() == ["on", "on"]  # it is there while the second runs, too
    makejail(fleet, mount, "CMD echo other")
    assert build_titles(fleet) == ["build segment 2 of 2: CMD (again, since live: segment 1)"]


def test_a_makejail_beside_the_specs_is_named_by_the_line_that_somebody_wrote(fleet: Fleet) -> None:
    fleet.write(WEB.replace("file: web", "file: ../makejails/web"))
    (fleet.specs.parent / "makejails").mkdir()
    makejail(fleet, "ARG port=80", "PKG nginx", "CMD echo $port >/root/port", name="../makejails/web.makejail")

    plan = fleet.decide().plan

    assert build_titles(fleet) == ["build segment 1 of 2: PKG", "build segment 2 of 2: CMD"]
    (said,) = (note for note in plan.notes if note.code == "unpinned")
    assert said.text.startswith("PKG reads the network")
    assert str(said.span).endswith("/makejails/web.makejail:2:1")


class NoHold(Wrapper):
    """The run is killed when it comes to hold a snapshot below a dataset."""

    below = ""

    def run(self, command: Command) -> Completed:
        """Anything else goes through."""
        if command.argv[:2] == ("zfs", "hold") and command.argv[-1].startswith(f"{POOL}/{self.below}"):
            raise Died
        return self.inner.run(command)


@pytest.mark.parametrize(("below", "told"), [("releases", "correct dataset releases/"), ("layers", "hold layer ")])
def test_a_hold_that_a_kill_prevented_is_put_by_the_next_run(fleet: Fleet, below: str, told: str) -> None:
    fleet.write(WEB)
    makejail(fleet, "CMD echo one >/root/log")
    dying = NoHold(fleet.runner)
    dying.below = below
    with pytest.raises(Died):
        fleet.apply(dying)
    assert any(told in title for title in fleet.titles()), fleet.titles()
    assert problems(fleet.apply()) == []
    assert fleet.titles() == []
    snapshots = shell(fleet, "zfs", "list", "-H", "-o", "name,userrefs", "-t", "snapshot", "-r", POOL).splitlines()
    held = {line.split("/")[2]: line.endswith("\t1") for line in snapshots}
    assert held == {"releases": True, "layers": True, "jails": False}
