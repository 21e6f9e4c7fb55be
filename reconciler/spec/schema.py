"""JSON Schema 2020-12 of every document, for editors. The text is the same on every run."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from reconciler.spec.document import KINDS

DIALECT = GenerateJsonSchema.schema_dialect


def schemas() -> dict[str, str]:
    """The text of each file of `schemas/`, by name: one per kind, and spec.json for files that mix them."""
    found = {f"{kind.lower()}.json": _one(kind) for kind in KINDS}
    found["spec.json"] = _any()
    return {name: text(schema) for name, schema in found.items()}


def text(schema: dict[str, Any]) -> str:
    """A schema as its file has it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def schema_of(model: type[BaseModel], name: str, title: str) -> dict[str, Any]:
    """The schema of any model of ours, as an editor wants it."""
    schema = model.model_json_schema(by_alias=True)
    _finish(schema)
    return {**_head(name, title), **schema}


def _one(kind: str) -> dict[str, Any]:
    return schema_of(KINDS[kind], kind.lower(), f"{kind} document of reconciler")


def _any() -> dict[str, Any]:
    """Any document, for files that hold several kinds."""
    _, schema = models_json_schema([(model, "validation") for model in KINDS.values()], by_alias=True)
    definitions = schema["$defs"]
    for definition in definitions.values():
        _finish(definition)
    return {
        **_head("spec", "Any document of reconciler"),
        "type": "object",
        "required": ["kind"],
        "anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in KINDS],
        "$defs": definitions,
    }


def _head(name: str, title: str) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": f"urn:reconciler:schema:{name}", "title": title}


def _finish(schema: Any) -> None:
    """Make `kind` required, as the loader has it, and leave out what only names our classes again."""
    if isinstance(schema, list):
        for item in schema:
            _finish(item)
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    if isinstance(properties, dict):
        kind = properties.get("kind")
        if isinstance(kind, dict) and "const" in kind:
            kind.pop("default", None)
            schema["required"] = ["kind", *(name for name in schema.get("required", []) if name != "kind")]
        for value in properties.values():
            if isinstance(value, dict):
                value.pop("title", None)
    if isinstance(schema.get("title"), str):
        del schema["title"]
    for value in schema.values():
        _finish(value)
