"""Counts as messages write them: ``1 image``, ``2 images``."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """Return ``number`` with ``noun``, whose plural ends in s: ``1 image``, ``12,000 images``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def be(number: int, *, past: bool = False) -> str:
    """Return the form of *be* that agrees with ``number``: is, are, was or were."""
    if number == 1:
        return "was" if past else "is"
    return "were" if past else "are"
