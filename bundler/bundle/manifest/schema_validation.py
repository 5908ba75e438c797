"""Validate a YAML file against its JSON Schema, and explain each violation.

The schemas are those that editors use, with types for numbers and booleans. In a parsed file every
scalar is text; it is accepted as a number or a boolean if it is written like one.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from bundler.config.yaml.document import (
    Position,
    ScalarNode,
    Value,
    YamlMistakes,
    describe,
    suggest_word,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECRETS = {"password", "passwd", "pass", "token", "secret", "identitytoken", "registrytoken"}
_BOOLEANS = ("true", "false")
_MAX_ERRORS = 1000
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_WORDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a mapping",
}


def validate(value: Value, schema: str, mistakes: YamlMistakes) -> None:
    """Add a mistake for each violation of the schema with the name ``schema``."""
    text = files("bundler").joinpath("schemas", f"{schema}.schema.json").read_text("utf-8")
    for error in islice(_VALIDATOR(json.loads(text)).iter_errors(value), _MAX_ERRORS):
        for at, text in _explain(error):
            mistakes.add(at, text)


def _is_number(value: object) -> bool:
    return isinstance(value, ScalarNode) and value.plain and _NUMBER.fullmatch(value) is not None


def _create_check(
    holds: Callable[[ScalarNode, Any], bool], word: str = ""
) -> Callable[[Any, Any, Any, Any], Iterator[ValidationError]]:
    def check(_: object, constraint: Any, value: Any, __: object) -> Iterator[ValidationError]:  # noqa: ANN401 - as jsonschema calls it
        if isinstance(value, ScalarNode) and not holds(value, constraint):
            yield ValidationError(f"expected {word} {constraint}")

    return check


def _create_bound(
    holds: Callable[[float, float], bool], word: str
) -> Callable[[Any, Any, Any, Any], Iterator[ValidationError]]:
    return _create_check(
        lambda value, limit: not _is_number(value) or holds(float(value), limit), word
    )


_VALIDATOR = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "minimum": _create_bound(lambda value, limit: value >= limit, "at least"),
        "maximum": _create_bound(lambda value, limit: value <= limit, "at most"),
        "exclusiveMinimum": _create_bound(lambda value, limit: value > limit, "more than"),
        # Unlike in JSON Schema, a pattern matches the whole value, and ``$`` only at its end.
        "pattern": _create_check(
            lambda value, pattern: bool(
                re.fullmatch(pattern.removeprefix("^").removesuffix("$"), value)
            )
        ),
    },
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "string": lambda _, value: isinstance(value, ScalarNode) and not value.is_null,
            "boolean": lambda _, value: (
                isinstance(value, ScalarNode) and value.plain and value.lower() in _BOOLEANS
            ),
            "integer": lambda _, value: _is_number(value) and "." not in str(value),
            "number": lambda _, value: _is_number(value),
        }
    ),
)


def _explain(error: ValidationError) -> Iterator[tuple[Position, str]]:
    """Yield the position and text of each mistake that violates a keyword of the schema."""
    value: Any = error.instance
    constraint: Any = error.validator_value
    schema: Any = error.schema
    keys = [part for part in error.absolute_path if isinstance(part, str)]
    label = f"`{keys[-1][:80]}`: " if keys else ""
    match error.validator:
        case "additionalProperties":
            known = sorted(schema.get("properties", {}))
            for key in (key for key in value if key not in known):
                if key.lower() in _SECRETS:
                    text = (
                        f"`{key}`: a secret is not allowed in this file; "
                        "specify where to read it with passwordFile or passwordEnv"
                    )
                else:
                    names = ", ".join(f"`{name}`" for name in known)
                    proposal = suggest_word(key, known) or f"; known keys: {names}"
                    text = f"unknown key `{key[:80]}`{proposal}"
                yield value.key_at[key], text
        case "required":
            missing = [key for key in constraint if key not in value]
            yield from ((value.at, f"{label}`{key}` is missing") for key in missing)
        case "dependentRequired":
            for key, needed in constraint.items():
                for other in set(needed) - set(value) if key in value else ():
                    yield value.key_at[key], f"`{key}` requires `{other}`"
        case "anyOf":
            inners = _find_alternative(error)
            for inner in inners:
                yield from _explain(inner)
            if not inners:
                yield value.at, label + _format_mismatch(error)
        case _:
            yield value.at, label + _format_mismatch(error)


def _find_alternative(error: ValidationError) -> list[ValidationError]:
    """Return the violations of the alternative that has the type of the value, if there is one."""
    alternatives: dict[str | int, list[ValidationError]] = {}
    for inner in error.context or ():
        alternatives.setdefault(inner.relative_schema_path[0], []).append(inner)
    for inners in alternatives.values():
        at_root = {inner.validator for inner in inners if not inner.relative_path}
        if not at_root & {"type", "const"}:
            return inners
    return []


def _format_mismatch(error: ValidationError) -> str:
    """Describe a value that a keyword of the schema does not allow."""
    value: Any = error.instance
    constraint: Any = error.validator_value
    schema: Any = error.schema
    words = [constraint] if isinstance(constraint, str) else constraint
    hint = ""
    match error.validator:
        case "type":
            expectation = schema.get("title", _WORDS.get(words[0], words[0]))
        case "enum" | "const":
            expectation = " or ".join(f"`{word}`" for word in words)
            hint = suggest_word(value, words) if isinstance(value, ScalarNode) else ""
        case "anyOf" | "pattern":
            expectation = schema["title"]
        case "oneOf":
            names = [f"`{branch['required'][0]}`" for branch in constraint]
            return f"exactly one of {' and '.join(names)} is required"
        case "minItems":
            return "the list is empty"
        case "minLength":
            return "expected text, got nothing"
        case "minProperties":
            known = ", ".join(f"`{key}`" for key in schema["properties"])
            return f"at least one of {known} is required"
        case "maxLength":
            return f"too long (expected at most {constraint} characters)"
        case _:
            return f"{error.message}, got {describe(value)}"
    # A file with a single text may be a private key that was specified by mistake.
    private = not error.absolute_path or "credentials" in error.absolute_path
    hidden = isinstance(value, ScalarNode) and not value.is_null and private
    return f"expected {expectation}, got {'text' if hidden else describe(value)}{hint}"
