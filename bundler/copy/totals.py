"""Totals of the blobs that a run pushes, finds at the destination and mounts, planned or actual."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BlobTotal:
    """A number of blobs, and their size in bytes."""

    blobs: int = 0
    size: int = 0

    def __add__(self, other: BlobTotal) -> BlobTotal:
        return BlobTotal(self.blobs + other.blobs, self.size + other.size)

    def to_json(self) -> dict[str, int]:
        """Return the total as JSON."""
        return {"blobs": self.blobs, "bytes": self.size}


@dataclass(frozen=True, slots=True)
class TransferTotals:
    """The totals of a run; a blob that could not be transferred is not counted."""

    pushed: BlobTotal = field(default_factory=BlobTotal)
    """Without the bytes that an earlier run had stored."""
    present: BlobTotal = field(default_factory=BlobTotal)
    """Present before the run, and verified if the destination can be read."""
    mounted: BlobTotal = field(default_factory=BlobTotal)
    """Mounted from another repository of the same registry."""

    def __add__(self, other: TransferTotals) -> TransferTotals:
        return TransferTotals(
            self.pushed + other.pushed, self.present + other.present, self.mounted + other.mounted
        )
