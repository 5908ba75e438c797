"""The member ``recovery`` of the inventory: which recovery data belongs to the bundle.

The record contains the digests of two files, from which the digest of every slice follows. So no
recovery data of another bundle is used, and damaged recovery data is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.inventory import ChecksumFile

if TYPE_CHECKING:
    from bundler.oci.json import strict
    from bundler.oci.json.table import Table

MAX_SLICES = 256
"""Maximum number of slices in a codeword: the order of the field GF(2^8)."""
MIN_SLICE = 4096
MAX_SLICE = 16 * 1024 * 1024
COPIES = 2
"""The number of copies of each file that is not a set of recovery slices."""


@dataclass(frozen=True, slots=True)
class RecoveryRecord:
    """The recovery data of a bundle. Sizes are in bytes."""

    number: int
    """The name of its directory below ``recovery/``: the serial of the bundle."""
    percent: int
    """The requested size in percent of the protected content."""
    slice_size: int
    data_slices: int
    """The number of content slices in a codeword."""
    recovery_slices: int
    """The number of recovery slices in a codeword: that many of its slices may be lost."""
    files: ChecksumFile
    """The list of the protected files."""
    digests: ChecksumFile
    """The digests of all slices."""

    @property
    def directory(self) -> str:
        """The path of the directory with the recovery data."""
        return f"{bundle_paths.RECOVERY}/{self.number}"

    def find_copies(self, name: str) -> list[str]:
        """Return the paths of the copies of ``files``, ``digests`` or ``seal``."""
        suffix = ".tar" if name == "seal" else ""
        return [f"{self.directory}/{name}-{copy}{suffix}" for copy in range(1, COPIES + 1)]

    @property
    def slice_paths(self) -> list[str]:
        """The paths of the files with recovery slices, in the order of the code."""
        return [
            f"{self.directory}/slices-{number:03}" for number in range(1, self.recovery_slices + 1)
        ]

    @property
    def paths(self) -> list[str]:
        """The paths of all files of the recovery data."""
        copies = [path for name in ("files", "digests", "seal") for path in self.find_copies(name)]
        return copies + self.slice_paths

    def to_json(self) -> strict.JSON:
        """Return the member of the inventory."""
        return {
            "number": self.number,
            "percent": self.percent,
            "sliceSize": self.slice_size,
            "dataSlices": self.data_slices,
            "recoverySlices": self.recovery_slices,
            "files": _to_json(self.files),
            "digests": _to_json(self.digests),
        }

    @classmethod
    def from_json(cls, table: Table) -> Self:
        """Read the member of the inventory.

        Raises:
            MalformedError: a member is missing or out of range.
        """
        record = cls(
            number=table.integer("number"),
            percent=table.integer("percent"),
            slice_size=table.integer("sliceSize"),
            data_slices=table.integer("dataSlices"),
            recovery_slices=table.integer("recoverySlices"),
            files=_from_json(table.table("files")),
            digests=_from_json(table.table("digests")),
        )
        size = record.slice_size
        if not MIN_SLICE <= size <= MAX_SLICE or size & (size - 1):
            raise table.problem(
                f"sliceSize is {size:,} (expected a power of two from {MIN_SLICE:,} to"
                f" {MAX_SLICE:,})"
            )
        slices = record.data_slices, record.recovery_slices
        if min(slices) < 1 or sum(slices) > MAX_SLICES:
            raise table.problem(
                f"dataSlices and recoverySlices are {slices[0]:,} and {slices[1]:,} (expected at"
                f" least 1 each, and together at most {MAX_SLICES})"
            )
        return record


def _to_json(file: ChecksumFile) -> strict.JSON:
    return {"digest": file.digest.text, "size": file.size, "count": file.count}


def _from_json(table: Table) -> ChecksumFile:
    return ChecksumFile(table.digest("digest"), table.integer("size"), table.integer("count"))
