"""The JSON Schema of rules files, and the list of rules in the documentation, from the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.rules.checks import RULES
from bundler.bundle.audit.rules.finding import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.rules.rule import Rule

_SEVERITY = {"type": "string", "enum": [*reversed(SEVERITIES)]}
_TEXTS = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "minLength": 1, "maxLength": 1024},
}
_KINDS: dict[str, dict[str, Any]] = {
    "texts": _TEXTS,
    "expressions": {**_TEXTS, "items": {"type": "string", "minLength": 1, "maxLength": 512}},
    "size": {
        "title": "a size such as 500MiB",
        "type": "string",
        "pattern": "^[0-9]{1,15} ?(B|[kKMG]B?|[KMG]iB)?$",
    },
    "number": {"type": "integer", "minimum": 0, "maximum": 100_000},
    "days": {"type": "integer", "minimum": 1, "maximum": 36500},
}
_COMMON: dict[str, Any] = {
    "severity": {"description": "The severity of findings (default: error).", **_SEVERITY},
    "images": {
        "description": "The rule applies only to these images: registries, repositories, the first"
        " parts of them, or full names (default: all).",
        **_TEXTS,
    },
    "except": {
        "description": "The rule does not apply to these images, which have the form of images.",
        **_TEXTS,
    },
}
_READS = {
    "names": "the names and the inventory",
    "manifests": "manifests and configs",
    "contents": "the layers",
}


def create_schema() -> dict[str, Any]:
    """Return the schema ``rules.schema.json``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:airbundle:rules:v1",
        "title": "a mapping with rules",
        "description": "The rules of a site about the images in a bundle, for airbundle audit and"
        " airbundle import.",
        "type": "object",
        "additionalProperties": False,
        "required": ["rules"],
        "properties": {
            "failOn": {
                "description": "The least severity with which the audit fails (default: error).",
                **_SEVERITY,
            },
            "rules": {
                "description": "The rules that apply: for each, its severity, or its settings.",
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "properties": {rule.code: _create_rule_schema(rule) for rule in RULES},
            },
        },
    }


def _create_rule_schema(rule: Rule) -> dict[str, Any]:
    required = [item.name for item in rule.settings if item.required]
    own: dict[str, Any] = {}
    for item in rule.settings:
        own[item.name] = {"description": item.description, **_KINDS[item.kind]}
        if item.choices:
            own[item.name]["items"] = {"type": "string", "enum": list(item.choices)}
    settings: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **own,
            **(_COMMON if rule.scope != "location" else {"severity": _COMMON["severity"]}),
        },
    }
    if required:
        return {"description": rule.summary, **settings, "required": required}
    return {
        "description": rule.summary,
        "title": "a severity or the settings of the rule",
        "anyOf": [_SEVERITY, settings],
    }


def list_rules() -> Iterator[str]:
    """Yield the lines of the list of rules in Markdown."""
    for rule in RULES:
        yield f"## `{rule.code}`"
        yield ""
        yield rule.summary
        yield ""
        yield f"- reads {_READS[rule.depth]}"
        for item in rule.settings:
            note = ", required" if item.required else ""
            yield f"- `{item.name}`{note}: {item.description}"
        yield f"- what to do: {rule.advice}"
        yield ""
