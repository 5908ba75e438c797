"""``oci-archive:FILE[:NAME]``: an OCI image layout in a tar archive.

An archive is read at the offsets of its members, and written sequentially, with the blobs in push
order. It replaces an existing file when it is complete, and contains only the images of one run;
identical images result in identical archives. FILE may be a pipe, such as /dev/stdin.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from bundler.content.archives import tar_index
from bundler.content.archives.tar_writer import TarWriter
from bundler.errors import LimitError, MalformedError, UnsupportedError
from bundler.oci import image_layout, media_types
from bundler.oci.descriptor import Descriptor
from bundler.ports import Capabilities
from bundler.transports.oci_layout.transport import (
    LayoutReference,
    LayoutSource,
    add_images,
    create_index,
)
from bundler.transports.shared import archive_file
from bundler.transports.shared.path_transport import PathTransport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.content.files.safe_directory import FileSlice
    from bundler.content.streams import Content
    from bundler.oci.digest import Digest
    from bundler.ports import Node, OpenOptions, Publication

_BLOBS = "blobs"
_DOCKER_MANIFEST = "manifest.json"


class ArchivedFiles:
    """The members of an archive, as the files of a layout.

    Raises:
        MalformedError: the file is not a tar archive, or contains links.
        UnsupportedError: the file is a Docker archive.
    """

    def __init__(self, path: Path, options: OpenOptions) -> None:
        self.path = path
        with ExitStack() as stack:
            self._file = stack.enter_context(archive_file.open_archive(path, options))
            self._members = tar_index.index(
                self._file, links=True, repeated="last" if options.lenient else None
            )
            if _DOCKER_MANIFEST in self._members and image_layout.INDEX_FILE not in self._members:
                raise UnsupportedError(
                    f"{path}: a Docker archive (expected an OCI image layout)",
                    hint=f"read it as docker-archive:{path}",
                )
            if link := next((item for item in self._members.values() if item.kind == "link"), None):
                raise MalformedError(f"{path}: unexpected link {link.name!r}")
            self._resources = stack.pop_all()

    def list_names(self) -> list[str]:
        """Return the names of all members."""
        return list(self._members)

    def open_file(self, *names: str, offset: int = 0) -> FileSlice:
        """Open a member at ``offset``."""
        member = tar_index.find(self._members, "/".join(names), str(self.path))
        return tar_index.open_member(self._file, member, offset)

    def read(self, *names: str, limit: int) -> bytes:
        """Read a member.

        Raises:
            LimitError: the member has more than ``limit`` bytes.
        """
        member = tar_index.find(self._members, "/".join(names), str(self.path))
        if member.size > limit:
            raise LimitError(f"{self.path}: {member.name}: more than the {limit:,} bytes allowed")
        return tar_index.open_member(self._file, member).read()

    def close(self) -> None:
        """Close the archive."""
        self._resources.close()


class OciArchiveDestination:
    """Destination that writes an archive sequentially, one blob at a time.

    Raises:
        LockedError: another process is writing it.
        NotFoundError: its directory does not exist.
    """

    capabilities = Capabilities(
        media_types.BY_DIGEST,
        omits_foreign_layers=True,
        layers="compressed",
        keeps_blobs=False,
        writers=1,
    )

    def __init__(self, path: Path, options: OpenOptions) -> None:
        self._path = path
        self._file = archive_file.create_archive(path, options)
        self._archive = TarWriter(self._file.fd, self._file.path)
        self._stored: dict[Digest, int] = {}
        self._directories: set[str] = set()
        self._lock = threading.Lock()

    @property
    def storage_path(self) -> Path:
        """The archive, or the directory of the temporary file for a pipe."""
        return self._file.path

    def has(self, node: Node, /) -> bool:
        """Return whether ``node`` was pushed."""
        size = self._stored.get(node.digest) if node.digest else None
        return size is not None and node.size in (None, size)

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Append a blob, unless the archive already contains it."""
        with self._lock:
            algorithm = node.digest.algorithm if node.digest else "sha256"
            for directory in (_BLOBS, f"{_BLOBS}/{algorithm}"):
                if directory not in self._directories:
                    self._archive.add_directory(directory)
                    self._directories.add(directory)
            start = self._archive.position
            digest = node.digest
            name = _get_blob_path(digest) if digest else lambda blob: _get_blob_path(blob.digest)
            stored = self._archive.add(name, content)
            if stored.digest in self._stored:
                self._archive.rewind(start)
            self._stored[stored.digest] = stored.size
        return Descriptor(node.media_type, stored.digest, stored.size)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Append the index, and publish the archive.

        Raises:
            ConflictError: two images have the same name.
            IntegrityError: a root was not pushed.
        """
        index = add_images(create_index(self._path), images, self.has)
        self._archive.add_bytes(image_layout.INDEX_FILE, index.encode())
        self._archive.add_bytes(image_layout.LAYOUT_FILE, image_layout.LAYOUT_FILE_CONTENT)
        self._file.publish(self._archive.finish())

    def close(self) -> None:
        """Close the file; an archive that was not committed is removed."""
        self._file.close()


def _get_blob_path(digest: Digest) -> str:
    return f"{_BLOBS}/{digest.text.replace(':', '/')}"


TRANSPORT = PathTransport(
    partial(LayoutReference.parse, "oci-archive"),
    lambda path, options: LayoutSource(ArchivedFiles(path, options)),
    OciArchiveDestination,
    has_shared_sources=True,
)
