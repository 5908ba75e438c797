"""The database of vulnerabilities, and the lists of exploits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options import common
from bundler.cli.options.option import option_group, spec
from bundler.errors import MissingFileError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.audit.vulnerabilities.files import VulnerabilityFiles

_SECTION = "Vulnerabilities"


@dataclass(frozen=True, slots=True)
class VulnerabilityOptions:
    """The database and the lists; None if unset."""

    database: Path | None = None
    kev: Path | None = None
    epss: Path | None = None

    def get_files(self) -> VulnerabilityFiles | None:
        """Return the files; None: there is no database.

        Raises:
            UsageError: there are lists of exploits without a database.
            MissingFileError: a file does not exist, which is reported before images are read.
        """
        if self.database is None:
            if self.kev is not None or self.epss is not None:
                raise UsageError(f"{'--epss' if self.kev is None else '--kev'} requires --database")
            return None
        for path in filter(None, (self.database, self.kev, self.epss)):
            if not path.exists():
                raise MissingFileError(str(path))
        from bundler.bundle.audit.vulnerabilities.files import VulnerabilityFiles  # noqa: PLC0415

        return VulnerabilityFiles(self.database, self.kev, self.epss)


OPTIONS = {
    "database": spec(
        "--database",
        type=common.PATH,
        section=_SECTION,
        help="Database of vulnerabilities: OSV records as a zip archive, a JSON file, or a"
        " directory of these.",
    ),
    "kev": spec(
        "--kev",
        type=common.PATH,
        section=_SECTION,
        metavar="FILE",
        help="Catalog of exploited vulnerabilities of CISA (KEV), as JSON.",
    ),
    "epss": spec(
        "--epss",
        type=common.PATH,
        section=_SECTION,
        metavar="FILE",
        help="Probabilities of exploits (EPSS), as CSV, which may be compressed with gzip.",
    ),
}
"""The options by the fields that they set, for groups that include them."""

vulnerability_options = option_group(VulnerabilityOptions, "vulnerabilities", _SECTION, OPTIONS)
"""``--database``, ``--kev`` and ``--epss``; their values are in ``vulnerabilities``."""
