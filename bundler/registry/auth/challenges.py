"""Challenges: the ``WWW-Authenticate`` fields of a response.

https://www.rfc-editor.org/rfc/rfc9110#name-www-authenticate
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_HEADER = 16 * 1024
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(
    rf"[ \t]*(?P<name>{_NAME})[ \t]*=[ \t]*"
    rf'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>{_NAME}))[ \t]*(?=,|$)'
)
_SCHEME = re.compile(rf"[ \t]*(?P<scheme>{_NAME})(?P<rest>[ \t]+|(?=,)|$)")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")
_COMMAS = re.compile(r"[ \t,]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge. The scheme and the names of the parameters are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Parse WWW-Authenticate headers, each of which may contain several challenges.

    After a syntax error, the rest of a header is ignored.
    """
    found: list[Challenge] = []
    for header in headers:
        text = header[:_MAX_HEADER]
        position = _skip(_COMMAS, text, 0)
        while scheme := _SCHEME.match(text, position):
            position = scheme.end()
            parameters: dict[str, str] = {}
            while parameter := _PARAMETER.match(text, position):
                value = parameter["plain"]
                if value is None:
                    value = re.sub(r"\\(.)", r"\1", parameter["quoted"])
                parameters.setdefault(parameter["name"].lower(), value)
                position = _skip(_COMMAS, text, parameter.end())
            if not parameters:
                position = _skip(_COMMAS, text, _skip(_TOKEN68, text, position))
            found.append(Challenge(scheme["scheme"].lower(), parameters))
    return found


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return position if match is None else match.end()
