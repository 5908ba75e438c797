"""``dir:PATH``: one image in a flat directory.

Blobs that are already present are reused. Until ``commit`` renames the root to ``manifest.json``,
the directory contains the former image or none; after that, files that only the former image needed
are removed.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write, part_files
from bundler.content.files.locked_directory import LockedDirectory
from bundler.content.files.part_files import KeptParts
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.errors import (
    IntegrityError,
    InvalidReferenceError,
    LimitError,
    MissingFileError,
    NotFoundError,
    UnsupportedError,
)
from bundler.oci.manifest import has_digest
from bundler.ports import Capabilities, Node
from bundler.transports.directory.image_files import (
    MANIFEST,
    VERSION,
    VERSION_1_1,
    check_reusable,
    describe_root,
    get_file_name,
    get_file_stem,
    read_root,
    remove_unneeded,
    write_file,
    write_signatures,
    write_version,
)
from bundler.transports.shared.path_transport import (
    PathTransport,
    UnnamedReference,
    suggest_reference,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.content.streams import Content
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Publication

_MAX_SIGNATURES = 1_000
_MAX_SIGNATURE_BYTES = 4 * 1024 * 1024  # of all signatures of one manifest


def parse_reference(text: str) -> UnnamedReference:
    """Parse a path, which may contain colons.

    Raises:
        InvalidReferenceError: the path is empty.
    """
    if not text or "\0" in text:
        raise InvalidReferenceError(f"dir:{text[:200]}: no path", hint="write dir:PATH")
    return UnnamedReference("dir", text)


class DirectorySource:
    """Source of the image in a directory."""

    def __init__(self, path: Path, *, follow_links: bool = False) -> None:
        self._directory = Directory.open(path, follow_links=follow_links)
        self._root: bytes | None = None

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root, with the digest of ``manifest.json``.

        Raises:
            NotFoundError: there is no image, or a name is given.
        """
        if name is not None:
            raise NotFoundError(f"{self._directory.path}: images in a directory have no names")
        return describe_root(self._read_root(), self._directory.path / MANIFEST)

    def open(self, node: Node, /, offset: int = 0) -> RegularFile:
        """Open a manifest or a blob of the image.

        Raises:
            MalformedError: the file is not a regular file.
        """
        if node.digest is None:
            raise NotFoundError(f"{self._directory.path}: cannot open a blob without a digest")
        if node.kind == "manifest" and has_digest(self._read_root(), node.digest):
            return self._directory.open_file(MANIFEST, offset=offset)
        return self._directory.open_file(get_file_name(node), offset=offset)

    def signatures(self, manifest: Digest, /) -> list[bytes]:
        """Return the content of ``signature-1`` and so on, up to the first absent file.

        Raises:
            LimitError: there are too many signatures, or they are too large.
        """
        prefix = "" if has_digest(self._read_root(), manifest) else f"{get_file_stem(manifest)}."
        found: list[bytes] = []
        room = _MAX_SIGNATURE_BYTES
        with suppress(NotFoundError):
            while True:
                name = f"{prefix}signature-{len(found) + 1}"
                found.append(self._directory.read(name, limit=room))
                room -= len(found[-1])
                if len(found) > _MAX_SIGNATURES:
                    path = self._directory.path
                    raise LimitError(
                        f"{path}: too many signatures (expected at most {_MAX_SIGNATURES:,})"
                    )
        return found

    def close(self) -> None:
        """Close the directory."""
        self._directory.close()

    def _read_root(self) -> bytes:
        if self._root is None:
            self._root = read_root(self._directory)
            if self._root is None:
                path = self._directory.path
                hint = suggest_reference(path, "dir")
                raise MissingFileError(str(path / MANIFEST), part_of="an image", hint=hint)
        return self._root


