"""The agent's configuration: one precedence, every problem at once with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.agent.config import AgentConfig
from reconciler.agent.settings import load_config
from reconciler.model.diagnostic import SpecError
from reconciler.spec.schema import schema_of, text

PLAIN = "sources:\n  - url: https://git.example.org/jails.git\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "agent.yaml"
    file.write_text(text)
    return file


def wrong(folder: Path, text: str, environ: dict[str, str] | None = None, **flags: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_config(written(folder, text), environ or {}, flags)
    return [f"{d.span and str(d.span).removeprefix(str(folder) + '/')} {d.code}" for d in caught.value.diagnostics]


def test_a_source_is_all_that_has_to_be_said(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, PLAIN), {})
    assert config == AgentConfig.model_validate({"sources": [{"url": "https://git.example.org/jails.git"}]})
    assert (config.interval, config.approval.mode, config.trust.verify) == (60.0, "automatic", "none")


def test_flags_rule_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, PLAIN + "interval: 1m\njitter: 1s\nweb: {listen: '127.0.0.1:1'}\nbackoff: 5s\n")
    environ = {"RECONCILER_AGENT_INTERVAL": "2m", "RECONCILER_AGENT_JITTER": "2s", "PATH": "/bin"}
    environ |= {"RECONCILER_AGENT_WEB__ACTIONS": "true"}
    config = load_config(file, environ, {"interval": "3m", "web.token_file": "/etc/token"})
    assert (config.interval, config.jitter, config.backoff) == (180.0, 2.0, 5.0)
    assert (config.web.listen, config.web.actions, config.web.token_file) == ("127.0.0.1:1", True, "/etc/token")


def test_the_environment_may_say_everything() -> None:
    config = load_config(None, {"RECONCILER_AGENT_SOURCES": "[{path: /srv/specs}]", "RECONCILER_AGENT_FOLDER": "''"})
    assert (config.sources[0].path, config.folder) == ("/srv/specs", "")


def test_every_problem_is_told_at_its_place(tmp_path: Path) -> None:
    text = "sources:\n  - {url: --upload-pack=x, brunch: main}\ninterval: soon\nwindows: {allow: [{begin: '25:00'}]}\n"
    assert wrong(tmp_path, text, {"RECONCILER_AGENT_JOBS": "many"}, **{"web.listen": "here"}) == [
        "--set web.listen bad-value",
        "agent.yaml:2:28 unknown-key",
        "agent.yaml:3:11 bad-value",
        "agent.yaml:4:27 bad-value",
        "environment RECONCILER_AGENT_JOBS wrong-type",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sources: []",
        "sources: [{}]",
        "sources: [{url: a, path: /b}]",
        "sources: [{url: 'ext::sh -c x'}]",
        "sources: [{url: '::x'}]",
        "sources: [{url: 'https://ada:secret@h.example/x.git'}]",
        "sources: [{url: 'HTTP://token@h.example/x.git'}]",
        "sources: [{url: a}]\nwindows: {zone: Europe/Nowhere}",
        "sources: [{url: a}]\nwindows: {zone: Europe}",
        "sources: [{url: a}]\nwindows: {zone: /etc/localtime}",
        "sources: [{url: a}]\nwindows: {zone: ''}",
        "sources: [{url: a}, {url: b}]",
        "sources: [{url: a}, {path: /b, name: b}]",
        "sources: [{path: /b}]\ntrust: {verify: commits, gpg_home: /k}",
        "sources: [{url: a}]\ntrust: {verify: commits}",
        "sources: [{url: a}]\ntrust: {verify: tags, gpg_home: /k}",
        "sources: [{url: a, branch: --all}]",
        "sources: [{url: a, branch: a..b}]",
        "sources: [{url: a}]\nfolder: ../x",
        "sources: [{url: a}]\nfolder: a/../../x",
        "sources: [{url: a}]\nfolder: /x",
        "sources: [{url: a}]\nnotify: [{}]",
        "- 1",
        "a: [",
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str) -> None:
    assert wrong(tmp_path, text)


def test_a_named_file_that_is_missing_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_config(tmp_path / "none.yaml", {"RECONCILER_AGENT_SOURCES": "[{path: /srv}]"})
    assert caught.value.diagnostics[0].code == "config-unreadable"


def test_editors_are_told_every_field() -> None:
    file = Path(__file__).parents[2] / "schemas/agent.json"
    schema = schema_of(AgentConfig, "agent", "Configuration of reconcile agent")
    assert file.read_text() == text(schema), "run: reconcile schema --out schemas"
    for part in (schema, *schema["$defs"].values()):
        assert [name for name, field in part["properties"].items() if "description" not in field] == []
