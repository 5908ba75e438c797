"""The keywords of schemas have the meaning of JSON Schema; jsonschema decides the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

import bundler
from bundler.bundle.manifest.schema_keywords import find_violations
from bundler.config.yaml import document
from bundler.config.yaml.document import MappingNode, ScalarNode, SequenceNode, YamlMistakes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.config.yaml.document import Value

SCHEMAS = Path(bundler.__file__).parent / "schemas"
HANDWRITTEN = ["bundle-manifest", "import-target", "lock", "rules", "waivers"]
VALUES: list[Any] = [
    *("", "a", "all", "abc", "none", "café"),
    *(0, 1, -3, 7, 15, 16, 1.5, True, False),
    *([], ["a"], ["a", "b"], ["a", "b", "c"], [1, 2], [["a"]], [{"a": "x"}]),
    *({}, {"a": "x"}, {"b": "x"}, {"a": "x", "b": "y"}, {"a": 1, "c": "z"}, {"k1": "x", "k2": 7}),
]
CONSTRAINTS: list[dict[str, Any]] = [
    {"type": "array"},
    {"type": "object"},
    {"type": "integer"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": ["array", "integer"]},
    {"enum": ["a", "all"]},
    {"const": "all"},
    {"pattern": "^[a-z]{1,3}$", "type": "string"},
    {"minimum": 1},
    {"maximum": 7},
    {"exclusiveMinimum": 0},
    {"minLength": 1},
    {"maxLength": 3},
    {"minItems": 2},
    {"maxItems": 2},
    {"minProperties": 1},
    {"required": ["a", "b"]},
    {"dependentRequired": {"a": ["b"]}},
    {"properties": {"a": {"enum": ["x"]}}, "additionalProperties": False},
    {"properties": {"a": {}}, "additionalProperties": {"enum": ["y"]}},
    {"patternProperties": {"^k[0-9]$": {"enum": ["x"]}}, "additionalProperties": False},
    {"items": {"enum": ["a", "b"]}},
    {"items": {"items": {"const": "b"}}},
    {"anyOf": [{"const": "all"}, {"type": "array", "items": {"const": "a"}}]},
    {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"$ref": "#/$defs/x", "$defs": {"x": {"type": "object", "minProperties": 2}}},
]

FOR_TEXT = {"pattern", "minLength", "maxLength"}


def _parse(value: object) -> Value:
    return document.parse(json.dumps(value), "test", YamlMistakes())


def _has_text_only(value: object) -> bool:
    """Return whether a value has no number and no boolean, which a file may also use as text."""
    if isinstance(value, list | dict):
        items = value.values() if isinstance(value, dict) else value
        return all(map(_has_text_only, items))
    return isinstance(value, str)


@pytest.mark.parametrize("schema", CONSTRAINTS, ids=json.dumps)
def test_verdicts_are_those_of_jsonschema(schema):
    validator = Draft202012Validator(schema)
    values = filter(_has_text_only, VALUES) if schema.keys() & FOR_TEXT else VALUES
    kept = list(values)
    ours = [not list(find_violations(_parse(value), schema, schema)) for value in kept]
    assert ours == [validator.is_valid(value) for value in kept]
    assert set(ours) == {True, False}


def test_violations_have_paths_and_values():
    schema = {"properties": {"a": {"items": {"properties": {"b": {"const": "x"}}}}}}
    value = _parse({"a": [{"b": "x"}, {"b": "y"}]})
    (violation,) = find_violations(value, schema, schema)
    assert violation.path == ("a", 1, "b")
    assert (violation.keyword, violation.value, violation.constraint) == ("const", "y", "x")


def test_unsupported_keyword_is_an_error():
    with pytest.raises(KeyError):
        list(find_violations(_parse({}), {"contains": {}}, {}))


@pytest.mark.parametrize("name", HANDWRITTEN)
def test_schemas_have_supported_keywords_only(name):
    root = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    for schema in _list_schemas(root):
        for value in (ScalarNode(), SequenceNode(), MappingNode()):
            if isinstance(value, ScalarNode):
                value.plain = False
            list(find_violations(value, schema, root))


def _list_schemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for keyword, value in schema.items():
        if keyword in {"properties", "patternProperties", "$defs"}:
            inners = list(value.values())
        elif keyword in {"anyOf", "oneOf"}:
            inners = value
        else:
            inners = [value] if keyword in {"items", "additionalProperties"} and value else []
        for inner in inners:
            yield from _list_schemas(inner)
