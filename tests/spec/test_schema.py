"""The schemas in the repository are those of the documents."""

import json
from pathlib import Path

import pytest

from reconciler.cli.main import main
from reconciler.spec.document import KINDS
from reconciler.spec.schema import schemas

FOLDER = Path(__file__).parents[2] / "schemas"


@pytest.mark.parametrize("name", [*(f"{kind.lower()}.json" for kind in KINDS), "spec.json"])
def test_the_schema_in_the_repository_is_current(name):
    assert (FOLDER / name).read_text() == schemas()[name], "run: reconcile schema --out schemas"


def fields(schema):
    """Every property of every object in a schema, by name."""
    if isinstance(schema, dict):
        yield from (schema.get("properties") or {}).items()
        for value in schema.values():
            yield from fields(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from fields(value)


@pytest.mark.parametrize("name", list(schemas()))
def test_every_field_has_a_description(name):
    bare = [field for field, value in fields(json.loads(schemas()[name])) if "description" not in value]
    assert bare == []


def test_a_schema_requires_the_kind_as_the_loader_does():
    assert "kind" in json.loads(schemas()["jail.json"])["required"]


def test_checking_says_which_schema_differs(tmp_path, capsys):
    assert main(["schema", "--out", str(tmp_path)]) == 0
    assert main(["schema", "--out", str(tmp_path), "--check"]) == 0
    (tmp_path / "host.json").write_text("{}")
    assert main(["schema", "--out", str(tmp_path), "--check"]) == 1
    assert "host.json differs" in capsys.readouterr().out
