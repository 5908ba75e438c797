"""Reader of a blob in a response, which detects a truncated body."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import RegistryError, SizeMismatchError
from bundler.oci.manifest import MAX_MANIFEST

if TYPE_CHECKING:
    from bundler.registry.response import Response


@dataclass(slots=True)
class BlobStream:
    """Reader of the body of a response; the owner of the response closes it."""

    response: Response
    subject: str
    remaining: int | None
    """Number of bytes that are still expected; None if the size is unknown."""
    declared: bool = field(init=False)
    """Whether the headers delimit the body, so that ``Response`` detects a truncated one."""

    def __post_init__(self) -> None:
        chunked = "chunked" in self.response.headers.get("Transfer-Encoding", "").lower()
        self.declared = self.response.length is not None or chunked

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of ``buffer``; return 0 at the end."""
        count = self.response.readinto(buffer)
        if self.remaining is not None:
            if not count and len(buffer) and self.remaining > 0 and not self.declared:
                raise RegistryError(f"{self.subject}: the stream ended early", temporary=True)
            self.remaining -= count
        return count

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, or all remaining bytes.

        At most one byte beyond the expected end is returned, which is enough to detect excess data.
        """
        if size < 0:
            limit = MAX_MANIFEST if self.remaining is None else self.remaining + 1
            return self.response.read(limit, self.subject)
        buffer = bytearray(size)
        count = self.readinto(memoryview(buffer))
        return bytes(buffer[:count])

    def skip(self, count: int) -> None:
        """Discard the first ``count`` bytes, which ``remaining`` does not include."""
        self.remaining = None if self.remaining is None else self.remaining + count
        buffer = memoryview(bytearray(min(count, 1024 * 1024)))
        skipped = 0
        while skipped < count:
            got = self.readinto(buffer[: count - skipped])
            if not got:
                raise SizeMismatchError(self.subject, expected=count, got=f"only {skipped}")
            skipped += got
