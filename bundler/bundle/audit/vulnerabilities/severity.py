"""The severity of a vulnerability, from the members of its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.vulnerabilities.levels import LEVELS, Level
from bundler.bundle.audit.vulnerabilities.result import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_VECTOR = 400
_MAX_VECTORS = 20
_WORDS: dict[str, Level] = {
    "unimportant": "none",
    "none": "none",
    "negligible": "low",
    "minimal": "low",
    "minor": "low",
    "low": "low",
    "medium": "medium",
    "moderate": "medium",
    "high": "high",
    "important": "high",
    "critical": "critical",
}
"""The words of Debian (urgency), Ubuntu, Red Hat, SUSE and GitHub."""


def read_severity(record: dict[str, Any], affected: dict[str, Any]) -> Severity:
    """Return the highest CVSS base score of an affected package, or else of the record.

    Without a vector, the level is that of the word of the distribution or of GitHub. A vector that
    is not valid counts as absent.
    """
    for members in (affected, record):
        scored = [_compute(vector) for vector in _list_vectors(members)]
        found = max(filter(None, scored), key=lambda item: item.score or 0, default=None)
        if found is not None:
            return found
    for members in (affected, record):
        words = [
            specific.get(key)
            for specific in map(members.get, ("ecosystem_specific", "database_specific"))
            for key in ("urgency", "severity")
            if isinstance(specific, dict)
        ]
        # Vectors of the type Ubuntu are words.
        for word in (*words, *_list_vectors(members)):
            if isinstance(word, str) and word.lower() in _WORDS:
                return Severity(_WORDS[word.lower()])
    return Severity("unknown")


def get_level(score: float) -> Level:
    """Return the qualitative severity of a score; https://www.first.org/cvss/v4.0/specification-document."""
    limits = (0.1, 4.0, 7.0, 9.0)
    return LEVELS[1 + sum(score >= limit for limit in limits)]


def _list_vectors(members: dict[str, Any]) -> Iterator[str]:
    stated = members.get("severity")
    for item in stated[:_MAX_VECTORS] if isinstance(stated, list) else ():
        vector = item.get("score") if isinstance(item, dict) else None
        if isinstance(vector, str) and len(vector) <= _MAX_VECTOR:
            yield vector


def _compute(vector: str) -> Severity | None:
    """Return the base score of a CVSS vector; None: it is not one of version 3 or 4."""
    import cvss  # noqa: PLC0415 - only for vectors

    try:
        if vector.startswith("CVSS:4"):
            score = float(cvss.CVSS4(vector).base_score)
        elif vector.startswith("CVSS:3"):
            score = float(cvss.CVSS3(vector).base_score)
        else:
            return None
    except (cvss.exceptions.CVSSError, ValueError, LookupError, ArithmeticError):
        return None
    return Severity(get_level(score), score, vector)
