"""Options for target names."""

from __future__ import annotations

from dataclasses import dataclass

import click

from bundler.cli.options.group import option_group, spec


@dataclass(frozen=True, slots=True)
class NamingOptions:
    """The naming options of the command line; None if unset."""

    moves: tuple[str, ...]
    keep_host: bool
    existing: str | None


naming = option_group(
    NamingOptions,
    "naming",
    "Target names",
    {
        "moves": spec(
            "--names",
            multiple=True,
            metavar="FROM=TO",
            help="Replace the prefix FROM of references by TO. May be repeated.",
        ),
        "keep_host": spec(
            "--keep-host", is_flag=True, help="Keep the source registry in target names."
        ),
        "existing": spec(
            "--existing",
            type=click.Choice(["error", "skip", "overwrite"]),
            help="Handling of target names that hold other content (default: error).",
        ),
    },
)
"""Decorator: add the naming options; their values are in ``naming``."""
