"""Counts, sizes, lists and texts from outside in messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def format_size(count: float) -> str:
    """Format a number of bytes in binary units: ``1.6 GiB``."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in _UNITS:
        count /= 1024
        if count < 1023.95 or unit == _UNITS[-1]:
            break
    return f"{count:.1f} {unit}"


def count(number: int, noun: str) -> str:
    """Return ``number`` with ``noun``, whose plural ends in s: ``1 image``, ``12,000 images``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def be(number: int, *, past: bool = False) -> str:
    """Return the form of *be* that agrees with ``number``: is, are, was or were."""
    if number == 1:
        return "was" if past else "is"
    return "were" if past else "are"


def shortlist(items: Sequence[str], limit: int = 3) -> str:
    """Return the first ``limit`` items and the number of the others: ``a, b, c and 4 more``."""
    more = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {more:,} more" if more > 0 else "")


def escape(text: str) -> str:
    r"""Return ``text`` with every character that is not printable escaped, as in ``\x1b``.

    Control characters and those that change the direction of text are not printable.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
