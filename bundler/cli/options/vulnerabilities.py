"""The database of vulnerabilities, and the lists of exploits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options import common
from bundler.cli.options.option import option_group, spec
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.bundle.audit.vulnerabilities.result import VulnerabilityReport
    from bundler.cancel import Cancellation

SECTION = "Vulnerabilities"


@dataclass(frozen=True, slots=True)
class VulnerabilityOptions:
    """The database and the lists; None if unset."""

    database: Path | None = None
    kev: Path | None = None
    epss: Path | None = None

    def check(
        self, images: Sequence[ImagePackages], cancellation: Cancellation
    ) -> VulnerabilityReport | None:
        """Compare the packages of images with the database; None: there is none.

        Raises:
            UsageError: there are lists of exploits without a database.
            BundlerError: a file cannot be read, see ``check_packages`` and ``read_exploits``.
        """
        if self.database is None:
            if self.kev is not None or self.epss is not None:
                raise UsageError(f"{'--epss' if self.kev is None else '--kev'} requires --database")
            return None
        from bundler.bundle.audit.vulnerabilities.check import check_packages  # noqa: PLC0415 - rare
        from bundler.bundle.audit.vulnerabilities.exploits import read_exploits  # noqa: PLC0415

        exploits = read_exploits(self.kev, self.epss)
        return check_packages(images, self.database, cancellation, exploits)


vulnerability_options = option_group(
    VulnerabilityOptions,
    "vulnerabilities",
    SECTION,
    {
        "database": spec(
            "--database",
            type=common.PATH,
            help="Database of vulnerabilities: OSV records as a zip archive, a JSON file, or a"
            " directory of these.",
        ),
        "kev": spec(
            "--kev",
            type=common.PATH,
            metavar="FILE",
            help="Catalog of exploited vulnerabilities of CISA (KEV), as JSON.",
        ),
        "epss": spec(
            "--epss",
            type=common.PATH,
            metavar="FILE",
            help="Probabilities of exploits (EPSS), as CSV, which may be compressed with gzip.",
        ),
    },
)
"""``--database``, ``--kev`` and ``--epss``; their values are in ``vulnerabilities``."""
