"""Sizes in bytes as users write them: ``90MiB``, ``100MB`` or ``1048576``."""

from __future__ import annotations

import re

_SIZE = re.compile(r"([0-9]{1,15})\s?(B|[kKMG]B?|[KMG]iB)?")
_UNITS = {"": 1, "B": 1, "K": 1000, "M": 1000**2, "G": 1000**3}
_BINARY_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

MIN_CHUNK = 64 * 1024
"""The minimum size in bytes of a piece of an upload."""


def parse_size(text: str) -> int:
    """Parse a size.

    Raises:
        ValueError: ``text`` is malformed.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:40]!r} is not a size (expected for example 90MiB)")
    unit = found[2] or ""
    return int(found[1]) * (_BINARY_UNITS.get(unit) or _UNITS[unit[:1].upper()])


def parse_chunk(text: str) -> int:
    """Parse the maximum size of a piece of an upload.

    Raises:
        ValueError: ``text`` is malformed, or less than ``MIN_CHUNK``.
    """
    size = parse_size(text)
    if size < MIN_CHUNK:
        raise ValueError(f"{text[:40]!r} is too small (expected at least 64KiB)")
    return size
