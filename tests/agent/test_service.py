"""rc.d/reconciler under the sandbox's rc.subr and daemon, with a program that does as the agent is told to.

What a real FreeBSD's rc.subr and daemon(8) do with it was not seen.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.agent.settings import load_config
from reconciler.hosts.sandbox import rc
from reconciler.model.command import Completed
from tests.runtime.machine import Place
from tests.waiting import until

TOP = Path(__file__).parents[2]
SCRIPT = TOP / "rc.d/reconciler"
CONFIG = "/usr/local/etc/reconciler/agent.yaml"
# What the agent does as far as rc.d can see: reads its configuration, notes signals, ends when it is told to.
PROGRAM = b"""#!/bin/sh
case "$2" in --check) grep -q broken "$4" && { echo "error[bad-value]: $4:1:1" >&2; exit 1; }; exit 0;; esac
echo "started with $*" >> /tmp/said
trap 'echo hangup >> /tmp/said' HUP
trap 'echo ending >> /tmp/said; exit 0' TERM
while :; do sleep 0.1 & wait $!; done
"""


class Machine(Place):
    """A machine with the agent's service."""

    def service(self, *words: str) -> Completed:
        """service reconciler WORDS."""
        return self.run("service", "reconciler", *words)

    def said(self) -> list[str]:
        """What the program noted."""
        return (self.read("/tmp/said") or "").splitlines()

    def until(self, line: str) -> None:
        """Wait until it noted that."""
        until(lambda: line in self.said(), self.said)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Machine]:
    """A machine on which the service is installed and enabled."""
    made = Machine(tmp_path / "machine")
    for folder in (
        "/usr/local/etc/rc.d",
        "/usr/local/bin",
        "/usr/local/etc/reconciler",
        "/etc/rc.conf.d",
        "/var/run",
        "/var/log",
        "/proc",
    ):
        made.ok("mkdir", "-p", folder)
    made.runner.write("/usr/local/etc/rc.d/reconciler", SCRIPT.read_bytes(), 0o555)
    made.runner.write("/usr/local/bin/reconcile", PROGRAM, 0o755)
    made.runner.write(CONFIG, b"sources: []\n", 0o600)
    made.runner.write("/etc/rc.conf.d/reconciler", b'reconciler_enable="YES"\nreconciler_restart_delay="1"\n', 0o644)
    yield made
    made.power_off()


def test_a_life_of_the_service(place: Machine):
    assert place.service("status").status == 1
    started = place.service("start")
    assert started.status == 0, started
    place.until(f"started with agent --config {CONFIG}")
    assert b"is running as pid" in place.service("status").stdout
    assert place.service("start").status == 1, "it runs already"
    assert place.service("reload").status == 0
    place.until("hangup")
    assert place.service("stop").status == 0
    assert place.said()[-1] == "ending"
    assert place.service("status").status == 1 and place.service("stop").status == 1
    assert place.service("reload").status == 1


def test_it_is_started_again_when_it_dies_by_itself(place: Machine):
    assert place.service("start").status == 0
    place.until(f"started with agent --config {CONFIG}")
    first = place.read("/var/run/reconciler-agent.pid")
    place.ok("sh", "-c", "kill -9 $(cat /var/run/reconciler-agent.pid)")
    until(lambda: len(place.said()) == 2, place.said)
    assert place.read("/var/run/reconciler-agent.pid") != first
    assert place.service("stop").status == 0


def test_a_configuration_that_cannot_be_used_starts_nothing_and_ends_nothing(place: Machine):
    place.runner.write(CONFIG, b"broken\n", 0o600)
    for verb in ("start", "restart", "configtest"):
        refused = place.service(verb)
        assert refused.status == 1 and b"agent.yaml:1:1" in refused.stderr, verb
    place.runner.write(CONFIG, b"sources: []\n", 0o600)
    assert b"can be used" in place.service("configtest").stdout
    assert place.service("start").status == 0
    place.until(f"started with agent --config {CONFIG}")
    place.runner.write(CONFIG, b"broken\n", 0o600)
    assert place.service("restart").status == 1
    assert place.service("status").status == 0 and "ending" not in place.said()


def test_a_reload_checks_the_configuration_first(place: Machine):
    assert place.service("start").status == 0
    place.until(f"started with agent --config {CONFIG}")
    place.runner.write(CONFIG, b"broken\n", 0o600)
    refused = place.service("reload")
    assert refused.status == 1 and b"agent.yaml:1:1" in refused.stderr
    assert place.service("status").status == 0 and "hangup" not in place.said()


def test_a_service_that_was_disabled_meanwhile_is_stopped_all_the_same(place: Machine):
    assert place.service("start").status == 0
    place.until(f"started with agent --config {CONFIG}")
    place.runner.write("/etc/rc.conf.d/reconciler", b'reconciler_enable="NO"\n', 0o644)
    assert place.service("stop").status == 0
    assert place.said()[-1] == "ending" and place.service("status").status == 1


