"""What is said of a configuration that can be used, who gave each setting, and how long commits have waited."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconciler.agent.caution import absent, cautions, settled
from reconciler.agent.config import AgentConfig, SourceConfig
from reconciler.agent.jails import Failing
from reconciler.agent.remote import access
from reconciler.agent.settings import load_settings
from reconciler.agent.waited import Waited
from reconciler.cli.agency import make_agent
from reconciler.cli.agent_check import told
from reconciler.model.diagnostic import Refused

SIGNED = {"verify": "commits", "allowed_signers": "/etc/keys"}


def config(**more: object) -> AgentConfig:
    return AgentConfig.model_validate({"sources": [{"url": "https://h.example/x.git"}]} | more)


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("git://h.example/x.git", 1),
        ("HTTP://h.example:80/x.git", 1),
        ("git://127.0.0.1.example/x.git", 1),
        ("git://127.0.0.1/x.git", 0),
        ("http://localhost:3000/x.git", 0),
        ("git://[::1]/x.git", 0),
        ("https://h.example/x.git", 0),
        ("ssh://git@h.example/x.git", 0),
        ("git@h.example:x.git", 0),
        ("file:///srv/x.git", 0),
        ("/srv/x.git", 0),
        ("http://[/x", 0),
    ],
)
def test_a_source_that_anybody_on_the_way_may_change_is_told_of(url: str, count: int) -> None:
    found = cautions(config(sources=[{"url": url}]))
    assert [(one.code, one.severity) for one in found] == [("source-unprotected", "warning")] * count
    assert "secret" not in str(found)
    assert cautions(config(sources=[{"url": url}], trust=SIGNED)) == ()


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("https://h.example/x.git", {"https_proxy", "NO_PROXY"}),
        ("ssh://git@h.example/x.git", {"https_proxy", "NO_PROXY"}),
        ("http://127.0.0.1:3000/x.git", set()),
        ("http://[/x", {"https_proxy", "NO_PROXY"}),
    ],
)
def test_a_proxy_of_the_environment_is_gone_through_but_not_to_this_machine(
    monkeypatch: pytest.MonkeyPatch, url: str, names: set[str]
) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", ".example.org")
    _, env = access(SourceConfig(url=url))
    assert {name for name in env if "proxy" in name.lower()} == names


@pytest.mark.parametrize(
    ("web", "count"),
    [
        ({}, 0),
        ({"listen": "127.0.0.1:8399"}, 0),
        ({"listen": "localhost:8399"}, 0),
        ({"listen": "[::1]:8399"}, 0),
        ({"listen": "0.0.0.0:8399"}, 1),
        ({"listen": "[::]:8399"}, 1),
        ({"listen": "jails1.example.org:8399"}, 1),
        ({"listen": "0.0.0.0:8399", "private": True, "token_file": "/t"}, 0),
    ],
)
def test_a_page_that_others_may_read_is_told_of(web: dict[str, object], count: int) -> None:
    assert [one.code for one in cautions(config(web=web))] == ["page-unprotected"] * count


def test_a_check_tells_which_files_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "signers").touch()
    source = {"url": "ssh://git@h.example/x.git", "identity": str(tmp_path / "key")}
    given = config(
        sources=[source],
        trust={"verify": "commits", "allowed_signers": str(tmp_path / "signers"), "gpg_home": str(tmp_path / "gpg")},
        web={"token_file": str(tmp_path / "token")},
        notify=[{"url": "https://n.example/", "secret_file": str(tmp_path / "secret")}],
    )
    found = [one.detail.partition(":")[0] for one in absent(given)]
    assert found == ["trust.gpg_home", "sources.0.identity", "web.token_file", "notify.0.secret_file"]
    file = tmp_path / "agent.yaml"
    file.write_text(
        f"sources: [{{url: a}}]\nwebhook: {{secret_file: {tmp_path}/none}}\nweb: {{listen: '127.0.0.1:1'}}\n"
    )
    assert told(file, {}) == 0
    assert "config-file-missing" in capsys.readouterr().err


def test_another_configuration_is_no_restart() -> None:
    before = make_agent(config(host="sandbox:/nonexistent"))
    before.first_seen["origin"] = "a"
    before.failures.found["web"] = Failing(3, 1e9, 1e9, "x")
    after = make_agent(config(host="sandbox:/nonexistent", jobs=9), before=before)
    assert (after.first_seen, after.failures.found, after.board) == (
        before.first_seen,
        before.failures.found,
        before.board,
    )


def test_a_token_in_the_open_is_told_of_even_where_commits_are_signed() -> None:
    source = {"url": "http://h.example/x.git", "token_file": "/etc/token"}
    assert ["/etc/token" in one.detail for one in cautions(config(sources=[source]))] == [False, True]
    assert ["/etc/token" in one.detail for one in cautions(config(sources=[source], trust=SIGNED))] == [True]


def test_what_an_agent_is_for_is_changed_by_no_reload() -> None:
    assert settled(config(), config(interval="5m")).interval == 300
    with pytest.raises(Refused, match="Another pool and state"):
        settled(config(), config(pool="tank/r", state="/var/other", interval="5m"))


def test_each_setting_says_who_gave_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("sources:\n  - url: ssh://u:hunter2@h.example/x.git\ninterval: 2m\nweb: {listen: '127.0.0.1:1'}\n")
    environ = {"RECONCILER_AGENT_JITTER": "2s", "RECONCILER_AGENT_WINDOWS": "{deny: [{days: [sun]}]}"}
    _, found = load_settings(file, environ, {"web.private": "true", "web.token_file": "/t", "interval": "3m"})
    origins = {one.name: one.origin for one in found}
    assert origins["sources.0.url"] == f"{file}:2:10" and origins["sources.0.branch"] == "default"
    assert (origins["interval"], origins["jitter"]) == ("--set interval", "environment RECONCILER_AGENT_JITTER")
    assert (origins["web.listen"], origins["web.private"]) == (f"{file}:4:15", "--set web.private")
    assert origins["windows.deny.0.days"] == "environment RECONCILER_AGENT_WINDOWS"
    assert (origins["windows.deny.0.begin"], origins["backoff"]) == ("default", "default")
    assert told(file, {"backoff": "7s"}) == 0
    said = capsys.readouterr()
    rows = {line.split()[0]: line.split()[1:] for line in said.out.splitlines()}
    assert rows["backoff"] == ["7", "--set", "backoff"]
    assert set(rows) >= {name for name in origins if not name.startswith("windows.")}
    assert "hunter2" not in said.out + said.err and "ssh://h.example/x.git" in said.out


def test_a_commit_goes_on_waiting_after_a_restart_by_the_time_that_somebody_could_object(tmp_path: Path) -> None:
    now = 1000.0
    first = Waited(tmp_path, lambda: now)
    assert first.seconds("a") == 0.0
    now += 600
    assert first.keep("a") == 600.0
    now = 5.0  # another boot: its clock begins anew
    second = Waited(tmp_path, lambda: now)
    assert second.seconds("a") == 600.0
    now += 60
    assert (second.seconds("a"), second.seconds("b")) == (660.0, 0.0)
    second.forget("a")
    assert second.seconds("a") == 0.0
    assert Waited(tmp_path, lambda: now).seconds("a") == 0.0


@pytest.mark.parametrize("text", ["", "[", "[1]", '{"a": "x"}', '{"a": -1}', '{"a": 1e99}', '{"a": NaN}', "null"])
def test_what_is_damaged_makes_nothing_wait_less(tmp_path: Path, text: str) -> None:
    (tmp_path / "waited.json").write_text(text)
    assert Waited(tmp_path, lambda: 1.0).seconds("a") == 0.0


def test_what_others_may_write_makes_nothing_wait_less(tmp_path: Path) -> None:
    file = tmp_path / "waited.json"
    file.write_text(json.dumps({"a": 5000.0}))
    assert Waited(tmp_path, lambda: 1.0).seconds("a") == 5000.0
    file.chmod(0o666)
    assert Waited(tmp_path, lambda: 1.0).seconds("a") == 0.0
    file.unlink()
    (tmp_path / "elsewhere").write_text(json.dumps({"a": 5000.0}))
    os.symlink(tmp_path / "elsewhere", file)
    assert Waited(tmp_path, lambda: 1.0).seconds("a") == 0.0


def test_only_so_many_commits_are_kept(tmp_path: Path) -> None:
    waited = Waited(tmp_path, lambda: 1.0)
    for number in range(500):
        waited.keep(str(number))
    assert len(json.loads((tmp_path / "waited.json").read_text())) <= 100 and len(waited._since) <= 100
