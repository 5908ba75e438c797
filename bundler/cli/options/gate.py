"""The rules that the images of an import must pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options import common
from bundler.cli.options.option import option_group, spec
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.audit.rules.gate import Gate

SECTION = "Rules"


@dataclass(frozen=True, slots=True)
class GateOptions:
    """The files of rules and waivers; None if unset."""

    rules: Path | None = None
    waivers: Path | None = None

    def load(self) -> Gate | None:
        """Read the files; return None if there are no rules.

        Raises:
            UsageError: there are waivers without rules.
            InvalidBundleManifestError, NotFoundError, LimitError: a file cannot be read.
        """
        if self.rules is None:
            if self.waivers is not None:
                raise UsageError("--waivers requires --rules")
            return None
        from bundler.bundle.audit.rules import gate, rules_file, waivers_file  # noqa: PLC0415 - rare

        accepted = () if self.waivers is None else waivers_file.load(self.waivers)
        return gate.Gate(rules_file.load(self.rules), accepted)


gate_options = option_group(
    GateOptions,
    "gate",
    SECTION,
    {
        "rules": spec(
            "--rules",
            type=common.PATH,
            help="Refuse the bundle if its images do not pass the rules in this file.",
        ),
        "waivers": spec(
            "--waivers", type=common.PATH, help="A file of waivers, which accept findings."
        ),
    },
)
"""``--rules`` and ``--waivers``; their values are in ``gate``."""
