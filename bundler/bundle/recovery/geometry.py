"""How the protected content of a bundle is divided into slices and codewords.

The protected files are concatenated, and the result is divided into slices of equal size, the last
one padded with zeros. Of ``rows`` codewords, codeword ``r`` contains the slices ``r``,
``r + rows``, ``r + 2 * rows`` and so on, so that a long damaged stretch spreads over all codewords.
Slices beyond the end are zeros, and are not stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from bundler.bundle.format.inventory.recovery_record import MAX_SLICE, MIN_SLICE

_MAX_DATA = 100
_MAX_WIDTH = 128
"""Longer codewords survive more scattered damage, and take longer to calculate."""

STRIP = 32 * 1024
"""The number of bytes of each slice that are calculated together, which bounds memory."""
DIGEST_SIZE = 32
"""The size in bytes of the digest of a slice: its SHA-256."""
LABEL = "recovery data"
"""The name of the recovery data in events."""

_SLICE = 64 * 1024
_LARGE = 64 * 1024 * 1024
"""The size of content from which slices have at least ``_SLICE`` bytes."""
_MAX_TOTAL_SLICES = 1 << 20
"""Beyond this number, slices become larger, so that the digests need at most 64 MiB."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes are in bytes."""

    slice_size: int
    data_slices: int
    recovery_slices: int
    total: int
    """The size of all protected files together."""

    @classmethod
    def choose(cls, total: int, percent: int) -> Geometry:
        """Choose the geometry for content of ``total`` bytes with ``percent`` of recovery data."""
        size = _SLICE if total >= _LARGE else MIN_SLICE
        while -(-total // size) > _MAX_TOTAL_SLICES and size < MAX_SLICE:
            size *= 2
        most = min(_MAX_DATA, _MAX_WIDTH * 100 // (100 + percent))
        data = max(1, min(most, -(-total // size)))
        recovery = -(-data * percent // 100)
        return cls(size, data, recovery, total)

    @property
    def slices(self) -> int:
        """The number of slices of content."""
        return max(1, -(-self.total // self.slice_size))

    @property
    def rows(self) -> int:
        """The number of codewords."""
        return -(-self.slices // self.data_slices)

    @property
    def width(self) -> int:
        """The number of slices of a codeword."""
        return self.data_slices + self.recovery_slices

    def offset(self, row: int, column: int) -> int:
        """Return the offset of a slice in the concatenated content."""
        return (column * self.rows + row) * self.slice_size

    def locate(self, number: int) -> tuple[int, int]:
        """Return the codeword and the position in it of a slice of content."""
        column, row = divmod(number, self.rows)
        return row, column
