"""The tables of recovery data: the protected files, and the digests of all slices."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bundler.bundle.recovery.content import parse_files
from bundler.bundle.recovery.geometry import DIGEST_SIZE, Geometry
from bundler.errors import BundlerError, IntegrityError, LimitError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.format.inventory.inventory import ChecksumFile
    from bundler.bundle.format.inventory.recovery_record import RecoveryRecord
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.oci.digest import Digest

MAX_TABLE = 64 * 1024 * 1024


class RecoveryTables:
    """The tables that ``record`` describes.

    ``files`` are the protected files in their order, ``numbers`` their places in it by path, and
    ``raw`` the bytes of the tables by name.
    """

    def __init__(
        self, bundle: BundleFiles, record: RecoveryRecord, paths: Mapping[Digest, str]
    ) -> None:
        """Read the tables; ``paths`` are the paths of the content files of the bundle by digest.

        Raises:
            IntegrityError: no copy of a table is intact, or a table is not valid.
            LimitError: a table is too large.
        """
        self.record = record
        listing = _read_intact(bundle, record, "files", record.files)
        self.files = parse_files(listing, paths, record.find_copies("files")[0])
        self.numbers = {file.path: number for number, file in enumerate(self.files)}
        total = sum(file.size for file in self.files)
        self.geometry = Geometry(
            record.slice_size, record.data_slices, record.recovery_slices, total
        )
        expected = self.geometry.rows * self.geometry.width * DIGEST_SIZE
        if record.digests.size != expected:
            raise MalformedError(
                f"{record.directory}: wrong size of the digests in the inventory (expected"
                f" {expected:,}, got {record.digests.size:,})"
            )
        self._digests = _read_intact(bundle, record, "digests", record.digests)
        self.raw = {"files": listing, "digests": self._digests}

    def get_digest(self, row: int, column: int) -> bytes:
        """Return the expected SHA-256 of a slice."""
        start = (row * self.geometry.width + column) * DIGEST_SIZE
        return self._digests[start : start + DIGEST_SIZE]


def _read_intact(
    bundle: BundleFiles, record: RecoveryRecord, name: str, expected: ChecksumFile
) -> bytes:
    """Return the first copy of a table that is intact."""
    if expected.size > MAX_TABLE:
        raise LimitError(
            f"{record.directory}/{name}: too large (expected at most {MAX_TABLE:,} bytes, got"
            f" {expected.size:,})"
        )
    copies = record.find_copies(name)
    for path in copies:
        with suppress(BundlerError):
            raw = bundle.read(path, expected.size)
            if expected.digest.matches(raw):
                return raw
    raise IntegrityError(f"{' and '.join(copies)}: damaged or missing, so nothing can be restored")
