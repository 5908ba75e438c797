"""Parts of blobs that a destination keeps after an interruption, and continues in a later run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.content.files import atomic_write, part_files
from bundler.content.files.part_files import PartFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.content.files.safe_directory import Directory, RegularFile
    from bundler.content.streams import Content
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest


class KeptParts:
    """The parts in the directories of one destination.

    Thread-safe if each thread writes a different blob. A part is locked from ``open`` until its
    blob is written, or until ``close``.
    """

    def __init__(self) -> None:
        self._opened: dict[Digest, PartFile] = {}
        self._interrupted: dict[Digest, str] = {}
        """The names of the parts of blobs whose last write in this run failed."""

    def open(self, directory: Directory, digest: Digest, size: int | None) -> RegularFile | None:
        """Open the stored beginning of a blob of ``size`` bytes; None if there is none.

        The caller closes it before it calls ``write``.
        """
        part = self._opened.get(digest) or PartFile.open_kept(directory, digest, create=False)
        if part is None:
            return None
        self._opened[digest] = part
        return part.open_reader() if 0 < part.size <= (size or 0) else None

    def write(
        self,
        directory: Directory,
        name: Callable[[Descriptor], str],
        content: Content,
        digest: Digest | None,
    ) -> Descriptor:
        """Write a blob as ``atomic_write.write_content`` does, without making its name durable.

        If ``content`` is not at its start, the part that ``open`` returned is continued. If the
        write is interrupted, the part is kept, unless ``digest`` is None or the blob is small.
        """
        part = None if digest is None else self._opened.pop(digest, None)
        if digest is None or (content.size or 0) <= part_files.MIN_KEPT:
            digest = None
        elif part is None:
            part = PartFile.open_kept(directory, digest, create=True)
        if digest is not None:
            self._interrupted[digest] = part_files.get_kept_name(digest)
        stored = atomic_write.write_content(directory, name, content, part=part, durable_name=False)
        if digest is not None:
            del self._interrupted[digest]
        return stored

    def remove_unneeded(self, directory: Directory) -> None:
        """Remove all parts, except those of blobs that this run failed to write.

        The caller has locked the directory.
        """
        self.close()
        part_files.remove_parts(directory, except_for=frozenset(self._interrupted.values()))

    def close(self) -> None:
        """Close the parts that were opened but not written; the files are kept."""
        for part in self._opened.values():
            part.close()
        self._opened.clear()
