"""Blobs that are larger than the largest file of their medium, stored as several files.

The blob ``blobs/sha256/<hex>`` is then the content of ``<hex>.000``, ``<hex>.001`` … one after the
other. SHA256SUMS lists these files by their own digests, and the whole has the digest in its name.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from bundler.content.files.atomic_write import PartFile
from bundler.content.files.part_files import get_kept_name
from bundler.content.streams import BUFFER_SIZE, Reader
from bundler.errors import MediumError
from bundler.oci.digest import Digest, new_hasher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bundler.content.files.safe_directory import Directory, RegularFile
    from bundler.content.streams import Content
    from bundler.oci.descriptor import Descriptor

MAX_PARTS = 1_000
_BLOCK = 4096  # parts end at a multiple of it, as direct I/O needs


def list_sizes(folder: Directory, name: str) -> list[int]:
    """Return the sizes in bytes of the parts of the blob ``name`` in ``folder``, in order."""
    sizes: list[int] = []
    while (
        len(sizes) < MAX_PARTS and (size := folder.get_size(f"{name}.{len(sizes):03}")) is not None
    ):
        sizes.append(size)
    return sizes


class JoinedFile(Reader):
    """Stream of several files one after the other. A context manager that closes them.

    ``open_part`` opens the part with a number, at an offset. For one thread.
    """

    def __init__(
        self, open_part: Callable[[int, int], RegularFile], sizes: Sequence[int], offset: int = 0
    ) -> None:
        self.size = sum(sizes)
        self._open_part = open_part
        self._sizes = sizes
        self._number = 0
        while self._number < len(sizes) and offset >= sizes[self._number]:
            offset -= sizes[self._number]
            self._number += 1
        self._offset = offset
        self._file: RegularFile | None = None

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end.

        Raises:
            NotFoundError, MalformedError, MediumError: a part cannot be opened or read.
        """
        while self._number < len(self._sizes):
            if self._file is None:
                self._file = self._open_part(self._number, self._offset)
            if count := self._file.readinto(buffer):
                return count
            self._file.close()
            self._file, self._offset = None, 0
            self._number += 1
        return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def list_kept(folder: Directory, digest: Digest, limit: int | None = None) -> list[int]:
    """Return the sizes of the unfinished parts of a blob that an interrupted run has kept.

    They are the beginning of the blob: all but the last one have ``limit`` bytes, unless it is
    None.
    """
    sizes: list[int] = []
    while len(sizes) < MAX_PARTS and (limit is None or sizes in ([], [limit] * len(sizes))):
        size = folder.get_size(get_kept_name(digest, len(sizes)))
        if not size or (limit is not None and size > limit):
            break
        sizes.append(size)
    return sizes


def open_kept(folder: Directory, digest: Digest, largest: int) -> JoinedFile | None:
    """Open the beginning of a blob that an interrupted ``write`` has kept; None: there is none."""
    sizes = list_kept(folder, digest, _find_limit(largest))
    if not sizes:
        return None
    return JoinedFile(
        lambda number, start: folder.open_file(get_kept_name(digest, number), offset=start), sizes
    )


def write(
    folder: Directory, content: Content, largest: int, digest: Digest | None
) -> tuple[Descriptor, dict[str, Digest]]:
    """Write ``content`` to parts of at most ``largest`` bytes in ``folder``, without a copy.

    The parts get their names once the whole content is verified. If ``content`` is not at its
    start, the kept parts of the blob with ``digest`` have the bytes before its position. If the
    transfer is interrupted, the parts are kept again.

    Returns:
        The descriptor of the content, and the sha256 of each part by its name, except for those
        that were kept.

    Raises:
        NoSpaceError, MediumError: they cannot be written.
    """
    limit = _find_limit(largest)
    stored, offset = divmod(content.position, limit)
    buffer = memoryview(bytearray(min(BUFFER_SIZE, limit)))
    with ExitStack() as stack:
        parts: list[tuple[PartFile, int, Digest | None]] = [
            (stack.enter_context(_open_part(folder, digest, number)), limit, None)
            for number in range(stored)
        ]
        size = limit
        while size == limit:
            part = stack.enter_context(_open_part(folder, digest, len(parts)))
            part.start_at(offset)
            size, hasher, is_new = offset, new_hasher("sha256"), not offset
            while count := content.readinto(buffer[: limit - size]):
                part.write(buffer[:count])
                hasher.update(buffer[:count])
                size += count
            if size:
                whole = Digest(f"sha256:{hasher.hexdigest()}") if is_new else None
                parts.append((part, size, whole))
            if len(parts) > MAX_PARTS:
                raise MediumError(
                    f"{folder.path}: a blob is too large for {MAX_PARTS:,} parts of {limit:,} bytes"
                )
            offset = 0
        descriptor = content.descriptor()
        names = [f"{descriptor.digest.hex}.{number:03}" for number in range(MAX_PARTS)]
        for name in names[len(parts) :]:  # of a former, damaged copy
            if folder.get_size(name) is None:
                break
            folder.remove(name)
        for name, (part, size, _) in zip(names, parts, strict=False):
            part.publish(name, size)
    digests = zip(names, (whole for *_, whole in parts), strict=False)
    return descriptor, {name: whole for name, whole in digests if whole is not None}


def _find_limit(largest: int) -> int:
    """Return the size of each part but the last one."""
    return largest // _BLOCK * _BLOCK or largest


def _open_part(folder: Directory, digest: Digest | None, number: int) -> PartFile:
    """Open the unfinished part of a blob, or create it; it is kept if it is interrupted."""
    kept = None
    if digest is not None:
        kept = PartFile.open_kept(folder, get_kept_name(digest, number), create=True)
    return kept or PartFile.create(folder, 0o644)
