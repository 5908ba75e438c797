"""``oci-archive:FILE[:NAME]``: an OCI image layout in a tar archive.

It is read in place. It is written in one stream, blobs in the order in which they arrive, and
stands for its former self until it is whole. A new archive holds what this run brought and nothing
else; the same images give the same bytes. FILE may be a pipe, as /dev/stdin and /dev/stdout are.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from bundler.content.archives import tar_index
from bundler.content.archives.tar_writer import TarWriter
from bundler.errors import IntegrityError, LimitError, MalformedError, UnsupportedError
from bundler.oci import image_layout, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.image_layout import LayoutIndex
from bundler.ports import Capabilities, Node
from bundler.transports.oci_layout import reference as layout_entries
from bundler.transports.oci_layout.reference import LayoutReference
from bundler.transports.oci_layout.transport import LayoutSource
from bundler.transports.shared import archive_file
from bundler.transports.shared.path_transport import PathTransport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.content.files.safe_directory import FileSlice
    from bundler.content.streams.reader import Content
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions, Publication

_BLOBS = "blobs"
_DOCKER_MANIFEST = "manifest.json"


class ArchivedFiles:
    """The members of an archive as the files of a layout.

    Raises:
        UnsupportedError: it is a Docker archive.
    """

    def __init__(self, path: Path, options: OpenOptions) -> None:
        self.path = path
        with ExitStack() as opened:
            self._file = opened.enter_context(archive_file.open_archive(path, options))
            self._members = tar_index.index(self._file, links=True)
            if _DOCKER_MANIFEST in self._members and image_layout.INDEX_FILE not in self._members:
                raise UnsupportedError(
                    f"{path}: what docker save wrote, not an OCI image layout",
                    hint=f"read it as docker-archive:{path}",
                )
            if link := next((one for one in self._members.values() if one.kind == "link"), None):
                raise MalformedError(f"{path}: {link.name!r} is a link")
            self._opened = opened.pop_all()

    def names(self) -> list[str]:
        """The names of all members."""
        return list(self._members)

    def open_file(self, *names: str, offset: int = 0) -> FileSlice:
        """One member's bytes, ``offset`` bytes in."""
        member = tar_index.find(self._members, "/".join(names), str(self.path))
        return tar_index.open_member(self._file, member, offset)

    def read(self, *names: str, limit: int) -> bytes:
        """All of a small member.

        Raises:
            LimitError: it holds more than ``limit`` bytes.
        """
        member = tar_index.find(self._members, "/".join(names), str(self.path))
        if member.size > limit:
            raise LimitError(f"{self.path}: {member.name}: more than the {limit:,} bytes allowed")
        return tar_index.open_member(self._file, member).read()

    def close(self) -> None:
        """Let go of the archive."""
        self._opened.close()


class OciArchiveDestination:
    """Writes an archive, from its first byte to its last; one blob at a time.

    Raises:
        LockedError: somebody else is writing it.
        NotFoundError: its directory is not there.
    """

    def __init__(self, path: Path, options: OpenOptions) -> None:
        self._path = path
        self._file = archive_file.create_archive(path, options)
        self._archive = TarWriter(self._file.fd, self._file.path)
        self._stored: dict[Digest, int] = {}
        self._folders: set[str] = set()
        self._pushing = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        """Anything, one after the other."""
        return Capabilities(
            media_types.BY_DIGEST, foreign_urls=True, layers="compressed", writers=1
        )

    def has(self, target: Node, /) -> bool:
        """Whether it was pushed already."""
        size = self._stored.get(target.digest) if target.digest else None
        return size is not None and target.size in (None, size)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Add a blob at the archive's end; one that is there already is only read."""
        with self._pushing:
            self._make_folder(target.digest.algorithm if target.digest else "sha256")
            start = self._archive.position
            name = _member(target.digest) if target.digest else lambda made: _member(made.digest)
            stored = self._archive.add(name, content)
            if stored.digest in self._stored:
                self._archive.rewind(start)
            self._stored[stored.digest] = stored.size
        return Descriptor(target.media_type, stored.digest, stored.size)

    def commit(self, images: Sequence[Publication], /) -> None:
        """End the archive with its index, and put it in its place.

        Raises:
            ConflictError: two of ``images`` want one name.
            IntegrityError: a root is not here.
        """
        for image in images:
            if not self.has(Node.of(image.root, "manifest")):
                raise IntegrityError(f"{self._path}: {image.root.digest} did not arrive")
        what = str(self._path / image_layout.INDEX_FILE)
        index = LayoutIndex.empty(what).published(layout_entries.index_entries(images))
        self._archive.add_bytes(image_layout.INDEX_FILE, index.encode())
        self._archive.add_bytes(image_layout.MARK_FILE, image_layout.MARK)
        self._file.publish(self._archive.end())

    def close(self) -> None:
        """Let go of the file; what was not committed is gone."""
        self._file.close()

    def _make_folder(self, algorithm: str) -> None:
        for name in (_BLOBS, f"{_BLOBS}/{algorithm}"):
            if name not in self._folders:
                self._archive.add_directory(name)
                self._folders.add(name)


def _member(digest: Digest) -> str:
    return f"{_BLOBS}/{digest.algorithm}/{digest.hex}"


TRANSPORT = PathTransport(
    partial(LayoutReference.parse, "oci-archive"),
    lambda path, options: LayoutSource(ArchivedFiles(path, options)),
    OciArchiveDestination,
)
