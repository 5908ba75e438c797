"""The content of a directory, which a plan compares with the images to write."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.content.files.part_files import get_kept_name
from bundler.content.files.safe_directory import Directory
from bundler.errors import BundlerError
from bundler.ports import Capabilities

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from bundler.bundle.format.inventory.inventory import Format
    from bundler.content.files.safe_directory import RegularFile
    from bundler.content.streams import SizedReader
    from bundler.oci.digest import Digest
    from bundler.ports import Node


class DirectoryHoldings:
    """The content of a bundle or target directory, found by file names and sizes.

    No file is locked, and no content is read.
    """

    def __init__(self, directory: Path, bundle_format: Format) -> None:
        self._directory = directory
        self._sizes: dict[Digest, int] | None = None
        if bundle_format == "dir":
            images = directory / bundle_paths.IMAGES
            entries = bundle_files.scan(directory).entries.values() if images.is_dir() else ()
            self._sizes = {
                digest: entry.size
                for entry in entries
                if entry.kind == "file"
                and (digest := bundle_paths.parse_digest(entry.path)) is not None
            }

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the directory as a destination."""
        return Capabilities(omits_foreign_layers=self._sizes is None)

    def check_names(self, names: Collection[str], /) -> None:
        """Check that no new image would be within the directory of another image.

        Raises:
            ConflictError: it would.
        """
        if self._sizes is not None:
            from bundler.transports.directory import tree_index  # noqa: PLC0415 - rarely needed

            tree_index.check_image_paths([tree_index.parse_image_path(name) for name in names])

    def has(self, node: Node, /) -> bool:
        """Whether a regular file with the name and size of ``node`` exists."""
        size = self.find_size(node)
        return size is not None and size == node.size

    def find_size(self, node: Node) -> int | None:
        """Return the size in bytes of the regular file of ``node``; None if there is none."""
        if node.digest is None:
            return None
        if self._sizes is not None:
            return self._sizes.get(node.digest)
        path = bundle_paths.find_path("oci", node.digest, node.digest, manifest=False)
        try:
            found = os.lstat(self._directory / path)
        except OSError:
            return self._find_size_of_parts(path)
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def _find_size_of_parts(self, path: str) -> int | None:
        size = None
        with suppress(OSError):
            for number in range(1_000):
                size = os.lstat(self._directory / f"{path}.{number:03}").st_size + (size or 0)
        return size

    def open_part(self, node: Node, /) -> SizedReader | None:
        """Open the stored beginning of a blob, as the destination does; None if there is none."""
        if (digest := node.digest) is None:
            return None
        if self._sizes is None:
            folder = f"{bundle_paths.BLOBS}/{digest.algorithm}"
        else:
            from bundler.transports.directory.staging import STAGING  # noqa: PLC0415 - format dir only

            folder = STAGING
        with suppress(BundlerError), Directory.open(self._directory) as directory:
            return directory.open_file(*folder.split("/"), get_kept_name(digest))
        return self._open_parts(folder, digest)

    def _open_parts(self, folder: str, digest: Digest) -> SizedReader | None:
        """Open the stored beginning of a blob in several files; None if there is none."""
        from bundler.bundle.format.files.blob_parts import JoinedFile, list_kept  # noqa: PLC0415 - rare

        def open_file(number: int, offset: int) -> RegularFile:
            with Directory.open(self._directory) as directory:
                name = get_kept_name(digest, number)
                return directory.open_file(*folder.split("/"), name, offset=offset)

        with suppress(BundlerError), Directory.open(self._directory) as directory:
            with directory.enter(*folder.split("/")) as blobs:
                sizes = list_kept(blobs, digest)
            return JoinedFile(open_file, sizes) if sizes else None
        return None
