"""The destination with which the engine writes the content of a bundle to a pipe, in its order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.bundle.format.archive import layout as layouts
from bundler.bundle.format.archive.destination import ArchiveContent
from bundler.content.archives.tar_header import padded
from bundler.content.archives.tar_writer import END
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.streams import read_chunks, write_all
from bundler.errors import MediumError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import new_hasher

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.format.archive.layout import ArchiveLayout
    from bundler.content.streams import Content
    from bundler.ports import Node


class StreamDestination(ArchiveContent):
    """Destination that writes the archive ``path`` to the open file ``fd``, in its order.

    Blobs are written one after the other. ``arrange`` writes the front. A blob that fails after its
    first byte ends the archive. For one thread. The caller closes ``fd``.
    """

    capabilities = replace(ArchiveContent.capabilities, writers=1, layers_first=False)

    def __init__(self, fd: int, path: Path) -> None:
        super().__init__(path)
        self._fd = fd
        self._position = 0
        self._broken = False

    def arrange(self, layout: ArchiveLayout) -> None:
        """Set the layout, and write its front.

        Raises:
            MediumError: the reader closed the pipe.
        """
        super().arrange(layout)
        for path, data in layout.front.items():
            self._write(layouts.pack_file(path, data))

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Write a blob.

        Raises:
            MediumError: the reader closed the pipe, or an earlier blob failed within its content.
        """
        assert node.digest is not None  # noqa: S101 - the layout has no other blobs
        place = self.layout.places[node.digest]
        hasher = None if node.digest.algorithm == "sha256" else new_hasher("sha256")
        if self._broken:
            raise MediumError(
                f"{self._path}: the archive cannot be continued after a blob that failed"
            )
        for number, chunk in enumerate(read_chunks(content, content.size)):
            if not number:  # what fails before its first byte is left out
                self._broken = True
                self._write(layouts.pack_header(node.digest, place.size))
            self._write(chunk)
            if hasher is not None:
                hasher.update(chunk)
        stored = content.descriptor()
        if not place.size:
            self._write(layouts.pack_header(node.digest, place.size))
        self._write(bytes(padded(place.size) - place.size))
        self._broken = False
        self._add_stored(node.digest, hasher)
        return Descriptor(node.media_type, stored.digest, stored.size)

    def publish(self, end: Mapping[str, bytes]) -> None:
        """Write the files of the ``end``.

        Raises:
            MediumError: the reader closed the pipe, or a blob failed.
        """
        if self._broken:
            raise MediumError(
                f"{self._path}: the archive cannot be completed after a blob that failed"
            )
        for path, data in end.items():
            self._write(layouts.pack_file(path, data))
        self._write(END)
        self._write(bytes(-self._position % layouts.RECORD))

    def close(self) -> None:
        """Do nothing: the caller closes the file."""

    def _write(self, data: bytes | memoryview) -> None:
        try:
            write_all(self._fd, data)
        except OSError as error:
            raise to_bundler_error(error, self._path, "cannot write") from error
        self._position += len(data)
