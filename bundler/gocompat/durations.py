"""Durations in Go's format: ``1h2m3.5s``, ``250ms``.

https://pkg.go.dev/time#ParseDuration
"""

from __future__ import annotations

import re

from bundler.gocompat.quoting import quote

LONGEST = (2**63 - 1) / 10**9
"""The longest duration in seconds: Go counts nanoseconds in 64 bits."""

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9}
_NANOSECONDS = {**_UNITS, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]*)\.?([0-9]*)([^0-9.]*)")
_MAX_DIGITS = 40


def parse(text: str) -> float:
    """Parse a duration, and return it in seconds.

    Raises:
        ValueError: with Go's message, if the duration is malformed or longer than ``LONGEST``.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0.0
    invalid = ValueError(f"time: invalid duration {quote(text)}")
    parts = _PART.findall(unsigned)[:-1]  # the last match is empty
    nanoseconds = 0
    for whole, fraction, unit in parts:
        if not whole + fraction or max(len(whole), len(fraction)) > _MAX_DIGITS:
            raise invalid
        if not unit:
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        if unit not in _NANOSECONDS:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        nanoseconds += int(whole or 0) * _NANOSECONDS[unit]
        nanoseconds += int(fraction or 0) * _NANOSECONDS[unit] // 10 ** len(fraction)
    seconds = nanoseconds / 10**9
    if not parts or seconds > LONGEST:
        raise invalid
    return -seconds if text.startswith("-") else seconds


def format_duration(seconds: float) -> str:
    """Format a duration in seconds."""
    nanoseconds = round(abs(seconds) * 10**9)
    sign = "-" if seconds < 0 and nanoseconds else ""
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if nanoseconds < size * 1000:
            return f"{sign}{_format_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_format_decimal(rest, 10**9)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else f"{sign}{text}"


def _format_decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    digits = f"{fraction:0{len(str(unit)) - 1}d}".rstrip("0") if fraction else ""
    return f"{whole}.{digits}" if digits else str(whole)
