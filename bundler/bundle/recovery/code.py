"""The systematic Reed-Solomon code of the recovery data, calculated by ISA-L through PyECLib.

Over GF(2^8) with the polynomial 0x11d, recovery slice ``i`` (from 0) of ``k`` content slices is the
sum over ``j`` of slice ``j`` divided by ``(k + i) ^ j``: a Cauchy matrix, so any ``k`` slices of a
codeword determine the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyeclib.ec_iface import ECDriver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEADER = 80  # bytes that the library puts before each slice


class Code:
    """A code with ``data`` content slices and ``recovery`` recovery slices per codeword.

    For one thread at a time. All slices of a call have the same size, a multiple of 4,096 bytes.
    """

    def __init__(self, data: int, recovery: int) -> None:
        self.data = data
        self.recovery = recovery
        self._driver = ECDriver(k=data, m=recovery, ec_type="isa_l_rs_cauchy")
        self._headers: dict[int, list[bytes]] = {}

    def encode(self, slices: Sequence[bytes]) -> list[bytes]:
        """Return the recovery slices of all content slices."""
        fragments = self._driver.encode(b"".join(slices))
        return [fragment[_HEADER:] for fragment in fragments[self.data :]]

    def recover(self, slices: Mapping[int, bytes]) -> list[bytes]:
        """Return all content slices, from at least as many of ``slices`` by their positions."""
        size = len(next(iter(slices.values())))
        if size not in self._headers:
            empty = self._driver.encode(bytes(self.data * size))
            self._headers[size] = [fragment[:_HEADER] for fragment in empty]
        headers = self._headers[size]
        chosen = sorted(slices)[: self.data]
        content = self._driver.decode([headers[place] + slices[place] for place in chosen])
        return [content[start : start + size] for start in range(0, self.data * size, size)]
