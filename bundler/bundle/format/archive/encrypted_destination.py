"""The destination with which the engine writes an archive that is encrypted on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bundler.bundle.format.archive.stream_destination import StreamDestination
from bundler.bundle.format.files.bundle_paths import PIPE
from bundler.content.encryption.age_streams import Encryption
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.streams import write_all
from bundler.errors import MediumError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest, new_hasher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.content.encryption.age_keys import Recipient

_MEDIA_TYPE = "application/octet-stream"


class SequentialOutput(Protocol):
    """The file or the pipe that receives an archive; ``close`` discards what is not published."""

    path: Path

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write all of ``data`` at ``offset``, the end of what was written before."""

    def publish(self, size: int) -> None:
        """Make the archive of ``size`` bytes durable, and replace the former one."""

    def close(self) -> None:
        """Close the output."""


class OutputPipe:
    """The pipe ``fd`` as an output; its owner closes it."""

    path = PIPE

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes | memoryview, offset: int) -> None:  # noqa: ARG002 - in order
        """Write all of ``data``.

        Raises:
            MediumError: the reader closed the pipe.
        """
        try:
            write_all(self._fd, data)
        except OSError as error:
            raise to_bundler_error(error, PIPE, "cannot write") from error

    def publish(self, size: int) -> None:
        """Do nothing: everything has been written."""

    def close(self) -> None:
        """Do nothing: the owner closes the pipe."""


class EncryptedDestination(StreamDestination):
    """Destination that writes an archive for ``recipients`` to ``output``, which it closes.

    Nothing is stored without encryption. For one thread.
    """

    def __init__(self, output: SequentialOutput, recipients: Sequence[Recipient]) -> None:
        self._output = output
        self._size = 0
        self._hasher = new_hasher("sha256")
        self._encryption = Encryption(recipients, self._store)
        super().__init__(self._encryption.fd, output.path)

    def publish(self, end: Mapping[str, bytes]) -> None:
        """Write the files of the ``end``, end the encryption, and replace a former archive.

        Raises:
            NoSpaceError, MediumError: it cannot be written; a former archive is unchanged.
        """
        super().publish(end)
        self._encryption.finish()
        self._output.publish(self._size)
        digest = Digest(f"sha256:{self._hasher.hexdigest()}")
        self.written = Descriptor(_MEDIA_TYPE, digest, self._size)

    def close(self) -> None:
        """End the encryption; an archive that is not published is removed."""
        self._encryption.close()
        self._output.close()

    def _write(self, data: bytes | memoryview) -> None:
        try:
            super()._write(data)
        except MediumError:
            self._encryption.close()
            self._encryption.check()  # the cause, if the output could not be written
            raise

    def _store(self, data: bytes) -> None:
        """Write encrypted data, in the thread of the encryption."""
        self._output.write(data, self._size)
        self._hasher.update(data)
        self._size += len(data)