class DirectoryDestination:
    """Destination that writes one image into a directory, and locks it until ``close``.

    Raises:
        NotAnImageDirectoryError: the directory contains something that is not an image.
        LockedError: another process is writing there.
        MediumError: the directory cannot be created or read.
    """

    capabilities = Capabilities()

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._has_version = False
        self._parts = KeptParts()
        self._signatures: dict[Digest, Sequence[bytes]] = {}
        with ExitStack() as undo:
            self._directory = undo.enter_context(LockedDirectory.create(path))
            check_reusable(self._directory)
            part_files.remove_stale_parts(self._directory)
            self._root = read_root(self._directory)
            undo.pop_all()

    @property
    def storage_path(self) -> Path:
        """The directory of the image."""
        return self._directory.path

    def has(self, node: Node, /) -> bool:
        """Return whether a regular file with the name and size of ``node`` exists."""
        if node.digest is None:
            return False
        if self._is_root(node):
            return True
        size = self._directory.get_size(get_file_name(node))
        return size is not None and node.size in (None, size)

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Store a blob or a manifest; its name becomes durable with ``commit``."""
        with self._lock:  # the version file marks the directory, so that a re-run may reuse it
            if not self._has_version and self._directory.get_size(VERSION) is None:
                atomic_write.write_bytes_in(self._directory, VERSION, VERSION_1_1)
            self._has_version = True
        return write_file(self._directory, node, content, self._parts)

    def open_part(self, node: Node, /) -> RegularFile | None:
        """Open the stored beginning of a blob; None if there is none."""
        if node.digest is None:
            return None
        return self._parts.open(self._directory, node.digest, node.size)

    def open(self, node: Node, /, offset: int = 0) -> RegularFile:
        """Open a manifest or a blob, like ``DirectorySource.open``."""
        name = MANIFEST if self._is_root(node) else get_file_name(node)
        return self._directory.open_file(name, offset=offset)

    def push_signatures(self, manifest: Digest, signatures: Sequence[bytes], /) -> None:
        """Set the signatures of a manifest; ``commit`` stores them."""
        self._signatures[manifest] = signatures

    def commit(self, images: Sequence[Publication], /) -> None:
        """Publish the only image of ``images``; its names are not stored.

        Raises:
            UnsupportedError: there are several images.
            IntegrityError: the root was not pushed.
        """
        from bundler.transports.shared.reachability import find_reachable  # noqa: PLC0415

        roots = {image.root.digest: image.root for image in images}
        if len(roots) > 1:
            raise UnsupportedError(
                f"{self._directory.path}: too many images (expected 1, got {len(roots)})",
                hint=f"write the images to a layout: oci:{self._directory.path}",
            )
        if not roots:
            return
        [root] = roots.values()
        node = Node.of(root, "manifest")
        if not self.has(node):
            raise IntegrityError(f"{self._directory.path}: {root.digest} was not pushed")
        needed = find_reachable([root], self)
        atomic_write.sync_directory(self._directory)
        write_version(self._directory, needed)
        is_same = self._is_root(node)
        if not is_same:
            self._directory.rename(get_file_name(node), MANIFEST)
            self._root = read_root(self._directory)
        remove_unneeded(self._directory, needed, keep_signatures=is_same and not self._signatures)
        self._parts.remove_unneeded(self._directory)
        for digest, signatures in self._signatures.items():
            write_signatures(self._directory, root.digest, digest, signatures)
        atomic_write.sync_directory(self._directory)
        for path in self._directory.created:
            atomic_write.sync_directory(path.parent)

    def close(self) -> None:
        """Unlock the directory; remove it if it was created by this run and is empty."""
        self._parts.close()
        self._directory.close()

    def _is_root(self, node: Node) -> bool:
        return (
            node.kind == "manifest"
            and node.digest is not None
            and self._root is not None
            and has_digest(self._root, node.digest)
        )


TRANSPORT = PathTransport(
    parse_reference,
    lambda path, options: DirectorySource(path, follow_links=options.lenient),
    lambda path, _: DirectoryDestination(path),
)
