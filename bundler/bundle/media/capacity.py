"""Find out whether a medium stores as much as it states.

Forged sticks accept more data than they have memory for, and return other data later. All free
space is filled with files whose content follows from their position; then they are read again past
the cache, and compared.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.content.files.atomic_write import PartFile
from bundler.content.files.os_errors import measure_free_space, to_bundler_error
from bundler.content.files.uncached_file import UncachedFile
from bundler.content.streams import BUFFER_SIZE, read_chunks
from bundler.errors import NoSpaceError
from bundler.events import BlobFinished, BlobProgressed, BlobStarted

if TYPE_CHECKING:
    from contextlib import ExitStack

    from bundler.cancel import Cancellation
    from bundler.content.files.safe_directory import Directory
    from bundler.events import Emit

_FILE_SIZE = (1 << 32) - BUFFER_SIZE  # FAT stores no larger ones


@dataclass(frozen=True, slots=True)
class Capacity:
    """The result of a probe, in bytes."""

    written: int
    intact: int
    """The bytes before the first block that the medium returned with other content."""

    @property
    def is_genuine(self) -> bool:
        """Whether the medium returned all that was written."""
        return self.intact == self.written


def probe_capacity(
    directory: Directory, stack: ExitStack, cancellation: Cancellation, emit: Emit
) -> Capacity:
    """Fill the free space of the medium, read it again, and compare.

    ``stack`` removes the files; ``emit`` receives the progress as blob events.

    Raises:
        NoSpaceError: there is no room for one block.
        MediumError: a file cannot be written or read.
        CancelledError: the probe was cancelled.
    """
    seed, written, files = os.urandom(16), 0, []
    emit(BlobStarted("write", measure_free_space(directory.path), "copy"))
    try:
        while True:
            files.append(stack.enter_context(PartFile.create(directory, 0o600)))
            for _ in range(_FILE_SIZE // BUFFER_SIZE):
                cancellation.check()
                files[-1].write(memoryview(_create_block(seed, written)))
                written += BUFFER_SIZE
                emit(BlobProgressed("write", BUFFER_SIZE))
    except NoSpaceError:  # the medium is full
        if not written:
            raise
    try:
        for part in files:
            os.fdatasync(part.fd)
    except OSError as error:
        raise to_bundler_error(error, directory.path, "cannot write here") from error
    emit(BlobFinished("write"))
    emit(BlobStarted("read", written, "check"))
    intact = 0
    for part in files:
        with part.open_reader() as file:
            for chunk in read_chunks(UncachedFile(file)):
                cancellation.check()
                if intact == written:
                    break  # the last file ends with a part of a block
                if chunk != memoryview(_create_block(seed, intact))[: len(chunk)]:
                    return Capacity(written, intact)
                intact += len(chunk)
                emit(BlobProgressed("read", len(chunk)))
    emit(BlobFinished("read"))
    return Capacity(written, intact)


def _create_block(seed: bytes, position: int) -> bytes:
    """Return the block at ``position`` of all files together."""
    return hashlib.shake_128(seed + position.to_bytes(8, "big")).digest(BUFFER_SIZE)
