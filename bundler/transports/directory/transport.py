"""``dir:PATH``: one image in a flat directory, as containers/image lays it out.

    version                    which layout this is; an existing directory is reused only with it
    manifest.json              the root
    <hex>                      a config or layer; ``sha512-<hex>`` where it is not a sha256
    <hex>.manifest.json        another manifest that the root needs
    signature-N                signatures of the root; ``<hex>.signature-N`` of another manifest

Blobs that are there already are kept. Until ``commit`` renames the root to ``manifest.json`` the
directory holds the former image, or none; then what only the former one needed is removed.
"""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write, file_lock, safe_directory
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.errors import (
    IntegrityError,
    InvalidReferenceError,
    LimitError,
    MalformedError,
    MissingFileError,
    NotAnImageDirectoryError,
    NotFoundError,
    UnsupportedError,
)
from bundler.oci import manifest
from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import MAX_MANIFEST
from bundler.oci.manifest_digest import has_digest, manifest_digest
from bundler.ports import Capabilities, Node
from bundler.transports.shared import transport_hint
from bundler.transports.shared.path_reference import UnnamedReference
from bundler.transports.shared.path_transport import PathTransport
from bundler.transports.shared.reachability import Reachable, find_reachable, read_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.content.streams.reader import Content
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions, Publication

MANIFEST = "manifest.json"
VERSION = "version"
VERSION_1_1 = b"Directory Transport Version: 1.1\n"
VERSION_1_2 = b"Directory Transport Version: 1.2\n"

MAX_VERSION = 1024
_MAX_SIGNATURE = 4 * 1024 * 1024
_MAX_SIGNATURES = 1_000

_PART = re.compile(r"(?:[0-9a-f]{64}|sha512-[0-9a-f]{128})(?:\.manifest\.json)?")
_SIGNATURE = re.compile(r"(?:((?:sha512-)?[0-9a-f]+)\.)?signature-[0-9]+")


def _parse(text: str) -> UnnamedReference:
    """Read a path; a colon in it has no meaning."""
    if not text or "\0" in text:
        raise InvalidReferenceError(f"dir:{text[:200]}: no path", hint="write dir:PATH")
    return UnnamedReference("dir", text)


class DirectorySource:
    """Reads the image of a directory."""

    def __init__(self, path: Path, options: OpenOptions | None = None) -> None:  # noqa: ARG002 - as every source
        self._folder = Directory.open(path)
        self._root: bytes | None = None

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The image; its digest is that of ``manifest.json``."""
        if name is not None:
            raise NotFoundError(f"{self._folder.path}: images in a directory have no names")
        return describe_root(self._read_root(), self._folder.path / MANIFEST)

    def open(self, target: Node, /, offset: int = 0) -> RegularFile:
        """A part of the image; one that is no plain file is a MalformedError."""
        if target.digest is None:
            raise NotFoundError(f"{self._folder.path}: a blob without a digest is nowhere")
        if target.kind == "manifest" and has_digest(self._read_root(), target.digest):
            return self._folder.open_file(MANIFEST, offset=offset)
        return self._folder.open_file(part_name(target), offset=offset)

    def signatures(self, of: Digest, /) -> list[bytes]:
        """The files ``signature-1`` and so on, up to the first that is missing."""
        prefix = "" if has_digest(self._read_root(), of) else f"{_stem(of)}."
        found: list[bytes] = []
        with suppress(NotFoundError):
            while len(found) < _MAX_SIGNATURES:
                name = f"{prefix}signature-{len(found) + 1}"
                found.append(self._folder.read(name, limit=_MAX_SIGNATURE))
        return found

    def close(self) -> None:
        """Let go of the directory."""
        self._folder.close()

    def _read_root(self) -> bytes:
        if self._root is None:
            self._root = read_root(self._folder)
            if self._root is None:
                path = self._folder.path
                raise MissingFileError(
                    str(path / MANIFEST),
                    part_of="an image",
                    hint=transport_hint.suggest_reference(path, "dir"),
                )
        return self._root


class DirectoryDestination:
    """Writes one image into a directory, alone: it is locked until ``close``.

    Raises:
        NotAnImageDirectoryError: the directory holds something that is not an image.
        LockedError: somebody else is writing there.
        MediumError: the directory cannot be made or read.
    """

    def __init__(self, path: Path, options: OpenOptions | None = None) -> None:  # noqa: ARG002 - as every destination
        self._made = safe_directory.make_directory(path)
        self._marking = threading.Lock()
        self._marked = False
        self._signatures: dict[Digest, Sequence[bytes]] = {}
        with ExitStack() as undo:
            undo.callback(safe_directory.unmake_directories, self._made)
            self._folder = undo.enter_context(Directory.open(path))
            file_lock.lock(self._folder)
            _check_reusable(self._folder)
            atomic_write.sweep(self._folder)
            self._root = read_root(self._folder)
            undo.pop_all()

    @property
    def capabilities(self) -> Capabilities:
        """Anything: manifests are stored as they are."""
        return Capabilities()

    def has(self, target: Node, /) -> bool:
        """Whether a plain file of that name and size is there."""
        if target.digest is None:
            return False
        if self._is_root(target):
            return True
        size = self._folder.size(part_name(target))
        return size is not None and target.size in (None, size)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Store a blob or manifest; its name becomes durable with ``commit``."""
        self._mark()
        stored = atomic_write.write_content(
            self._folder,
            lambda made: part_name(Node.of(made, target.kind)),
            content,
            durable_name=False,
        )
        return Descriptor(target.media_type, stored.digest, stored.size)

    def open(self, target: Node, /, offset: int = 0) -> RegularFile:
        """A part that is here, as the source would read it."""
        if self._is_root(target):
            return self._folder.open_file(MANIFEST, offset=offset)
        return self._folder.open_file(part_name(target), offset=offset)

    def push_signatures(self, of: Digest, signatures: Sequence[bytes], /) -> None:
        """Keep them until ``commit`` knows which manifest is the root."""
        self._signatures[of] = signatures

    def commit(self, images: Sequence[Publication], /) -> None:
        """Make the one image of ``images`` the directory's; names are not kept.

        Raises:
            UnsupportedError: there are several images.
            IntegrityError: the image's root is not here.
        """
        roots = {image.root.digest: image.root for image in images}
        if len(roots) > 1:
            raise UnsupportedError(
                f"{self._folder.path}: a directory holds one image, not {len(roots)}",
                hint=f"write them into a layout: oci:{self._folder.path}",
            )
        for root in roots.values():
            self._publish(root)

    def close(self) -> None:
        """Unlock; a directory that was made for nothing is removed."""
        self._folder.close()
        safe_directory.unmake_directories(self._made)

    def _publish(self, root: Descriptor) -> None:
        node = Node.of(root, "manifest")
        if not self.has(node):
            raise IntegrityError(f"{self._folder.path}: {root.digest} did not arrive")
        needed = find_reachable([root], partial(read_manifest, self))
        atomic_write.sync_directory(self._folder)
        write_version(self._folder, needed)
        same = self._is_root(node)
        if not same:
            self._folder.rename(part_name(node), MANIFEST)
            self._root = read_root(self._folder)
        prune(self._folder, needed, signatures=same and not self._signatures)
        for digest, signatures in self._signatures.items():
            prefix = "" if digest == root.digest else f"{_stem(digest)}."
            for number, signature in enumerate(signatures, 1):
                atomic_write.write_bytes_in(
                    self._folder, f"{prefix}signature-{number}", bytes(signature)
                )
        atomic_write.sync_directory(self._folder)
        for path in self._made:
            atomic_write.sync_directory(path.parent)

    def _is_root(self, target: Node) -> bool:
        return (
            target.kind == "manifest"
            and target.digest is not None
            and self._root is not None
            and has_digest(self._root, target.digest)
        )

    def _mark(self) -> None:
        """Say what this directory is before anything is in it, so that a re-run may reuse it."""
        with self._marking:
            if not self._marked and self._folder.size(VERSION) is None:
                atomic_write.write_bytes_in(self._folder, VERSION, VERSION_1_1)
            self._marked = True


