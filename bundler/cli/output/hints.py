"""Hints of registry errors for one command: only options that it has, and not those in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.core import ParameterSource

from bundler.errors import EngineUnreachableError, join_remedies

if TYPE_CHECKING:
    import click

    from bundler.errors import RegistryError, Remedy

_GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
_SIDES = {"src-": "source", "dest-": "destination"}
"""The prefixes of options for one side, and the argument with its reference."""


def complete_hint(error: RegistryError, parsed: click.Context) -> None:
    """Replace the hint of ``error`` by the remedies that the command offers."""
    if error.remedies:
        url = "" if error.exchange is None else error.exchange.url
        host = error.registry or url.partition("://")[2].partition("/")[0]
        if isinstance(error, EngineUnreachableError):
            host = "docker-daemon:"
        hints = _CommandHints(parsed, host)
        texts = [text for remedy in error.remedies if (text := hints.describe(remedy))]
        error.hint = join_remedies(error.hint_prefix, texts)


class _CommandHints:
    """Selection of remedies by the options of a command and its command line."""

    def __init__(self, parsed: click.Context, host: str) -> None:
        self._parsed = parsed
        self._names = {
            spelling: parameter.name or ""
            for parameter in parsed.command.params
            for spelling in parameter.opts
        }
        self._sides = [
            side
            for side, parameter in _SIDES.items()
            if host and host in str(parsed.params.get(parameter) or "")
        ]
        """The sides on which the host, or the engine, is; empty if unknown."""

    def describe(self, remedy: Remedy) -> str | None:
        """Return the text of a remedy; None if the command does not offer it."""
        if any(self._find_given(option) for option in remedy.unless):
            return None
        if remedy.in_file:
            target = str(self._parsed.params.get("target") or "")
            file = self._parsed.params.get("manifest") or (
                target if target.endswith((".yaml", ".yml")) else None
            )
            return f"{remedy.format()} in {file}" if file else None
        if remedy.option is None:
            return remedy.format()
        if given := self._find_given(remedy.option):
            value = self._parsed.params.get(self._names[given])
            return remedy.format_given(given, str(value))
        spellings = self._list_spellings(remedy.option)
        if len(self._sides) == 1:
            return remedy.format(spellings[-1]) if spellings else None
        general = f"--{remedy.option}"
        option = general if general in spellings else " or ".join(spellings)
        return remedy.format(option) if option else None

    def _find_given(self, option: str) -> str | None:
        """Return the spelling of an option on the command line; None if it is not given."""
        for spelling in self._list_spellings(option):
            if self._parsed.get_parameter_source(self._names[spelling]) in _GIVEN:
                return spelling
        return None

    def _list_spellings(self, option: str) -> list[str]:
        """Return the spellings for both sides, and those for the sides of the host."""
        spellings = (f"--{prefix}{option}" for prefix in ("", *(self._sides or _SIDES)))
        return [spelling for spelling in spellings if spelling in self._names]
