"""References of the transports ``oci:`` and ``oci-archive:``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from bundler.errors import InvalidReferenceError
from bundler.transports.shared.path_transport import check_index


@dataclass(frozen=True, slots=True)
class LayoutReference:
    """``TRANSPORT:PATH``, ``TRANSPORT:PATH:NAME`` or ``TRANSPORT:PATH:@N``."""

    transport: str
    path: str
    name: str | None = None
    """Name of the image, or ``@N`` for the entry at index N; None if unset."""

    @classmethod
    def parse(cls, transport: str, text: str) -> Self:
        """Parse ``PATH[:NAME]``; the path ends at the first colon.

        Raises:
            InvalidReferenceError: the path is missing, or the name is invalid.
        """
        path, _, name = text.partition(":")
        if not path or "\0" in path:
            raise InvalidReferenceError(
                f"{transport}:{text[:200]}: no path",
                hint=f"write {transport}:PATH or {transport}:PATH:NAME",
            )
        if not all(char.isprintable() and char != " " for char in name):
            raise InvalidReferenceError(
                f"{transport}:{path[:200]}: {name[:80]!r} is not a valid image name"
            )
        if name.startswith("@"):
            check_index(f"{transport}:{text}", name)
        return cls(transport, path, name or None)

    def __str__(self) -> str:
        name = "" if self.name is None else f":{self.name}"
        return f"{self.transport}:{self.path}{name}"
