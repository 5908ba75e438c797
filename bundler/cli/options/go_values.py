"""Option values in Go's syntax, which Skopeo's users write: booleans and durations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bundler.cli.options.group import Option
from bundler.gocompat import durations

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class GoBoolOption(Option):
    """``--name`` and ``--name=true`` set it, ``--name=false`` clears it; None if unset.

    It never takes the next argument as its value.
    """

    def __init__(self, *arguments: Any, **attributes: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*arguments, **{"callback": _read_value} | attributes)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the help entry, with the spelling ``--name[=BOOL]``."""
        record = super().get_help_record(ctx)
        return record and (f"{', '.join(self.opts)}[=BOOL]", record[1])


def add_values(arguments: Sequence[str], parameters: Sequence[click.Parameter]) -> list[str]:
    """Append ``=true`` to boolean options without a value, which click cannot parse."""
    spellings = {
        spelling
        for parameter in parameters
        if isinstance(parameter, GoBoolOption)
        for spelling in parameter.opts
    }
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [f"{text}=true" if text in spellings else text for text in arguments[:end]]
    return [*options, *arguments[end:]]


def parse_duration(text: str) -> float:
    """Parse the value of an option that is a duration; return seconds, 0 or more.

    Raises:
        BadParameter: if it is not a duration, or is negative.
    """
    try:
        seconds = durations.parse(text)
    except ValueError:
        message = f"{text[:80]!r} is not a duration such as 90s, 250ms or 1h30m"
        raise click.BadParameter(message) from None
    if seconds < 0:
        raise click.BadParameter(f"{text[:80]!r} is negative")
    return seconds


def _read_value(context: click.Context, param: click.Parameter, value: str | None) -> bool | None:
    if value is None or value in _TRUE:
        return None if value is None else True
    if value not in _FALSE:
        raise click.BadParameter(
            f"{value!r} is not a boolean (expected true or false)", context, param
        )
    return False
