"""The parts of a new archive, all of one size but the last, and the list of their digests."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from bundler.bundle.format.archive.part_names import (
    MAX_PARTS,
    format_list_path,
    format_part_path,
    list_parts,
)
from bundler.content.files.replace_file import FileReplacement
from bundler.content.streams import BUFFER_SIZE
from bundler.errors import ConflictError, LimitError
from bundler.oci.digest import new_hasher

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.trust.private_keys.signers import Signer


def check_absent(archive: Path) -> None:
    """Check that no split archive of this name exists, which several files could not replace.

    The parts of an export that was interrupted have no list; they are overwritten.

    Raises:
        ConflictError: it exists.
    """
    if format_list_path(archive).exists():
        raise ConflictError(
            f"{archive}: exists in parts, which are not replaced",
            subjects=["archive"],
            hint="specify another name, or remove the parts and their list first",
        )


class SplitOutput:
    """The parts of ``archive``, each of ``part_size`` bytes. The list is signed with ``keys``.

    ``write`` is thread-safe after ``truncate`` has created the parts.

    Raises:
        LockedError: another process is writing the same part.
        NotFoundError, MediumError: a part cannot be written.
    """

    def __init__(self, archive: Path, part_size: int, keys: Sequence[Signer]) -> None:
        self.path = archive
        self._size = part_size
        self._keys = keys
        self._parts: list[FileReplacement] = []
        self._stack = ExitStack()

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write all of ``data`` at ``offset``.

        Raises:
            NoSpaceError, MediumError: it cannot be written.
            LimitError: there would be too many parts.
        """
        left = memoryview(data)
        while left:
            number, start = divmod(offset, self._size)
            self._create_parts(number + 1)
            chunk = left[: self._size - start]
            self._parts[number].write(chunk, start)
            left, offset = left[len(chunk) :], offset + len(chunk)

    def read(self, offset: int, size: int) -> bytes:
        """Read at most ``size`` bytes at ``offset``; fewer at the end of what was written."""
        data = b""
        while len(data) < size:
            number, start = divmod(offset + len(data), self._size)
            if number >= len(self._parts):
                break
            chunk = self._parts[number].read(start, min(size - len(data), self._size - start))
            if not chunk:
                break
            data += chunk
        return data

    def truncate(self, size: int) -> None:
        """Create the parts of an archive of ``size`` bytes, and discard what is behind it."""
        self._create_parts(-(-size // self._size))
        for number, part in enumerate(self._parts):
            part.truncate(max(0, min(self._size, size - number * self._size)))

    def publish(self, size: int) -> None:
        """Make all parts durable, and then the list of their digests.

        Raises:
            NoSpaceError, MediumError: a file cannot be written.
            SignerError: a signer failed.
        """
        lines = []
        count = -(-size // self._size)  # more were created if an image failed
        for number, part in enumerate(self._parts[:count]):
            length = min(self._size, size - number * self._size)
            lines.append(f"{_hash(part, length)}  {part.path.name}\n")
            part.publish(length)
        for number, path in list_parts(self.path).items():
            if number > count:
                path.unlink()  # an interrupted export left it
        raw = "".join(lines).encode()
        path = format_list_path(self.path)
        for key in self._keys:
            signature = path.with_name(f"{path.name}.{key.public.id[:16]}.sig")
            _replace(signature, key.sign(raw))
        _replace(path, raw)

    def close(self) -> None:
        """Close all parts, and remove those that are not published."""
        self._stack.close()

    def _create_parts(self, number: int) -> None:
        if number > MAX_PARTS:
            raise LimitError(
                f"{self.path}: too many parts (expected at most {MAX_PARTS})",
                hint="increase --split",
            )
        while len(self._parts) < number:
            part = FileReplacement(format_part_path(self.path, len(self._parts) + 1))
            self._stack.callback(part.close)
            self._parts.append(part)


def _hash(part: FileReplacement, size: int) -> str:
    hasher, position = new_hasher("sha256"), 0
    while position < size:
        data = part.read(position, min(size - position, BUFFER_SIZE)) or b"\0"
        hasher.update(data)
        position += len(data)
    return hasher.hexdigest()


def _replace(path: Path, data: bytes) -> None:
    file = FileReplacement(path)
    try:
        file.write(data, 0)
        file.publish(len(data))
    finally:
        file.close()
