"""A reader that fails instead of ending when its bytes are not the ones that were promised.

Where a size was promised it never hands out the last bytes before the digest of the whole was
compared, so whoever writes while reading cannot finish a wrong file; where none was, it raises in
place of the end. It reads at most ``size`` bytes, and one more to see that the stream ends there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.content.streams.reader import BUFFER_SIZE
from bundler.errors import DigestMismatchError, LimitError, SizeMismatchError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest, new_hasher

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.content.streams.reader import Reader


class VerifiedReader:
    """The bytes of ``source``, compared with ``digest`` and ``size`` as they go by.

    Args:
        source: where the bytes come from; its owner closes it.
        subject: the content's name in messages.
        digest: the promised digest; None computes a sha256.
        size: the promised size in bytes; None if none was promised.
        limit: the most bytes to take where ``size`` is None.
        observe: called with the number of bytes after each read; may raise to stop.

    After a failure it stays failed: a second read raises RuntimeError and never ends.

    Not for two threads at once.
    """

    def __init__(
        self,
        source: Reader,
        subject: str,
        *,
        digest: Digest | None,
        size: int | None,
        media_type: str = "application/octet-stream",
        limit: int | None = None,
        observe: Callable[[int], None] | None = None,
    ) -> None:
        self._source = source
        self._what = subject
        self._digest = digest
        self._size = size
        self._media_type = media_type
        self._limit = limit
        self._observe = observe
        self._hasher = digest.hasher() if digest else new_hasher("sha256")
        self._position = 0
        self._ended = False
        self._failed = False

    @property
    def position(self) -> int:
        """How many bytes were read so far."""
        return self._position

    @property
    def size(self) -> int | None:
        """The promised size in bytes."""
        return self._size

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; 0 at the end.

        Raises:
            DigestMismatchError: instead of handing out the last bytes.
            SizeMismatchError: the stream is shorter or longer than promised.
            LimitError: more bytes than allowed.
        """
        if self._failed:
            raise RuntimeError("the stream has failed, and cannot be read on")
        if self._ended or (not len(buffer) and self._position != self._size):
            return 0
        self._failed = True  # until this read has succeeded
        room = len(buffer)
        if self._size is not None:
            room = min(room, self._size - self._position)
        count = self._source.readinto(buffer[:room]) if room else 0
        if count:
            self._hasher.update(buffer[:count])
            self._position += count
        self._check(count)
        if self._observe is not None:
            self._observe(count)
        self._failed = False
        return count

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left; raises as ``readinto`` does."""
        if size < 0:
            chunks = []
            while chunk := self.read(BUFFER_SIZE):
                chunks.append(chunk)
            return b"".join(chunks)
        buffer = bytearray(size)
        count = self.readinto(memoryview(buffer))
        return bytes(buffer[:count]) if count != size else bytes(buffer)

    def skip(self, count: int) -> None:
        """Read and hash ``count`` bytes without handing them out."""
        buffer = memoryview(bytearray(min(count, BUFFER_SIZE)))
        while count:
            got = self.readinto(buffer[: min(count, len(buffer))])
            if not got:
                raise SizeMismatchError(
                    self._what, expected=self._position + count, got=f"only {self._position}"
                )
            count -= got

    def descriptor(self) -> Descriptor:
        """What was read; only after the end."""
        if self._failed or not self._ended:
            raise RuntimeError("the stream has not been read to its end")
        digest = self._digest or Digest(f"sha256:{self._hasher.hexdigest()}")
        return Descriptor(self._media_type, digest, self._position)

    def _check(self, count: int) -> None:
        if self._size is None:
            if self._limit is not None and self._position > self._limit:
                raise LimitError(f"{self._what}: more than the {self._limit:,} bytes allowed")
            if count == 0:
                self._finish()
        elif self._position == self._size:
            if self._source.read(1):
                raise SizeMismatchError(self._what, expected=self._size, got="more")
            self._finish()
        elif count == 0:
            raise SizeMismatchError(self._what, expected=self._size, got=f"only {self._position}")

    def _finish(self) -> None:
        self._ended = True
        if self._digest is None:
            return
        got = f"{self._digest.algorithm}:{self._hasher.hexdigest()}"
        if got != self._digest.text:
            raise DigestMismatchError(self._what, expected=self._digest.text, got=got)
