"""The files and architectures of the carried program."""

from __future__ import annotations

from dataclasses import dataclass

ARCHIVE = "airbundle.pyz"
LAUNCHER = "airbundle"
CHECKSUMS = "SHA256SUMS"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""The versions of Python for which the program carries extension modules."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """An architecture, by its names for the kernel, for Debian, and in the paths of libraries."""

    machine: str
    debian: str

    @property
    def directory(self) -> str:
        """The directory of its files in the program."""
        return f"linux-{self.machine}"

    @property
    def triplet(self) -> str:
        """Its name in the paths of libraries in Debian."""
        return f"{self.machine}-linux-gnu"


ARCHITECTURES = (Architecture("x86_64", "amd64"), Architecture("aarch64", "arm64"))
