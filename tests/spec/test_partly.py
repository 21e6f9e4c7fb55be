"""What is wrong with one key of a document neither hides what else is wrong in it, nor makes anything else wrong."""

import json
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler.spec.load import examine

SPECS = Path(__file__).parents[2] / "specs"
WRONG = [{"no such key here": 1}]  # no field takes a list of mappings with such a key
YAML_ = YAML(typ="safe", pure=True)
YAML_.version = (1, 2)


def paths(value, path=()):
    """Every path of mapping keys; what a list holds is left alone."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from paths(inner, (*path, key))


def cases():
    for file in sorted(SPECS.glob("*.yaml")):
        for index, document in enumerate(YAML_.load_all(file)):
            for path in paths(document):
                if path not in (("kind",), ("name",)):
                    yield pytest.param(file.name, index, path, id=f"{file.stem}-{index}-{'.'.join(map(str, path))}")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A copy of the example fleet, and its documents."""
    folder = tmp_path_factory.mktemp("fleet") / "specs"
    shutil.copytree(SPECS, folder)
    assert not [p for p in examine(folder)[1] if p.severity == "error"]
    return folder


def spoil(folder, file, index, path):
    """Write a file anew with one wrong value; the document keeps its order."""
    documents = list(YAML_.load_all(folder / file))
    at = documents[index]
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = WRONG
    (folder / file).write_text("\n---\n".join(json.dumps(document, indent=1) for document in documents))


@pytest.mark.parametrize(("file", "index", "path"), list(cases()))
def test_one_wrong_value_is_the_only_thing_that_is_wrong(fleet, file, index, path):
    before = (fleet / file).read_bytes()
    try:
        spoil(fleet, file, index, path)
        wrong = [p for p in examine(fleet)[1] if p.severity == "error"]
    finally:
        (fleet / file).write_bytes(before)
    assert wrong, "a wrong value must be reported"
    name = ".".join(str(part) for part in path)
    assert all(p.span.file.endswith(f"/{file}") for p in wrong), [p.detail for p in wrong]
    assert all(name in p.detail or str(path[-1]) in p.detail for p in wrong), [p.detail for p in wrong]


def test_a_wrong_key_hides_nothing_else(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "kind: Jail\nname: a\nrelease: 15.1\nbogus: 1\ndepends_on: [nobody]\nlimits: {bogus: 1}\n"
        "volumes:\n  - {name: v, mountpoint: /v}\n  - {name: v, mountpoint: /w}\n"
    )
    found = [(p.code, p.span.line) for p in examine(tmp_path)[1]]
    assert found == [
        ("wrong-type", 3),
        ("unknown-key", 4),
        ("unknown-jail", 5),
        ("unknown-limit", 6),
        ("duplicate-name", 9),
    ]
