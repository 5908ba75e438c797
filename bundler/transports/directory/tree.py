"""A tree of ``dir:`` images that share their blobs: one blob lies on the medium once.

A name is a relative path such as ``images/<hex>``, and each holds a complete image as ``dir:``
reads it. What arrives lies in a hidden folder until ``commit`` links it into every image that
needs it; then the folder is gone. An image whose ``manifest.json`` is missing was interrupted, and
its blobs are found by the next run.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write, file_lock, safe_directory
from bundler.content.files.os_errors import explained
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.content.streams.verified import VerifiedReader
from bundler.errors import (
    ConflictError,
    IntegrityError,
    MissingFileError,
    NotFoundError,
    UnsupportedError,
)
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.ports import Capabilities, Node
from bundler.transports.directory.transport import (
    MANIFEST,
    describe_root,
    part_name,
    prune,
    read_root,
    write_version,
)
from bundler.transports.directory.tree_index import TreeIndex, parse_image_path
from bundler.transports.shared.reachability import Reachable, find_reachable, read_manifest

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Sequence

    from bundler.content.streams.reader import Content
    from bundler.ports import OpenOptions, Publication
    from bundler.transports.directory.tree_index import Components

STAGING = ".airbundle-staging"
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


class DirectoryTreeSource:
    """Reads images by their relative paths; a blob is taken from whichever image has it."""

    def __init__(self, path: pathlib.Path) -> None:
        with ExitStack() as undo:
            self._root = undo.enter_context(Directory.open(path))
            self._found = TreeIndex.scan(self._root)
            undo.pop_all()

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The image in the directory ``name``."""
        return _resolve(self._root, name)

    def open(self, target: Node, /, offset: int = 0) -> RegularFile:
        """A part of any image; one that is no plain file is a MalformedError."""
        return self._root.open_file(*self._found.locate(target, self._root), offset=offset)

    def tags(self) -> list[str]:
        """The relative path of every complete image, sorted."""
        return sorted("/".join(path) for path in self._found.complete)

    def close(self) -> None:
        """Let go of the directory."""
        self._root.close()