def part_name(target: Node) -> str:
    """The file of a blob, or of a manifest that is not the root."""
    if target.digest is None:
        raise NotFoundError("a blob without a digest has no name")
    suffix = ".manifest.json" if target.kind == "manifest" else ""
    return f"{_stem(target.digest)}{suffix}"


def read_root(folder: Directory) -> bytes | None:
    """The bytes of ``manifest.json``; None where nothing has been published."""
    try:
        return folder.read(MANIFEST, limit=MAX_MANIFEST)
    except NotFoundError:
        return None


def describe_root(root: bytes, path: Path) -> Descriptor:
    """What the bytes of ``manifest.json`` are.

    Raises:
        MalformedError, UnsupportedError: no manifest.
    """
    media_type = manifest.parse(root, None, subject=str(path)).media_type
    return Descriptor(media_type, manifest_digest(root, subject=str(path)), len(root))


def write_version(folder: Directory, needed: Reachable) -> None:
    """Write ``version``, unless it says the right thing already."""
    digests = {*needed.manifests, *needed.blobs}
    only_sha256 = all(digest.algorithm == "sha256" for digest in digests)
    version = VERSION_1_1 if only_sha256 else VERSION_1_2
    with suppress(LimitError, NotFoundError):
        if folder.read(VERSION, limit=MAX_VERSION) == version:
            return
    atomic_write.write_bytes_in(folder, VERSION, version)


def prune(folder: Directory, needed: Reachable, *, signatures: bool) -> None:
    """Remove what ``needed`` does not name; what an image does not have is somebody else's.

    Args:
        folder: an image's directory.
        needed: the image's parts.
        signatures: whether the signatures of its manifests are still theirs.
    """
    kept = {_stem(digest) for digest in needed.blobs}
    kept |= {f"{_stem(digest)}.manifest.json" for digest in needed.manifests}
    signed = {_stem(digest) for digest in needed.manifests}
    for name in folder.names():
        signature = _SIGNATURE.fullmatch(name)
        if signature:
            stays = signatures and (signature[1] is None or signature[1] in signed)
        else:
            stays = name in kept or _PART.fullmatch(name) is None
        if not stays:
            folder.remove(name)


def _stem(digest: Digest) -> str:
    return digest.hex if digest.algorithm == "sha256" else f"{digest.algorithm}-{digest.hex}"


def _check_reusable(folder: Directory) -> None:
    if all(atomic_write.is_part(name) for name in folder.names()):
        return
    with suppress(LimitError, MalformedError, NotFoundError):
        if folder.read(VERSION, limit=MAX_VERSION) in (VERSION_1_1, VERSION_1_2):
            return
    raise NotAnImageDirectoryError(str(folder.path))


TRANSPORT = PathTransport(_parse, DirectorySource, DirectoryDestination)
