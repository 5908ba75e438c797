"""The error of a version that has no certain place in an order."""

from __future__ import annotations

MAX_VERSION = 256
"""The maximum length of a version that is compared."""


class VersionError(ValueError):
    """A version that is not valid, so that its place in the order is not certain."""

    def __init__(self, version: str, problem: str = "not a version of the ecosystem") -> None:
        super().__init__(f"{problem}: {version[:80]!r}")
        self.version = version