class DirectoryTreeDestination:
    """Writes many images below a directory, alone: it is locked until ``close``.

    Raises:
        LockedError: somebody else is writing there.
        MediumError: the directory cannot be made or read.
    """

    def __init__(self, path: pathlib.Path, options: OpenOptions | None = None) -> None:
        self._may_copy = options is not None and options.duplicate_blobs
        self._staging: Directory | None = None
        self._staged: set[str] = set()
        self._preparing = threading.Lock()
        self._made = safe_directory.make_directory(path)
        with ExitStack() as undo:
            undo.callback(safe_directory.unmake_directories, self._made)
            self._root = undo.enter_context(Directory.open(path))
            file_lock.lock(self._root)
            atomic_write.sweep(self._root)
            self._found = TreeIndex.scan(self._root)
            with suppress(NotFoundError):
                self._use(self._root.enter(STAGING))
            undo.pop_all()

    @property
    def capabilities(self) -> Capabilities:
        """Anything: manifests are stored as they are."""
        return Capabilities(media_types.BY_DIGEST)

    def has(self, target: Node, /) -> bool:
        """Whether a plain file of that name and size is in any image, or waits for ``commit``."""
        try:
            size = self._root.size(*self._place(target))
        except NotFoundError:
            return False
        return size is not None and target.size in (None, size)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Keep a blob or manifest until ``commit`` puts it where it belongs.

        Raises:
            UnsupportedError: the medium has no hard links, and copies were not asked for.
        """
        stored = atomic_write.write_content(
            self._prepared(),
            lambda made: part_name(Node.of(made, target.kind)),
            content,
            durable_name=False,
        )
        self._staged.add(part_name(Node.of(stored, target.kind)))
        return Descriptor(target.media_type, stored.digest, stored.size)

    def open(self, target: Node, /, offset: int = 0) -> RegularFile:
        """A part that is here, as the source would read it."""
        return self._root.open_file(*self._place(target), offset=offset)

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The image that is in the directory ``name`` now."""
        return _resolve(self._root, name)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Make every name of ``images`` a complete image.

        Raises:
            ConflictError: two images want one directory.
            IntegrityError: a part of an image is not here.
        """
        wanted = _by_path(images)
        needed = {
            root: find_reachable([root], partial(read_manifest, self)) for root in wanted.values()
        }
        uses = Counter(
            part_name(node)
            for root in wanted.values()
            for node in (Node.of(root, "manifest"), *_parts(root, needed[root]))
        )
        if self._staging is not None:
            atomic_write.sync_directory(self._staging)
        for path, root in wanted.items():
            self._publish(path, root, needed[root], uses)
        for above in sorted({path[:depth] for path in wanted for depth in range(len(path))}):
            with self._root.enter(*above) as folder:
                atomic_write.sync_directory(folder)
        for made in self._made:
            atomic_write.sync_directory(made.parent)
        self._drop_staging()

    def close(self) -> None:
        """Unlock; a directory that was made for nothing is removed."""
        if self._staging is not None:
            self._staging.close()
        self._root.close()
        safe_directory.unmake_directories(self._made)

    def _publish(
        self, path: Components, root: Descriptor, needed: Reachable, uses: Counter[str]
    ) -> None:
        with self._root.enter(*path, make=True) as folder:
            atomic_write.sweep(folder)
            former = read_root(folder)
            same = former is not None and root.digest.matches(former)
            write_version(folder, needed)
            for node in _parts(root, needed):
                self._put(node, folder, part_name(node), uses)
            atomic_write.sync_directory(folder)
            self._put(Node.of(root, "manifest"), folder, MANIFEST, uses)
            prune(folder, needed, signatures=same)
            folder.remove(part_name(Node.of(root, "manifest")))
            atomic_write.sync_directory(folder)
            self._found.add(folder, path)

    def _put(self, node: Node, folder: Directory, name: str, uses: Counter[str]) -> None:
        """Make ``name`` in ``folder`` be ``node``: a link, a copy or, at its last use, itself."""
        part = part_name(node)
        uses[part] -= 1
        try:
            *above, origin = self._place(node)
        except NotFoundError:
            if name == MANIFEST:
                raise IntegrityError(f"{folder.path}: {node.digest} did not arrive") from None
            return  # a foreign layer, or a platform that was left out
        with self._root.enter(*above) as place:
            if part not in self._staged and folder.size(name) == node.size:
                return
            if _same_file(place, origin, folder, name) or _link(place, origin, folder, name):
                return
            if uses[part] == 0 and part in self._staged:
                place.rename(origin, name, to=folder)
                self._staged.discard(part)
                self._found.add(folder, tuple(folder.path.relative_to(self._root.path).parts))
                return
        if not self._may_copy:
            raise _no_links(self._root.path)
        with self.open(node) as file:
            content = VerifiedReader(
                file, str(file.path), digest=node.digest, size=node.size, limit=file.size
            )
            atomic_write.write_content(folder, name, content)

    def _place(self, target: Node) -> Components:
        name = part_name(target)
        return (STAGING, name) if name in self._staged else self._found.locate(target, self._root)

    def _prepared(self) -> Directory:
        with self._preparing:
            staging = self._staging
            if staging is None:
                staging = self._root.enter(STAGING, make=True)
                self._use(staging)
                if not self._may_copy and not _has_links(staging):
                    self._drop_staging()
                    raise _no_links(self._root.path)
            return staging

    def _use(self, staging: Directory) -> None:
        atomic_write.sweep(staging)
        self._staged = set(staging.names())
        self._staging = staging

    def _drop_staging(self) -> None:
        if self._staging is None:
            return
        for name in self._staging.names():
            self._staging.remove(name)
        self._staging.close()
        self._staging = None
        self._staged = set()
        with suppress(OSError):  # swept by the next run
            os.rmdir(STAGING, dir_fd=self._root.fd)
        atomic_write.sync_directory(self._root)


def _resolve(tree: Directory, name: str | None) -> Descriptor:
    if name is None:
        raise NotFoundError(f"{tree.path}: many images, and none was named")
    with tree.enter(*parse_image_path(name)) as folder:
        root = read_root(folder)
        if root is None:
            raise MissingFileError(str(folder.path / MANIFEST), part_of="an image")
        return describe_root(root, folder.path / MANIFEST)


def _by_path(images: Sequence[Publication]) -> dict[Components, Descriptor]:
    wanted: dict[Components, Descriptor] = {}
    folded: dict[str, Descriptor] = {}
    for image in images:
        for name in image.names:
            path = parse_image_path(name)
            other = folded.setdefault(name.casefold(), image.root)
            if other.digest != image.root.digest:
                raise ConflictError(f"{name}: is wanted by {other.digest} and {image.root.digest}")
            wanted[path] = image.root
    return wanted


def _parts(root: Descriptor, needed: Reachable) -> Iterator[Node]:
    """All that ``root`` needs but itself."""
    for item in needed.manifests.values():
        if item.digest != root.digest:
            yield Node.of(item, "manifest")
    for item in needed.blobs.values():
        yield Node.of(item, "layer")


def _same_file(place: Directory, origin: str, folder: Directory, name: str) -> bool:
    try:
        there = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.stat(origin, dir_fd=place.fd, follow_symlinks=False), there)


def _link(place: Directory, origin: str, folder: Directory, name: str) -> bool:
    """Link ``name`` to ``origin``, in place of what it may be; False where there are no links."""
    temporary = atomic_write.new_part()
    try:
        os.link(
            origin,
            temporary,
            src_dir_fd=place.fd,
            dst_dir_fd=folder.fd,
            follow_symlinks=False,
        )
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise explained(error, folder.path / name, "cannot link") from error
    folder.rename(temporary, name)
    return True


def _has_links(folder: Directory) -> bool:
    """Try it: file systems do not tell."""
    probe, second = atomic_write.new_part(), atomic_write.new_part()
    atomic_write.write_bytes_in(folder, probe, b"")
    try:
        if linked := _link(folder, probe, folder, second):
            folder.remove(second)
        return linked
    finally:
        folder.remove(probe)


def _no_links(path: pathlib.Path) -> UnsupportedError:
    return UnsupportedError(
        f"{path}: the medium has no hard links, and images share blobs",
        hint="use --format oci, which needs none, or --duplicate-blobs to store a blob per image",
    )
