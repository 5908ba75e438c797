"""Validate a YAML file against its JSON Schema, and explain each violation.

The schemas are those that editors use, with types for numbers and booleans.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bundler
from bundler.bundle.manifest.schema_keywords import Violation, find_additional, find_violations
from bundler.config.yaml.document import (
    Position,
    ScalarNode,
    Value,
    YamlMistakes,
    describe,
    suggest_word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECRETS = {"password", "passwd", "pass", "token", "secret", "identitytoken", "registrytoken"}
_MAX_VIOLATIONS = 1000
_WORDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a mapping",
}
_BOUNDS = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}


def validate(value: Value, schema: str, mistakes: YamlMistakes) -> None:
    """Add a mistake for each violation of the schema with the name ``schema``."""
    path = Path(bundler.__file__).parent / "schemas" / f"{schema}.schema.json"
    root = json.loads(path.read_text("utf-8"))
    for violation in islice(find_violations(value, root, root), _MAX_VIOLATIONS):
        for at, text in _explain(violation):
            mistakes.add(at, text)


def _explain(violation: Violation) -> Iterator[tuple[Position, str]]:
    """Yield the position and text of each mistake that violates a keyword of the schema."""
    value: Any = violation.value
    constraint, schema = violation.constraint, violation.schema
    keys = [part for part in violation.path if isinstance(part, str)]
    label = f"`{keys[-1][:80]}`: " if keys else ""
    match violation.keyword:
        case "additionalProperties":
            known = sorted(schema.get("properties", {}))
            for key in find_additional(value, schema):
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
            inners = _find_alternative(violation)
            for inner in inners:
                yield from _explain(inner)
            if not inners:
                yield value.at, label + _format_mismatch(violation)
        case _:
            yield value.at, label + _format_mismatch(violation)


def _find_alternative(violation: Violation) -> list[Violation]:
    """Return the violations of the alternative that has the type of the value, if there is one."""
    for inners in violation.alternatives:
        at_root = {inner.keyword for inner in inners if inner.path == violation.path}
        if not at_root & {"type", "const"}:
            return inners
    return []


def _format_mismatch(violation: Violation) -> str:
    """Describe a value that a keyword of the schema does not allow."""
    value: Any = violation.value
    constraint, schema = violation.constraint, violation.schema
    words = [constraint] if isinstance(constraint, str) else constraint
    hint = ""
    match violation.keyword:
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
        case "minimum" | "maximum" | "exclusiveMinimum":
            expectation = f"{_BOUNDS[violation.keyword]} {constraint}"
            return f"expected {expectation}, got {describe(value)}"
        case _:
            return f"too many (expected at most {constraint}, got {len(value)})"
    # A file with a single text may be a private key that was specified by mistake.
    private = not violation.path or "credentials" in violation.path
    hidden = isinstance(value, ScalarNode) and not value.is_null and private
    return f"expected {expectation}, got {'text' if hidden else describe(value)}{hint}"
