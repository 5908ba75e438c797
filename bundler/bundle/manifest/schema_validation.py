"""Validate a YAML file against its JSON Schema, and explain each violation in a finding.

The schemas are those that editors use, with types for numbers and booleans. In a parsed file every
scalar is text; it is accepted as a number or a boolean if it is written like one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from bundler.config.yaml.document import (
    Findings,
    Position,
    ScalarNode,
    Value,
    describe,
    suggest_word,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Finding = tuple[Position, str]

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


def validate(value: Value, schema: str, findings: Findings) -> None:
    """Add a finding for each violation of the schema with the name ``schema``."""
    for error in islice(_create_validator(schema).iter_errors(value), _MAX_ERRORS):
        for at, text in _explain(_Violation.of(error)):
            findings.add(at, text)


@cache
def _create_validator(name: str) -> Any:  # noqa: ANN401 - jsonschema makes its classes at run time
    text = files("bundler").joinpath("schemas", f"{name}.schema.json").read_text("utf-8")
    return _VALIDATOR(json.loads(text))


def _is_number(value: object) -> bool:
    return isinstance(value, ScalarNode) and value.plain and _NUMBER.fullmatch(value) is not None


def _create_bound(
    holds: Callable[[float, float], bool], word: str
) -> Callable[[Any, float, Any, Any], Iterator[ValidationError]]:
    def check(_: object, limit: float, value: object, __: object) -> Iterator[ValidationError]:
        if _is_number(value) and not holds(float(str(value)), limit):
            yield ValidationError(f"expected {word} {limit}")

    return check


def _check_pattern(_: object, pattern: str, value: object, __: object) -> Iterator[ValidationError]:
    """Match a whole value; unlike in JSON Schema, ``$`` does not match before a final newline."""
    exact = pattern.removeprefix("^").removesuffix("$")
    if isinstance(value, ScalarNode) and re.fullmatch(exact, value) is None:
        yield ValidationError("")


_VALIDATOR = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "minimum": _create_bound(lambda value, limit: value >= limit, "at least"),
        "maximum": _create_bound(lambda value, limit: value <= limit, "at most"),
        "exclusiveMinimum": _create_bound(lambda value, limit: value > limit, "more than"),
        "pattern": _check_pattern,
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


@dataclass(frozen=True, slots=True)
class _Violation:
    """A value that violates a keyword of the schema."""

    keyword: str
    constraint: Any
    """The value of the keyword in the schema."""
    schema: dict[str, Any]
    """The part of the schema that contains the keyword."""
    value: Any
    path: tuple[str | int, ...]
    error: ValidationError

    @classmethod
    def of(cls, error: ValidationError) -> _Violation:
        schema = error.schema if isinstance(error.schema, dict) else {}
        return cls(
            str(error.validator),
            error.validator_value,
            schema,
            error.instance,
            tuple(error.absolute_path),
            error,
        )

    @property
    def label(self) -> str:
        """The nearest key, with which the message begins."""
        keys = [part for part in self.path if isinstance(part, str)]
        return f"`{keys[-1][:80]}`: " if keys else ""

    def format_mismatch(self, expectation: str) -> str:
        value = self.value
        # A file with a single text may be a private key that was specified by mistake.
        private = not self.path or "credentials" in self.path
        hidden = isinstance(value, ScalarNode) and not value.is_null and private
        return f"expected {expectation}, got {'text' if hidden else describe(value)}"


def _explain(violation: _Violation) -> Iterator[Finding]:
    value, constraint = violation.value, violation.constraint
    match violation.keyword:
        case "additionalProperties":
            known = sorted(violation.schema.get("properties", {}))
            unknown = [key for key in value if key not in known]
            yield from ((value.key_at[key], _format_unknown_key(key, known)) for key in unknown)
        case "required":
            missing = [key for key in constraint if key not in value]
            yield from ((value.at, f"{violation.label}`{key}` is missing") for key in missing)
        case "dependentRequired":
            for key, needed in constraint.items():
                for other in set(needed) - set(value) if key in value else ():
                    yield value.key_at[key], f"`{key}` requires `{other}`"
        case "anyOf":
            yield from _explain_any(violation)
        case _:
            yield value.at, violation.label + _format_mismatch(violation)


def _explain_any(violation: _Violation) -> Iterator[Finding]:
    """Explain the violations of the alternative that has the type of the value.

    If no alternative has this type, the finding lists all of them.
    """
    branches: dict[str | int, list[ValidationError]] = {}
    for inner in violation.error.context or ():
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    for inners in branches.values():
        at_root = {inner.validator for inner in inners if not inner.relative_path}
        if not at_root & {"type", "const"}:
            for inner in inners:
                yield from _explain(_Violation.of(inner))
            return
    yield violation.value.at, violation.label + violation.format_mismatch(violation.schema["title"])


def _format_unknown_key(key: str, known: list[str]) -> str:
    if key.lower() in _SECRETS:
        return (
            f"`{key}`: a secret is not allowed in this file; "
            "specify where to read it with passwordFile or passwordEnv"
        )
    return f"unknown key `{key[:80]}`" + (
        suggest_word(key, known) or f"; known are {', '.join(f'`{name}`' for name in known)}"
    )


def _format_mismatch(violation: _Violation) -> str:
    value, constraint = violation.value, violation.constraint
    words = [constraint] if isinstance(constraint, str) else constraint
    match violation.keyword:
        case "type":
            return violation.format_mismatch(
                violation.schema.get("title", _WORDS.get(words[0], words[0]))
            )
        case "enum" | "const":
            close = suggest_word(value, words) if isinstance(value, ScalarNode) else ""
            return violation.format_mismatch(" or ".join(f"`{word}`" for word in words)) + close
        case "pattern":
            return violation.format_mismatch(violation.schema["title"])
        case "oneOf":
            keys = [f"`{branch['required'][0]}`" for branch in constraint]
            return f"exactly one of {' and '.join(keys)} is needed"
        case "minItems":
            return "the list is empty"
        case "minLength":
            return "expected text, got nothing"
        case "minProperties":
            known = ", ".join(f"`{key}`" for key in violation.schema["properties"])
            return f"at least one of {known} is needed"
        case "maxLength":
            return f"longer than {constraint} characters"
        case _:
            return f"{violation.error.message}, got {describe(value)}"
