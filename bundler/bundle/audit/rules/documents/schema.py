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
    "choice": {"type": "string"},
    "score": {"type": "number", "minimum": 0, "maximum": 10},
    "probability": {"type": "number", "minimum": 0, "maximum": 1},
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
_PROGRAM: dict[str, Any] = {
    "description": "A program that checks each layer: its standard input is the uncompressed tar.",
    "type": "object",
    "additionalProperties": False,
    "required": ["program"],
    "properties": {
        "program": {
            "description": "The absolute path of the program, and its arguments; no shell is used.",
            **_TEXTS,
        },
        "timeout": {
            "description": "The maximum duration for one layer in seconds (default: 600).",
            "type": "integer",
            "minimum": 1,
            "maximum": 86400,
        },
        "statuses": {
            "description": "The exit statuses that are findings, with their severities (default: 1,"
            " with the severity of the program). Status 0 is a pass; after any other status, the"
            " layer counts as not checked.",
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "patternProperties": {
                "^([1-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$": _SEVERITY
            },
        },
        **_COMMON,
    },
}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 1024}
_VEX: dict[str, Any] = {
    "description": "The signers whose statements about vulnerabilities (VEX) count: a finding about"
    " a vulnerability that does not affect the image, or is fixed, is accepted (default: none).",
    "type": "array",
    "minItems": 1,
    "maxItems": 16,
    "items": {
        "title": "either `key`, or `issuer` with `identity` and `trustedRoot`",
        "type": "object",
        "additionalProperties": False,
        "oneOf": [{"required": ["key"]}, {"required": ["issuer", "identity", "trustedRoot"]}],
        "properties": {
            "key": {"description": "A file with a public key.", **_TEXT},
            "issuer": {"description": "The OIDC provider of the identity.", **_TEXT},
            "identity": {"description": "The email address or the URI of the identity.", **_TEXT},
            "trustedRoot": {
                "description": "A file trusted_root.json of sigstore, with the authorities and logs"
                " to trust.",
                **_TEXT,
            },
            "images": {
                "description": "The images about which the statements count (default: all).",
                **_TEXTS,
            },
        },
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
            "programs": {
                "description": "Programs that check the layers, by names that findings contain.",
                "type": "object",
                "additionalProperties": False,
                "patternProperties": {"^[a-z0-9][a-z0-9-]{0,62}$": _PROGRAM},
            },
            "vex": _VEX,
        },
    }


def _create_rule_schema(rule: Rule) -> dict[str, Any]:
    required = [item.name for item in rule.settings if item.required]
    own: dict[str, Any] = {}
    for item in rule.settings:
        own[item.name] = {"description": item.description, **_KINDS[item.kind]}
        if item.kind == "choice":
            own[item.name]["enum"] = list(item.choices)
        elif item.choices:
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
