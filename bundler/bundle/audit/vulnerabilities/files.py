"""The files for a check for vulnerabilities: the database, and the lists of exploits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.bundle.audit.vulnerabilities.result import VulnerabilityReport
    from bundler.cancel import Cancellation


@dataclass(frozen=True, slots=True)
class VulnerabilityFiles:
    """The paths of the files; None: there is no such list."""

    database: Path
    kev: Path | None = None
    epss: Path | None = None

    def check(
        self, images: Sequence[ImagePackages], cancellation: Cancellation
    ) -> VulnerabilityReport:
        """Compare the packages of images with the database.

        Raises:
            BundlerError: a file cannot be read, see ``check_packages`` and ``read_exploits``.
        """
        from bundler.bundle.audit.vulnerabilities.check import check_packages  # noqa: PLC0415 - rare
        from bundler.bundle.audit.vulnerabilities.exploits import read_exploits  # noqa: PLC0415

        exploits = read_exploits(self.kev, self.epss)
        return check_packages(images, self.database, cancellation, exploits)
