"""Errors in Skopeo's words, and the exit statuses that it has for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli import durations
from bundler.errors import BundlerError, CancelledError, NotFoundError

if TYPE_CHECKING:
    from bundler.cli.skopeo.command_line import CommandLine
    from bundler.events import Retrying

_NOT_FOUND = 2


def phrase(error: BundlerError, line: CommandLine) -> str:
    """What Skopeo would say of ``error``, as far as it knows the like; else our own words."""
    return error.message


def retrying(event: Retrying, line: CommandLine) -> str:
    """What Skopeo says before it runs a command again."""
    wait = durations.text(event.wait)
    return (
        f"Failed, retrying in {wait} ... ({event.attempt}/{event.repeats}). Error: {event.reason}"
    )


def status(error: BundlerError, line: CommandLine) -> int:
    """1, unless an image is not there, or the user had enough."""
    if isinstance(error, CancelledError):
        return error.status
    return _NOT_FOUND if isinstance(error, NotFoundError) else 1
