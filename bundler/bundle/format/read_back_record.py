"""The record that an export read its bundle again from the medium: ``read-back.json``.

It is written after the seal and is not signed, so it is only a claim of the exporting side. It
contains the digest of the inventory, so that a record of a former bundle is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from bundler.bundle.format.files import bundle_paths
from bundler.content.files import atomic_write
from bundler.content.files.uncached_file import DESCRIPTIONS
from bundler.errors import BundlerError
from bundler.oci.digest import Digest
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.content.files.safe_directory import Directory
    from bundler.content.files.uncached_file import ReadMethod

MAX_RECORD = 16 * 1024


@dataclass(frozen=True, slots=True)
class ReadBackRecord:
    """The statement that all files of a bundle were read from the medium with their digests."""

    inventory: Digest
    """The digest of ``bundle.json``."""
    time: datetime
    method: ReadMethod
    files: int
    size: int
    """The number of bytes."""

    def to_json(self) -> dict[str, strict.JSON]:
        """Return the record as JSON."""
        return {
            "inventory": self.inventory.text,
            "time": timestamps.format_utc(self.time),
            "method": self.method,
            "files": self.files,
            "size": self.size,
        }

    @classmethod
    def from_json(cls, table: Table) -> Self:
        """Read a record.

        Raises:
            MalformedError: a member is missing, or has another type.
        """
        return cls(
            table.digest("inventory"),
            timestamps.parse_utc(table.text("time"), table.subject),
            table.one_of("method", tuple(DESCRIPTIONS)),
            table.integer("files"),
            table.integer("size"),
        )

    @property
    def how(self) -> str:
        """How the cache was avoided, for people."""
        return DESCRIPTIONS[self.method]

    def describe(self) -> str:
        """Return a line for people."""
        time = timestamps.format_to_minute(self.time)
        return f"read back by the exporting side: {time}, {self.how} (not signed)"


def write(bundle: Directory, record: ReadBackRecord) -> None:
    """Write the record of a bundle.

    Raises:
        NoSpaceError, MediumError: it cannot be written.
    """
    raw = strict.dumps(record.to_json())
    atomic_write.write_bytes_in(bundle, bundle_paths.READ_BACK, raw)


def read(bundle: BundleFiles, inventory: bytes) -> ReadBackRecord | None:
    """Read the record of the bundle with this ``bundle.json``.

    None: there is none, it is about another bundle, or it is not valid; it is only a claim.
    """
    try:
        raw = bundle.read(bundle_paths.READ_BACK, MAX_RECORD)
        record = ReadBackRecord.from_json(Table.parse(raw, bundle_paths.READ_BACK))
    except BundlerError:
        return None
    return record if record.inventory == Digest.of(inventory) else None
