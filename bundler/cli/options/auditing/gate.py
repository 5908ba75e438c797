"""The rules that the images of an import must pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli.options import common
from bundler.cli.options.auditing.vulnerabilities import OPTIONS, VulnerabilityOptions
from bundler.cli.options.option import option_group, spec
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.audit.rules.former import FormerBundle
    from bundler.bundle.audit.rules.gate import Gate

SECTION = "Rules"


@dataclass(frozen=True, slots=True)
class GateOptions(VulnerabilityOptions):
    """The files of rules and waivers, and the former bundle; None if unset.

    The database and the lists of exploits are for rules that need them.
    """

    rules: Path | None = None
    waivers: Path | None = None
    since: Path | None = None

    def load(self, location: Sequence[str | Path], *, needs_no_rules: bool = False) -> Gate | None:
        """Read the files; return None if there are no rules.

        ``location`` is the bundle, its volumes, or the reference to which the rules apply.
        ``needs_no_rules``: a report or evidence is written, also of a comparison with a former
        bundle or a database.

        Raises:
            UsageError: there are waivers, a former bundle or a database without rules, or programs
                that are part of the bundle.
            InvalidBundleManifestError, NotFoundError, LimitError: a file cannot be read.
        """
        files = self.get_files()
        if self.rules is None:
            if files is not None and not needs_no_rules:
                raise UsageError("--database requires --rules")
            if self.waivers is not None or (self.since is not None and not needs_no_rules):
                option = "--since" if self.waivers is None else "--waivers"
                raise UsageError(f"{option} requires --rules")
            return None
        from bundler.bundle.audit.rules import gate  # noqa: PLC0415 - rare
        from bundler.bundle.audit.rules.documents import rules_file, waivers_file  # noqa: PLC0415 - rare

        rules = rules_file.load(self.rules)
        folders = [folder for word in location for folder in _find_folders(word)]
        for program in (item.program for item in rules.rules if item.program is not None):
            for file in (self.rules, *filter(Path.is_absolute, map(Path, program.arguments))):
                if any(file.resolve().is_relative_to(folder) for folder in folders):
                    raise UsageError(
                        f"{file}: in the directory with the images, so no program is run",
                        hint="use programs and a rules file of your site",
                    )
        accepted = () if self.waivers is None else waivers_file.load(self.waivers)
        return gate.Gate(rules, accepted, self.read_former(), vulnerabilities=files)

    def read_former(self) -> FormerBundle | None:
        """Read the former bundle; return None if there is none.

        Raises:
            BundlerError: it cannot be read, see ``former.read_former``.
        """
        if self.since is None:
            return None
        from bundler.bundle.audit.rules import former  # noqa: PLC0415 - rare

        return former.read_former(self.since)


def _find_folders(location: str | Path) -> list[Path]:
    """Return the directories that a path, or a reference to a directory and a name, can mean."""
    parts = str(location).split(":")[1:]
    paths = [Path(location), *(Path(":".join(parts[: n + 1])) for n in range(len(parts)))]
    return [path.resolve() for path in paths if path.is_dir()]


gate_options = option_group(
    GateOptions,
    "gate",
    SECTION,
    {
        "rules": spec(
            "--rules",
            type=common.PATH,
            help="The rules file that the images must pass.",
        ),
        "waivers": spec(
            "--waivers", type=common.PATH, help="A file of waivers, which accept findings."
        ),
        "since": spec(
            "--since",
            type=common.PATH,
            metavar="BUNDLE",
            help="Former bundle for rules and reports about changes: a bundle, its bundle.json, or"
            " a receipt. Its signatures are not verified.",
        ),
        **OPTIONS,
    },
)
"""``--rules``, ``--waivers``, ``--since`` and the database; their values are in ``gate``."""
