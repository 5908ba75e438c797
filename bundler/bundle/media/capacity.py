"""Find out whether a medium stores as much as it states.

Forged sticks accept more data than they have memory for, and return other data later. All free
space is filled with files whose content follows from their position; then they are read again past
the cache, and compared.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.content.files.atomic_write import PartFile
from bundler.content.files.os_errors import measure_free_space
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
    files = _TestFiles(directory, stack, cancellation, emit)
    while files.add():
        pass
    return Capacity(files.written, files.count_intact())


@dataclass(slots=True)
class _TestFiles:
    """Files that fill a medium, of which one is open at a time."""

    directory: Directory
    stack: ExitStack
    cancellation: Cancellation
    emit: Emit
    seed: bytes = field(default_factory=lambda: os.urandom(16))
    names: list[str] = field(default_factory=list)
    written: int = 0
    """The bytes of all whole blocks."""

    def add(self) -> bool:
        """Write the next file; return whether the medium may have room for another one."""
        if not self.names:
            self.emit(BlobStarted("write", measure_free_space(self.directory.path), "copy"))
        try:
            with closing(PartFile.create(self.directory, 0o600)) as part:
                self.names.append(part.name)
                self.stack.callback(self.directory.remove, part.name)
                try:
                    for _ in range(_FILE_SIZE // BUFFER_SIZE):
                        self.cancellation.check()
                        part.write(memoryview(self._create_block(self.written)))
                        self.written += BUFFER_SIZE
                        self.emit(BlobProgressed("write", BUFFER_SIZE))
                finally:
                    part.sync()
        except NoSpaceError:
            if not self.written:
                raise
            self.emit(BlobFinished("write"))
            return False
        return True

    def count_intact(self) -> int:
        """Return the bytes before the first block that is returned with other content."""
        self.emit(BlobStarted("read", self.written, "check"))
        intact = 0
        for name in self.names:
            with self.directory.open_file(name) as file:
                for chunk in read_chunks(UncachedFile(file)):
                    self.cancellation.check()
                    if intact == self.written:
                        break  # the last file ends with a part of a block
                    if chunk != memoryview(self._create_block(intact))[: len(chunk)]:
                        return intact
                    intact += len(chunk)
                    self.emit(BlobProgressed("read", len(chunk)))
        self.emit(BlobFinished("read"))
        return intact

    def _create_block(self, position: int) -> bytes:
        """Return the block at ``position`` of all files together."""
        return hashlib.shake_128(self.seed + position.to_bytes(8, "big")).digest(BUFFER_SIZE)
