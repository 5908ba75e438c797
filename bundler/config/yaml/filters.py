"""Conditions on names and tags as a person writes them in YAML; mistakes become findings."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from bundler.config.yaml.document import ScalarNode, SequenceNode, Value
from bundler.errors import UsageError
from bundler.oci.tag_filter import checked_range

if TYPE_CHECKING:
    from bundler.config.yaml.document import Findings

MAX_EXPRESSION = 512


def parse_expression(value: Value | None, findings: Findings) -> re.Pattern[str] | None:
    """A regular expression that a person wrote, compiled; None where it is a mistake."""
    if not isinstance(value, ScalarNode) or not 0 < len(value) <= MAX_EXPRESSION:
        return None  # the schema has found it already
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read differently
            return re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        findings.add(value.at, f"{str(value[:80])!r} is not a regular expression: {error}")
        return None


def parse_expressions(value: Value | None, findings: Findings) -> tuple[re.Pattern[str], ...]:
    """A list of regular expressions."""
    items = value if isinstance(value, SequenceNode) else ()
    return tuple(filter(None, (parse_expression(item, findings) for item in items)))


def read_range(value: Value | None, findings: Findings) -> str | None:
    """A range of versions; None where it is a mistake, or absent."""
    if not isinstance(value, ScalarNode) or value.is_null:
        return None
    try:
        return checked_range(value)
    except UsageError as error:
        findings.add(value.at, error.message)
        return None
