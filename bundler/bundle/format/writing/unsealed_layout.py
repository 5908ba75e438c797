"""The destination of a bundle in format ``oci`` that is not sealed yet."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.errors import LimitError, MalformedError, UnsupportedError
from bundler.transports.oci_layout import transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.content.streams import Content, Reader, SizedReader
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Node, Publication


class UnsealedLayout(transport.LayoutDestination):
    """Destination in format ``oci`` that does not write ``index.json``, a file of the seal.

    Blobs of more than ``largest`` bytes are stored in parts, see ``blob_parts``.
    """

    index: Mapping[str, bytes] = MappingProxyType({})

    def __init__(self, path: Path, largest: int | None) -> None:
        super().__init__(path)
        self._largest = largest
        self.part_digests: dict[str, Digest] = {}
        """The sha256 of the blob parts that were written, by path."""

    def check_former(self) -> None:
        """Check a layout that is not a bundle; damaged files of a bundle are written again."""
        try:
            super().check_former()
        except (LimitError, MalformedError, UnsupportedError):
            if self._layout.get_size(bundle_paths.INVENTORY) is None:
                raise

    def has(self, node: Node, /) -> bool:
        """Return whether the blob exists with its size, as one file or in parts."""
        return super().has(node) or (
            self._needs_parts(node) and sum(self._list_part_sizes(node)) == node.size
        )

    def open(self, node: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open a blob, which may be stored in parts."""
        if not self._needs_parts(node) or not (sizes := self._list_part_sizes(node)):
            return super().open(node, offset)
        from bundler.bundle.format.files.blob_parts import JoinedFile  # noqa: PLC0415 - rare

        assert node.digest is not None  # noqa: S101 - for mypy: it has parts
        folder, name = self.open_directory(node.digest.algorithm), node.digest.hex
        return JoinedFile(
            lambda number, start: folder.open_file(f"{name}.{number:03}", offset=start),
            sizes,
            offset,
        )

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Store a blob, in parts if it is too large for one file."""
        if not self._needs_parts(node) or self._largest is None:
            return super().push(node, content)
        from bundler.bundle.format.files import blob_parts  # noqa: PLC0415 - rare

        algorithm = node.digest.algorithm if node.digest else "sha256"
        folder = self.open_directory(algorithm)
        try:
            stored, digests = blob_parts.write(folder, content, self._largest, node.digest)
        except BaseException:
            if node.digest is not None:
                self._parts.keep(folder, node.digest)
            raise
        for name, digest in digests.items():
            self.part_digests[f"{bundle_paths.BLOBS}/{algorithm}/{name}"] = digest
        return replace(stored, media_type=node.media_type)

    def open_part(self, node: Node, /) -> SizedReader | None:
        """Open the stored beginning of a blob; None if there is none."""
        if node.digest is None or self._largest is None or not self._needs_parts(node):
            return super().open_part(node)
        from bundler.bundle.format.files import blob_parts  # noqa: PLC0415 - rare

        folder = self.open_directory(node.digest.algorithm)
        return blob_parts.open_kept(folder, node.digest, self._largest)

    def _needs_parts(self, node: Node) -> bool:
        return self._largest is not None and (node.size or 0) > self._largest

    def _list_part_sizes(self, node: Node) -> list[int]:
        """Return the sizes of the parts of a blob; none if it has none."""
        from bundler.bundle.format.files import blob_parts  # noqa: PLC0415 - rare

        if node.digest is None:
            return []
        return blob_parts.list_sizes(self.open_directory(node.digest.algorithm), node.digest.hex)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Make the content durable; ``index`` then lists ``images`` and no others."""
        self.index = {bundle_paths.INDEX: self.prepare(images)}
