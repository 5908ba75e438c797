"""The options of ``import`` and its rehearsal that select images and determine target names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options import common
from bundler.cli.options.option import OWN_SECTION, flag, option_group, spec
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.gocompat.regexp import GoExpression

SECTION = "Target names"


@dataclass(frozen=True, slots=True)
class ImportNameOptions:
    """The images to import and their target names, as given on the command line."""

    rename_rules: tuple[str, ...] = ()
    keep_host: bool = False
    only: tuple[str, ...] = ()

    def parse_patterns(self) -> tuple[GoExpression, ...]:
        """Return the patterns of ``--only``.

        Raises:
            UsageError: one is not a regular expression.
        """
        from bundler.gocompat.regexp import GoExpression  # noqa: PLC0415 - not for --help

        try:
            return tuple(map(GoExpression.parse, self.only))
        except UsageError as error:
            raise UsageError(f"--only: {error.message}") from None


import_names = option_group(
    ImportNameOptions,
    "names",
    SECTION,
    {
        "rename_rules": common.RENAME_RULES,
        "keep_host": flag("--keep-host", "Keep the source registry in target names."),
        "only": spec(
            "--only",
            multiple=True,
            metavar="PATTERN",
            section=OWN_SECTION,
            help="Select only images whose reference matches this RE2 expression. May be repeated.",
        ),
    },
)
"""The options of the group, in the parameter ``names``."""
