"""The keywords of JSON Schema that the schemas of handwritten files use.

The values are those of the YAML parser, whose scalars are text: a scalar is accepted as a number or
a boolean if it is written like one. Unlike in JSON Schema, a ``pattern`` matches the whole value,
and ``$`` only at its end.

https://json-schema.org/draft/2020-12/json-schema-validation
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.config.yaml.document import MappingNode, ScalarNode, SequenceNode, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Schema = dict[str, Any]

_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description", "default"}


@dataclass(frozen=True, slots=True)
class Violation:
    """A value that violates a keyword."""

    keyword: str
    value: Value
    schema: Schema
    """The schema that has the keyword."""
    path: tuple[str | int, ...]
    """The keys and positions that lead to the value."""
    alternatives: tuple[list[Violation], ...] = ()
    """The violations of each alternative of ``anyOf``."""

    @property
    def constraint(self) -> Any:  # noqa: ANN401 - the value of the keyword
        """The value of the keyword in the schema."""
        return self.schema[self.keyword]


def find_violations(
    value: Value, schema: Schema, root: Schema, path: tuple[str | int, ...] = ()
) -> Iterator[Violation]:
    """Yield the violations of a schema, which is part of the schema ``root``, by a value.

    Raises:
        KeyError: the schema has a keyword that is not supported.
    """
    for keyword, constraint in schema.items():
        alternatives: tuple[list[Violation], ...] = ()
        match keyword:
            case "$ref":
                name = constraint.removeprefix("#/$defs/")
                yield from find_violations(value, root["$defs"][name], root, path)
                continue
            case "items" | "properties" | "patternProperties":
                for key, item, inner in _select_members(value, schema, keyword):
                    yield from find_violations(item, inner, root, (*path, key))
                continue
            case "additionalProperties" if constraint is not False:
                for key, item in find_additional(value, schema).items():
                    yield from find_violations(item, constraint, root, (*path, key))
                continue
            case "additionalProperties":
                holds = not find_additional(value, schema)
            case "anyOf" | "oneOf":
                found = [list(find_violations(value, inner, root, path)) for inner in constraint]
                holding = sum(not violations for violations in found)
                holds = holding == 1 or (holding > 1 and keyword == "anyOf")
                alternatives = tuple(found)
            case _:
                holds = keyword in _ANNOTATIONS or _CONDITIONS[keyword](value, constraint)
        if not holds:
            yield Violation(keyword, value, schema, path, alternatives)


def find_additional(value: Value, schema: Schema) -> dict[str, Value]:
    """Return the members of a mapping that the schema does not name; none of other values."""
    if not isinstance(value, MappingNode):
        return {}
    patterns = list(schema.get("patternProperties", ()))
    return {
        key: item
        for key, item in value.items()
        if key not in schema.get("properties", ())
        and not any(re.search(pattern, key) for pattern in patterns)
    }


def _select_members(
    value: Value, schema: Schema, keyword: str
) -> Iterator[tuple[str | int, Value, Schema]]:
    """Yield the members of a value that a keyword is about, each with its key and its schema."""
    inners = schema[keyword]
    if keyword == "items" and isinstance(value, SequenceNode):
        yield from ((position, item, inners) for position, item in enumerate(value))
    elif isinstance(value, MappingNode) and keyword == "properties":
        yield from ((key, value[key], inner) for key, inner in inners.items() if key in value)
    elif isinstance(value, MappingNode):
        for pattern, inner in inners.items():
            yield from ((key, value[key], inner) for key in value if re.search(pattern, key))


def _has_type(value: Value, types: str | list[str]) -> bool:
    return any(_TYPES[name](value) for name in ([types] if isinstance(types, str) else types))


def _is_text(value: Value) -> bool:
    return isinstance(value, ScalarNode) and not value.is_null


def _is_number(value: Value) -> bool:
    return isinstance(value, ScalarNode) and value.plain and _NUMBER.fullmatch(value) is not None


_TYPES: dict[str, Callable[[Value], bool]] = {
    "string": _is_text,
    "boolean": lambda value: (
        isinstance(value, ScalarNode) and value.plain and value.lower() in ("true", "false")
    ),
    "integer": lambda value: _is_number(value) and "." not in str(value),
    "number": _is_number,
    "array": lambda value: isinstance(value, SequenceNode),
    "object": lambda value: isinstance(value, MappingNode),
}


def _for_numbers(holds: Callable[[float, float], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, limit: not _is_number(value) or holds(float(value), limit)


def _for_sizes(
    applies: Callable[[Value], bool], holds: Callable[[int, int], bool]
) -> Callable[[Any, Any], bool]:
    return lambda value, limit: not applies(value) or holds(len(value), limit)


_CONDITIONS: dict[str, Callable[[Any, Any], bool]] = {
    "type": _has_type,
    "enum": lambda value, texts: value in texts,
    "const": lambda value, text: bool(value == text),
    "pattern": lambda value, pattern: (
        not isinstance(value, ScalarNode)
        or bool(re.fullmatch(pattern.removeprefix("^").removesuffix("$"), value))
    ),
    "minimum": _for_numbers(lambda number, limit: number >= limit),
    "maximum": _for_numbers(lambda number, limit: number <= limit),
    "exclusiveMinimum": _for_numbers(lambda number, limit: number > limit),
    "minLength": _for_sizes(_is_text, lambda size, limit: size >= limit),
    "maxLength": _for_sizes(_is_text, lambda size, limit: size <= limit),
    "minItems": _for_sizes(_TYPES["array"], lambda size, limit: size >= limit),
    "maxItems": _for_sizes(_TYPES["array"], lambda size, limit: size <= limit),
    "minProperties": _for_sizes(_TYPES["object"], lambda size, limit: size >= limit),
    "required": lambda value, keys: (
        not isinstance(value, MappingNode) or all(key in value for key in keys)
    ),
    "dependentRequired": lambda value, needed: (
        not isinstance(value, MappingNode)
        or all(other in value for key, others in needed.items() if key in value for other in others)
    ),
}
