"""Open an archive for reading in place, whether it is compressed or not.

A compressed one is decompressed first, to a file without a name, since its members are reached by
their offsets. That file lies in the directory for large temporary files, or beside the archive.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content import compression
from bundler.content.compression import DecompressingReader
from bundler.content.disk_errors import explained
from bundler.content.plain_files import PlainReader
from bundler.content.reader import new_buffer
from bundler.errors import LimitError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from bundler.content.reader import Reader
    from bundler.ports import Options


def opened(archive: Path | PlainReader, options: Options, stack: ExitStack) -> PlainReader:
    """The archive at a path, or the open one, uncompressed; ``stack`` closes it.

    Raises:
        LimitError: more comes out of it than is allowed.
        MalformedError: a compressed stream that is damaged.
        NotFoundError, MediumError, NoSpaceError: it cannot be read, or what is in it not kept.
    """
    if isinstance(archive, Path):
        archive = PlainReader.open(archive)
    stack.enter_context(archive)
    kind = compression.detect(archive.read(compression.MAGIC_SIZE))
    archive.seek(0)
    if kind is None:
        return archive
    stream = DecompressingReader(archive, kind, str(archive.path))
    return stack.enter_context(
        kept(stream, archive.path, options.scratch or archive.path.parent, options)
    )


def kept(
    stream: Reader, path: Path, folder: Path, options: Options, *, limit: int | None = None
) -> PlainReader:
    """All of ``stream`` in a file without a name in ``folder``; messages call it ``path``.

    Raises:
        LimitError: it holds more than ``limit`` bytes.
        NoSpaceError, MediumError: it cannot be kept there.
    """
    buffer = new_buffer()
    size = 0
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            while count := stream.readinto(buffer):
                options.cancellation.check()
                size += count
                if limit is not None and size > limit:
                    raise LimitError(f"{path}: more than the {limit:,} bytes allowed")
                ready = buffer[:count]
                while ready:
                    ready = ready[os.write(file.fileno(), ready) :]
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            return PlainReader(path, os.dup(file.fileno()))
    except OSError as error:
        raise explained(error, folder, "cannot keep a temporary file here") from error
