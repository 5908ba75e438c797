"""Options that several commands share and that belong to no group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.cli.options.group import option, spec

if TYPE_CHECKING:
    from collections.abc import Callable

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

PATH = click.Path(path_type=Path)

OUTPUT = "Output"
"""The section of options that choose what is printed or written besides the result."""

RENAME_RULES = spec(
    "--names",
    multiple=True,
    metavar="FROM=TO",
    help="Replace the prefix FROM of references by TO. May be repeated.",
)
"""``--names``, for an option group."""


def jobs(effect: str = "Number of parallel transfers (default: 6).") -> Callable[[Any], Any]:
    """``--jobs``, in the parameter ``jobs``; None if unset."""
    return option("-j", "--jobs", metavar="N", type=click.IntRange(1, 64), help=effect)


def as_json(function: Decorated) -> Decorated:
    """``--json``, in the parameter ``as_json``."""
    return option(
        "--json", "as_json", is_flag=True, section=OUTPUT, help="Print one JSON document."
    )(function)


def dry_run(effect: str) -> Callable[[Any], Any]:
    """``--dry-run``, in the parameter ``dry_run``."""
    return option("--dry-run", is_flag=True, section=OUTPUT, help=effect)


def digestfile(effect: str) -> Callable[[Any], Any]:
    """``--digestfile``, in the parameter ``digestfile``; None if unset."""
    return option("--digestfile", metavar="FILE", type=PATH, section=OUTPUT, help=effect)


def passphrase_file(effect: str) -> Callable[[Any], Any]:
    """``--passphrase-file``, in the parameter ``passphrase_file``; None if unset."""
    return option("--passphrase-file", type=PATH, help=effect)
