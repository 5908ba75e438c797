"""CRC-64 (ISO 3309), which tar-split records for each file, in fast pure Python.

The polynomial P = x^64 + x^4 + x^3 + x + 1 has few terms: if s is a power of two, then
x^(64 s) = x^(4 s) + x^(3 s) + x^s + 1 (mod P). The data is treated as one large number, and a few
shifts halve its length until 64 bits remain. Bit 0 of the number is the coefficient of the highest
power, because this checksum processes the lowest bit of each byte first.
"""

from __future__ import annotations

_ONES = (1 << 64) - 1
_CHUNK = 64 * 1024  # fits in the CPU cache


def update(crc: int, data: memoryview) -> int:
    """Update the checksum ``crc`` (initially 0) with ``data``."""
    for start in range(0, len(data), _CHUNK):
        chunk = data[start : start + _CHUNK]
        value = int.from_bytes(chunk, "little") ^ crc ^ _ONES
        width = 8 * len(chunk) + 64
        while width > 64:
            step = 1
            while 128 * step < width:
                step *= 2
            low_width = 64 * step
            high_width = width - low_width
            high = value & ((1 << high_width) - 1)
            low = value >> high_width
            high ^= high << step ^ high << 3 * step ^ high << 4 * step
            high_width += 4 * step
            width = max(low_width, high_width)
            value = high << (width - high_width) ^ low << (width - low_width)
        crc = value ^ _ONES
    return crc
