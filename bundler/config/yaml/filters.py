"""Parsers of regular expressions and version ranges in YAML files, which collect findings."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from bundler.config.yaml.document import ScalarNode, SequenceNode, Value
from bundler.errors import UsageError
from bundler.oci.tag_filter import parse_range

if TYPE_CHECKING:
    from bundler.config.yaml.document import Findings

MAX_EXPRESSION = 512


def parse_expression(value: Value | None, findings: Findings) -> re.Pattern[str] | None:
    """Compile a regular expression; None if it is invalid or absent."""
    if not isinstance(value, ScalarNode) or not 0 < len(value) <= MAX_EXPRESSION:
        return None  # reported by the schema
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about syntax that may change in Python
            return re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        findings.add(value.at, f"{str(value[:80])!r} is not a regular expression: {error}")
        return None


def parse_expressions(value: Value | None, findings: Findings) -> tuple[re.Pattern[str], ...]:
    """Compile a list of regular expressions."""
    items = value if isinstance(value, SequenceNode) else ()
    return tuple(filter(None, (parse_expression(item, findings) for item in items)))


def parse_version_range(value: Value | None, findings: Findings) -> str | None:
    """Parse a version range; None if it is invalid or absent."""
    if not isinstance(value, ScalarNode) or value.is_null:
        return None
    try:
        return parse_range(value)
    except UsageError as error:
        findings.add(value.at, error.message)
        return None
