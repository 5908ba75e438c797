"""A switch as command lines made for Go have it: alone it means true."""

from __future__ import annotations

from typing import Any

import click

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class GoBoolOption(click.Option):
    """``--name`` means ``--name=true``, and ``--name=false`` says no; unset it is None.

    It never takes the next argument for its value, as a command line made for Go expects.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*arguments, **{"callback": _read_switch} | settings)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option as it is written: ``--name[=BOOL]``."""
        record = super().get_help_record(ctx)
        return record and (f"{', '.join(self.opts)}[=BOOL]", record[1])


def _read_switch(context: click.Context, param: click.Parameter, value: str | None) -> bool | None:
    if value is None or value in _TRUE:
        return None if value is None else True
    if value not in _FALSE:
        raise click.BadParameter(f"{value!r} is neither true nor false", context, param)
    return False
