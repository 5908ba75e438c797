"""Declaration of options: sections of ``--help``, option groups, booleans in Go's syntax.

Every option belongs to a section; a command lists its sections in the order in which they are
declared. ``--help`` imports this module, so it does not import dataclasses.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

OWN_SECTION = "Options"
"""The section of options that belong to no group."""

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class Option(click.Option):
    """An option that ``--help`` lists in a section."""

    def __init__(self, *arguments: Any, section: str = OWN_SECTION, **attributes: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*arguments, **attributes)
        self.section = section


class GoBoolOption(Option):
    """``--name`` or ``--name=BOOL``, never ``--name BOOL``; None if unset."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*arguments, type=parse_bool, **attributes)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the help entry, with the spelling ``--name[=BOOL]``."""
        record = super().get_help_record(ctx)
        return record and (f"{', '.join(self.opts)}[=BOOL]", record[1])


class OptionSpec(NamedTuple):
    """The spellings and click attributes of an option, without its name and section."""

    spellings: tuple[str, ...]
    attributes: dict[str, Any]


def spec(*spellings: str, **attributes: Any) -> OptionSpec:  # noqa: ANN401 - click's
    """Describe one option of a group."""
    return OptionSpec(spellings, attributes)


def flag(spelling: str, effect: str) -> OptionSpec:
    """Describe one option of a group that has no value."""
    return OptionSpec((spelling,), {"is_flag": True, "help": effect})


def option(
    *spellings: str,
    section: str = OWN_SECTION,
    **attributes: Any,  # noqa: ANN401 - click's
) -> Callable[[Decorated], Decorated]:
    """Add one option to a command, like ``click.option``, in a section of ``--help``."""
    kind: type[Option] = attributes.pop("cls", Option)
    return click.option(*spellings, cls=kind, section=section, **attributes)


def option_group(
    group: Callable[..., object],
    parameter: str,
    section: str,
    options: Mapping[str, OptionSpec],
    prefix: str = "",
) -> Callable[[Decorated], Decorated]:
    """Add options to a command, which receives them as one ``group`` in ``parameter``.

    Args:
        group: the type of the value, or a function that creates it from one keyword per option.
        parameter: the name of the command's parameter.
        section: the heading in ``--help``.
        options: the options by the keyword of ``group`` that each one sets.
        prefix: a prefix of the parameter names, for a group that a command uses twice.
    """

    def decorate(function: Decorated) -> Decorated:
        @functools.wraps(function)
        def gather(*arguments: Any, **values: Any) -> Any:  # noqa: ANN401
            fields = {name: values.pop(f"{prefix}{name}") for name in options}
            return function(*arguments, **{parameter: group(**fields)}, **values)

        for name, item in reversed(list(options.items())):
            attributes = {"section": section} | item.attributes
            gather = option(*item.spellings, f"{prefix}{name}", **attributes)(gather)
        return gather  # type: ignore[return-value]

    return decorate


def refuse_conflicts(options: Mapping[str, object]) -> None:
    """Raise UsageError if more than one of these options, by spelling, has a value."""
    given = [name for name, value in options.items() if value not in (None, False, ())]
    if len(given) > 1:
        from bundler.errors import UsageError  # noqa: PLC0415 - only for errors

        raise UsageError(f"{given[0]} and {given[1]} are mutually exclusive")


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


def parse_bool(text: str) -> bool:
    """Parse the value of a boolean option."""
    if text not in (*_TRUE, *_FALSE):
        raise click.BadParameter(f"{text!r} is not a boolean (expected true or false)")
    return text in _TRUE


def parse_duration(text: str) -> float:
    """Parse a non-negative duration; return it in seconds."""
    from bundler.gocompat import durations  # noqa: PLC0415 - not for --help

    try:
        seconds = durations.parse(text)
    except ValueError:
        message = f"invalid duration {text[:80]!r} (expected for example 90s, 250ms or 1h30m)"
        raise click.BadParameter(message) from None
    if seconds < 0:
        raise click.BadParameter(f"negative duration {text[:80]!r}")
    return seconds


def parse_first_moment(text: str) -> datetime:
    """Parse a date; return the beginning of that day, in UTC."""
    return parse_day(text).replace(hour=0, minute=0, second=0)


def parse_percent(value: str | int) -> int:
    """Parse an integer from 1 to 100, with or without a percent sign; 0 is the default."""
    text = str(value).removesuffix("%")
    if value == 0 or (
        text.isascii() and text.isdigit() and len(text) <= 3 and 0 < int(text) <= 100
    ):
        return int(text)
    raise click.BadParameter(f"{value!r} is not a percentage (expected 1% to 100%)")


def parse_day(text: str) -> datetime:
    """Parse a date; return the end of that day, in UTC."""
    from datetime import UTC, date, datetime, time  # noqa: PLC0415 - not for --help

    try:
        day = date.fromisoformat(text)
    except ValueError:
        message = f"invalid date {text[:80]!r} (expected for example 2027-02-21)"
        raise click.BadParameter(message) from None
    return datetime.combine(day, time(23, 59, 59), UTC)
