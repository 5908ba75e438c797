"""Option groups: options that several commands share, read into one frozen value.

Every option belongs to a section of ``--help``; a command lists its sections in the order in which
they are declared. ``--help`` imports this module, so it does not import dataclasses.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

OWN_SECTION = "Options"
"""The section of options that belong to no group."""


class Option(click.Option):
    """An option that ``--help`` lists in a section."""

    def __init__(self, *arguments: Any, section: str = OWN_SECTION, **attributes: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*arguments, **attributes)
        self.section = section


class OptionSpec(NamedTuple):
    """The spellings of an option and its click attributes, before it gets a name and a section."""

    spellings: tuple[str, ...]
    attributes: dict[str, Any]


def spec(*spellings: str, **attributes: Any) -> OptionSpec:  # noqa: ANN401 - click's
    """Describe one option of a group."""
    return OptionSpec(spellings, attributes)


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
    """Add options to a command; it gets their values as one ``group`` in ``parameter``.

    Args:
        group: the type of the value, or a function that creates it from one keyword per option.
        parameter: the name of the command's parameter.
        section: the heading in ``--help``.
        options: the options by the keyword of ``group`` that each one sets.
        prefix: a prefix of the parameter names, for a group that a command has twice.
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
