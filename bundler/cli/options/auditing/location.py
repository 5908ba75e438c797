"""The arguments of commands that look into images: one or two locations, and further words."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bundler.cli.options.option import Decorated

_LOCATIONS = ("LOCATION", "A", "B")


def location_arguments(**arguments: str) -> Callable[[Decorated], Decorated]:
    """Add arguments to a command, by the names of its parameters and as its usage shows them.

    ``LOCATION``, ``A`` and ``B`` are locations: one word, or one for each volume of a bundle.
    ``[IMAGE]`` may be absent, and is None then; ``[IMAGE]...`` are all words that remain.
    """

    def decorate(function: Decorated) -> Decorated:
        @functools.wraps(function)
        def take(*context: Any, words: tuple[str, ...], **options: Any) -> Any:  # noqa: ANN401
            return function(*context, **_take_words(arguments, words), **options)

        usage = " ".join(arguments.values())
        return click.argument("words", nargs=-1, metavar=usage)(take)  # type: ignore[return-value]

    return decorate


def _take_words(arguments: Mapping[str, str], words: Sequence[str]) -> dict[str, object]:
    """Return the values of the parameters.

    Raises:
        click.UsageError: there are too few words, or too many.
    """
    from bundler.bundle.audit.location import group_locations  # noqa: PLC0415 - not for --help

    found: dict[str, object] = {}
    rest = group_locations(words)
    for position, (name, form) in enumerate(arguments.items()):
        later = [item for item in [*arguments.values()][position + 1 :] if "[" not in item]
        if form.endswith("..."):
            found[name], rest = tuple(map(str, rest)), []
        elif form.startswith("[") and len(rest) <= len(later):
            found[name] = None
        elif not rest:
            raise click.UsageError(f"Missing argument '{form}'.")
        else:
            location = rest.pop(0)
            found[name] = location if form in _LOCATIONS else str(location)
    if rest:
        plural = "s" if len(rest) > 1 else ""
        raise click.UsageError(
            f"Got unexpected extra argument{plural} ({' '.join(map(str, rest))})"
        )
    return found
