"""Metrics: named as the field does, told in the docs, used right by the dashboard, and bounded."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.agent.board import Cycle, Jail, SourceHealth
from reconciler.agent.metrics import SERIES, Metrics
from reconciler.model.diagnostic import Diagnostic
from reconciler.spec.yaml import parse
from tests.agent import boards

TOP = Path(__file__).parents[2]
DASHBOARD = TOP / "contrib/grafana/reconciler.json"
RULES = TOP / "contrib/prometheus/reconciler.rules.yml"
NAME = re.compile(r"\breconciler_[a-z_]+\b")
SUFFIXES = ("_bucket", "_count", "_sum")


def full() -> Metrics:
    """Metrics with something in every family."""
    board = boards.board(replace(boards.busy(), cycles=(), sources=()))
    made = Metrics(board, lambda status: boards.records().releases(status.jails))
    board.edit(lambda _: boards.busy())
    made.request("overview", 200)
    made.webhook(True)
    made.notification(1, "sent")
    return made


def families(metrics: Metrics) -> dict[str, Any]:
    """By name, as a monitor reads them."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        found[family.name + ("_total" if family.type == "counter" else "")] = family
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One sample; None when there is no such series."""
    for family in families(metrics).values():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


def table() -> dict[str, tuple[str, str, str]]:
    """Type, labels and meaning of each metric in the docs."""
    rows = re.findall(
        r"^\| `(reconciler_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", (TOP / "docs/monitoring.md").read_text(), re.MULTILINE
    )
    return {name: (kind, labels, text) for name, kind, labels, text in rows}


def told(name: str, family: Any) -> tuple[str, str, str]:
    """What the docs have to say of a family."""
    labels = {label for sample in family.samples for label in sample.labels} - {"le"}
    return family.type, ", ".join(f"`{label}`" for label in sorted(labels)), family.documentation


def test_the_docs_have_every_metric_as_it_is():
    made = {name: told(name, family) for name, family in families(full()).items()}
    rows = "\n".join(f"| `{n}` | {kind} | {labels} | {text} |" for n, (kind, labels, text) in sorted(made.items()))
    assert table() == made, f"the table should be:\n{rows}"


def test_names_follow_the_conventions():
    for name, family in families(full()).items():
        assert name.startswith("reconciler_") and family.documentation.endswith(".")
        assert (family.type == "counter") == name.endswith("_total")
        assert not re.search(r"_(ms|minutes|hours|kb|mb)(_|$)", name)
        if "timestamp" in name or "duration" in name or "time" in name.split("_"):
            assert name.endswith("_seconds"), name


def queries() -> list[str]:
    """Every query of the dashboard and the alerts."""
    document = json.loads(DASHBOARD.read_text())
    found = [target["expr"] for panel in document["panels"] for target in panel["targets"]]
    found += [note["expr"] for note in document["annotations"]["list"]]
    found += [one["query"]["query"] for one in document["templating"]["list"] if isinstance(one["query"], dict)]
    parsed = parse(RULES.read_bytes(), str(RULES))
    assert not parsed.diagnostics
    found += [rule["expr"] for group in parsed.values[0]["groups"] for rule in group["rules"]]
    return found


@pytest.mark.parametrize("query", queries())
def test_dashboard_and_alerts_ask_only_for_what_there_is(query: str):
    known = families(full())
    labels: dict[str, set[str]] = {}
    for name, family in known.items():
        own = {label for sample in family.samples for label in sample.labels} | {"instance", "job"}
        labels[name] = own
        labels.update({name + suffix: own for suffix in SUFFIXES if family.type == "histogram"})
    names = NAME.findall(query.replace('job="reconciler"', ""))
    assert names and query.count("(") == query.count(")")
    for name in names:
        assert name in labels, name
    for name, inside in re.findall(r"(reconciler_[a-z_]+)\{(.*?)\}", query):
        assert {part.split("=")[0].rstrip("!") for part in inside.split(",") if "=" in part} <= labels[name]
    by = {label.strip() for group in re.findall(r"\b(?:by|on) \((.*?)\)", query) for label in group.split(",")}
    assert by <= set().union(*(labels[name] for name in names)) | {"le"}
    for name in names:
        assert ("rate(" in query or "increase(" in query) == name.endswith(("_total", "_bucket")), name


def test_the_dashboard_is_one_that_grafana_takes():
    document = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids)) > 15
    for panel in document["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24 and panel["title"]


def test_turns_and_steps_are_counted_once_each():
    board = boards.board(replace(boards.calm(), cycles=()))
    metrics = Metrics(board)
    board.update(cycles=(Cycle(1, 0.0, 2.0, "applied", counts={"applied": 3, "failed": 1}),))
    for _ in range(3):
        metrics.text()
    second, third = Cycle(2, 3.0, 4.0, "failed"), Cycle(3, 5.0, 6.0, "unchanged")
    board.update(cycles=(third, second, board.now().cycles[0]))
    assert value(metrics, "reconciler_cycles_total", outcome="applied") == 1
    assert value(metrics, "reconciler_cycles_total", outcome="failed") == 1
    assert value(metrics, "reconciler_steps_total", outcome="applied") == 3
    assert value(metrics, "reconciler_cycle_duration_seconds_count") == 3
    assert value(metrics, "reconciler_last_success_timestamp_seconds") == 6.0


def test_the_last_good_turn_is_remembered_however_many_failed_since():
    board = boards.board(replace(boards.calm(), cycles=(Cycle(1, 0.0, 2.0, "applied"),)))
    metrics = Metrics(board)
    for number in range(2, 100):
        board.update(cycles=(Cycle(number, number, number + 1.0, "failed"),))
        metrics.follow(board.now())
    assert value(metrics, "reconciler_last_success_timestamp_seconds") == 2.0
    assert value(metrics, "reconciler_cycles_total", outcome="failed") == 98


def test_looks_at_sources_are_counted():
    source = SourceHealth("origin", "https://example.org/x.git")
    board = boards.board(replace(boards.calm(), sources=(source,)))
    metrics = Metrics(board)
    for at in (1.0, 2.0, 2.0):
        board.update(sources=(replace(source, last_try=at, last_good=at),))
        metrics.follow(board.now())
    board.update(sources=(replace(source, last_try=3.0, problem=Diagnostic("git-failed", "No")),))
    assert value(metrics, "reconciler_fetches_total", source="origin", outcome="done") == 2
    assert value(metrics, "reconciler_fetches_total", source="origin", outcome="failed") == 1
    assert value(metrics, "reconciler_source_up", source="origin") == 0


def test_series_are_bounded_however_large_the_fleet():
    many = tuple(Jail(f"jail{n}", "running", "running", "Ready") for n in range(5 * SERIES))
    metrics = Metrics(boards.board(replace(boards.calm(), jails=many)))
    assert metrics.text().count(b"\n") < 5 * SERIES
    assert value(metrics, "reconciler_jails", condition="Ready") == 5 * SERIES
    assert value(metrics, "reconciler_jails_without_series") == 4 * SERIES


def test_what_others_wrote_stays_inside_its_label():
    jail = Jail("web", "running", "running", "Ready", release='x"} 1\nreconciler_evil{a="b\\')
    metrics = Metrics(boards.board(replace(boards.calm(), jails=(jail,))))
    assert value(metrics, "reconciler_evil", a="b") is None
    assert not [line for line in metrics.text().splitlines() if line.startswith(b"reconciler_evil")]