def test_at_shutdown_it_is_not_waited_for_as_long_as_otherwise(place: Machine):
    place.runner.write("/usr/local/bin/reconcile", PROGRAM.replace(b"; exit 0' TERM", b"' TERM"), 0o755)
    conf = b'reconciler_enable="YES"\nreconciler_shutdown_timeout="0"\n'
    place.runner.write("/etc/rc.conf.d/reconciler", conf, 0o644)
    assert place.service("faststop").status == 0, "nothing is there to be stopped"
    assert place.service("start").status == 0
    place.until(f"started with agent --config {CONFIG}")
    late = place.service("faststop")
    assert late.status == 1 and b"still works after 0 seconds" in late.stderr
    place.until("ending")
    assert place.service("start").status == 1, "one at a time"


@pytest.mark.parametrize("path", ["/usr/local/bin/reconcile", CONFIG])
def test_what_is_missing_is_named(place: Machine, path: str):
    place.ok("rm", path)
    refused = place.service("start")
    assert refused.status == 1 and path.encode() in refused.stderr


def test_flags_and_the_log_go_where_they_should(place: Machine):
    conf = (
        "reconciler_enable=YES",
        """reconciler_flags="--set interval=5m --set 'labels={a: b}'\"""",
        "reconciler_logfile=/var/log/other.log",
    )
    place.runner.write("/etc/rc.conf.d/reconciler", "\n".join(conf).encode(), 0o644)
    assert place.service("start").status == 0
    place.until(f"started with agent --config {CONFIG} --set interval=5m --set labels={{a: b}}")
    assert place.ok("stat", "-f", "%Lp", "/var/log/other.log").strip() == "0600"
    assert place.service("stop").status == 0


def test_pid_files_of_processes_that_are_gone_or_others_mean_nothing(place: Machine):
    place.ok("sh", "-c", "sleep 300 & echo $! > /tmp/other; cp /tmp/other /var/run/reconciler-agent.pid")
    other = (place.read("/tmp/other") or "").encode()
    for text in (other, b"999999\n", b"", b"-1\n", b"1; rm -rf /\n"):
        place.runner.write("/var/run/reconciler.pid", text)
        assert place.service("status").status == 1
        assert place.service("stop").status == 1
    place.ok("sh", "-c", "kill -0 $(cat /tmp/other)")


def test_it_starts_after_the_jails_and_stops_before_them(place: Machine):
    place.runner.write("/usr/local/etc/rc.d/reconciler_jails", (TOP / "rc.d/reconciler_jails").read_bytes(), 0o555)
    order = [script.name for script in rc.ordered(place.runner.machine) if script.name.startswith("reconciler")]
    assert order == ["reconciler_jails", "reconciler"]
    heads = SCRIPT.read_text()
    assert re.search(r"^# KEYWORD: shutdown$", heads, re.MULTILINE), "else shutdown ends it with the jails"


def test_both_scripts_are_clean():
    linter = shutil.which("shellcheck")
    if linter is None:
        pytest.skip("no shellcheck on this machine (Debian: shellcheck)")
    scripts = [SCRIPT, SCRIPT.with_name("reconciler_jails"), *sorted((TOP / "contrib").rglob("*.sh"))]
    done = subprocess.run([linter, *scripts], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""


def test_every_variable_is_told_in_the_head_and_has_a_default():
    text = SCRIPT.read_text()
    told = set(re.findall(r"^#   (reconciler_\w+)=", text, re.MULTILINE))
    defaults = set(re.findall(r'^: "\$\{(reconciler_\w+):?=', text, re.MULTILINE))
    assert told == defaults
    page = (TOP / "docs/service.md").read_text()
    assert not [name for name in told if f"`{name}`" not in page]


def test_the_wheel_brings_everything_that_the_agent_reads(tmp_path: Path):
    hatchling = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is not installed here")
    built = next(hatchling.WheelBuilder(str(TOP)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(built) as wheel:
        names = set(wheel.namelist())
    folder = TOP / "reconciler/agent"
    for part in (*folder.glob("templates/*"), *folder.glob("static/*")):
        assert str(part.relative_to(TOP)) in names
    assert {"reconciler/data/reconciler", "reconciler/data/reconciler_jails"} <= names


def test_the_port_asks_for_what_the_package_asks_for():
    """Names and least versions of dependencies, and every file that the port installs, are there."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[>=]+", one)[0].lower(): one.split(">=")[1] for one in project["dependencies"]}
    port = (TOP / "contrib/port/Makefile").read_text()
    asked = {name.lower(): least for name, least in re.findall(r"PYTHON_PKGNAMEPREFIX\}([\w.-]+)>=([\d.]+):", port)}
    asked["pydantic"] = asked.pop("pydantic2")
    del asked["hatchling"]
    assert asked == wanted
    for source in re.findall(r"\$\{WRKSRC\}/(\S+)", port):
        assert (TOP / source).is_file(), source
    for source in re.findall(r"\$\{FILESDIR\}/(\S+)", port):
        assert (TOP / "contrib/port/files" / source).is_file(), source
    listed = (TOP / "contrib/port/pkg-plist").read_text()
    assert all(name in listed for name in ("etc/rc.d/reconciler", "agent.yaml.sample", "reconcile.8"))


def test_the_sample_configuration_is_one_that_the_agent_takes():
    load_config(TOP / "contrib/port/files/agent.yaml.sample", {})
