"""The JSON Schema of ``report.json``, generated from the model: ``python -m reports.schema`` writes it.

Descriptions are the model's own docstrings, so that the schema cannot say anything else.
"""

from __future__ import annotations

import ast
import enum
import inspect
import itertools
import json
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

from reports import model
from reports.model import SCHEMA_VERSION, Report, Verdict

SCHEMA_FILE = Path(__file__).parent / "schema" / f"report-{SCHEMA_VERSION}.json"

_PRIMITIVES: dict[object, dict[str, object]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}


def generate() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a `Report`."""
    definitions: dict[str, Any] = {}
    root = _definition(Report, definitions)
    root["properties"]["schema"]["const"] = SCHEMA_VERSION
    counts = {
        "type": "object",
        "properties": {verdict.value: {"type": "integer", "minimum": 0} for verdict in Verdict},
        "required": [verdict.value for verdict in Verdict],
        "additionalProperties": False,
    }
    definitions["Totals"]["properties"]["cases"].update(counts)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "asyncio-conformance report",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def dumps() -> str:
    """The text of the committed file."""
    return json.dumps(generate(), indent=2, ensure_ascii=False) + "\n"


def _definition(cls: type, definitions: dict[str, Any]) -> dict[str, Any]:
    docs, hints = _member_docs(cls), get_type_hints(cls)
    return {
        "description": inspect.cleandoc(cls.__doc__ or ""),
        "type": "object",
        "properties": {
            field.name: {**_schema(hints[field.name], definitions), **_described(docs.get(field.name))}
            for field in attrs.fields(cls)
        },
        # What the writer always writes; a reader of older files goes by the defaults.
        "required": [field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING or field.kw_only],
    }


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if hint in _PRIMITIVES:
        return dict(_PRIMITIVES[hint])
    if get_origin(hint) in (Union, types.UnionType):
        return {"anyOf": [_schema(part, definitions) for part in get_args(hint)]}
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema(get_args(hint)[0], definitions)}
    if get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": _schema(get_args(hint)[1], definitions)}
    if hint.__name__ not in definitions:
        definitions[hint.__name__] = {}  # taken before its fields are visited, so that a cycle ends
        definitions[hint.__name__] = (
            _enumeration(hint) if issubclass(hint, enum.Enum) else _definition(hint, definitions)
        )
    return {"$ref": f"#/$defs/{hint.__name__}"}


def _enumeration(cls: type[enum.Enum]) -> dict[str, Any]:
    docs = _member_docs(cls)
    return {
        "description": inspect.cleandoc(cls.__doc__ or ""),
        "oneOf": [{"const": member.value, **_described(docs.get(member.name))} for member in cls],
    }


def _described(doc: str | None) -> dict[str, str]:
    return {"description": doc} if doc else {}


def _member_docs(cls: type) -> dict[str, str]:
    """The string literals that follow the assignments in a class: Python keeps them nowhere but in the source."""
    tree = ast.parse(inspect.getsource(model))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
    docs = {}
    for statement, following in itertools.pairwise(body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                docs[name] = " ".join(doc.split())
    return docs


if __name__ == "__main__":
    SCHEMA_FILE.write_text(dumps(), encoding="utf-8")
