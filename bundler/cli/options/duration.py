"""Durations as values of command-line options."""

from __future__ import annotations

import click

from bundler.gocompat import durations


def parse_duration(text: str) -> float:
    """The value of a click option: a duration that is not negative, in seconds.

    Raises:
        BadParameter: it is none.
    """
    try:
        seconds = durations.parse(text)
    except ValueError:
        message = f"{text[:80]!r} is not a duration such as 90s, 250ms or 1h30m"
        raise click.BadParameter(message) from None
    if seconds < 0:
        raise click.BadParameter(f"{text[:80]!r} lies in the past")
    return seconds
