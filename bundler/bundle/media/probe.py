"""Try out a medium: the abilities of its file system, and its speed.

A driver such as FUSE may hide the file system, and sticks are slower than they state. All files
have names of unfinished files, and are removed at the end; an export removes those of a run that
was killed.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.content.files.atomic_write import PartFile, create_part_name
from bundler.content.files.os_errors import measure_free_space
from bundler.content.files.uncached_file import UncachedFile
from bundler.content.streams import BUFFER_SIZE, read_chunks

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.content.files.safe_directory import Directory
    from bundler.content.files.uncached_file import ReadMethod

MAX_SAMPLE = 256 * 1024 * 1024
"""Maximum size in bytes of the file with which the speed is measured."""
_MAX_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Abilities:
    """The abilities of a file system, as found by trying."""

    hard_links: bool
    symbolic_links: bool
    case_sensitive: bool
    """Whether names that differ only in upper and lower case are different names."""


@dataclass(frozen=True, slots=True)
class Speed:
    """The measured speed of a medium, in bytes per second."""

    write: float
    """Including the time until the data was stored durably."""
    read: float
    size: int
    """The size of the file in bytes."""
    method: ReadMethod
    """How the file was read past the cache."""


def probe_abilities(directory: Directory) -> Abilities:
    """Try links and names in ``directory``.

    Raises:
        NoSpaceError, MediumError: no file can be written.
    """
    other = create_part_name()
    try:
        with PartFile.create(directory, 0o644) as part:
            hard_links = symbolic_links = False
            with suppress(OSError):
                os.link(part.name, other, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
                hard_links = True
            directory.remove(other)
            with suppress(OSError):
                os.symlink(part.name, other, dir_fd=directory.fd)
                symbolic_links = True
            case_sensitive = directory.get_size(part.name.upper()) is None
    finally:
        directory.remove(other)
    return Abilities(hard_links, symbolic_links, case_sensitive)


def measure_speed(directory: Directory, cancellation: Cancellation) -> Speed | None:
    """Write a file for a few seconds, and read it again; None: there is no room for it.

    Raises:
        NoSpaceError, MediumError: the file cannot be written or read.
        CancelledError: the measurement was cancelled.
    """
    size = min(MAX_SAMPLE, (measure_free_space(directory.path) or 0) // 2)
    if size < BUFFER_SIZE:
        return None
    block, written = memoryview(os.urandom(BUFFER_SIZE)), 0
    with PartFile.create(directory, 0o644) as part:
        start = time.monotonic()
        while written < size and time.monotonic() - start < _MAX_SECONDS:
            cancellation.check()
            part.write(block)
            written += len(block)
        part.sync()
        write_seconds = time.monotonic() - start
        done, start = 0, time.monotonic()
        with part.open_reader() as file:
            stream = UncachedFile(file)
            for chunk in read_chunks(stream):
                cancellation.check()
                done += len(chunk)
                if time.monotonic() - start > _MAX_SECONDS:
                    break
        read_seconds = time.monotonic() - start
    return Speed(written / write_seconds, done / read_seconds, written, stream.method)
