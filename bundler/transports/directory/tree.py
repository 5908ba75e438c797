"""A tree of ``dir:`` images that share their blobs by hard links.

The name of an image is the relative path of its directory, such as ``images/<hex>``, which ``dir:``
can read. Pushed manifests and blobs remain in a staging directory until ``commit`` links them into
every image that needs them. An interrupted run may leave an image without ``manifest.json``; the
next run reuses its blobs.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write, part_files
from bundler.content.files.locked_directory import LockedDirectory
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.content.streams import VerifiedReader, drain
from bundler.errors import ConflictError, IntegrityError, MissingFileError, NotFoundError
from bundler.oci import media_types
from bundler.ports import Capabilities, Node
from bundler.transports.directory.image_files import (
    MANIFEST,
    describe_root,
    get_file_name,
    read_root,
    remove_unneeded,
    write_file,
    write_signatures,
    write_version,
)
from bundler.transports.directory.staging import (
    STAGING,
    StagingDirectory,
    create_hard_links_error,
    is_same_file,
    replace_by_link,
)
from bundler.transports.directory.tree_index import (
    TreeIndex,
    check_image_paths,
    parse_image_path,
)
from bundler.transports.shared.reachability import Reachable, find_reachable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from bundler.content.files.safe_directory import PathComponents
    from bundler.content.streams import Content
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Publication


class _ReadableTree:
    """The images in a tree, named by path; blobs are read from any image."""

    capabilities = Capabilities(media_types.BY_DIGEST)

    _tree: Directory
    _index: TreeIndex

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the current root of the image in the directory ``name``."""
        if name is None:
            raise NotFoundError(
                f"{self._tree.path}: the tree contains many images, and no name is given"
            )
        with self._tree.enter(*parse_image_path(name)) as directory:
            root = read_root(directory)
            if root is None:
                raise MissingFileError(str(directory.path / MANIFEST), part_of="an image")
            return describe_root(root, directory.path / MANIFEST)

    def open(self, node: Node, /, offset: int = 0) -> RegularFile:
        """Open a manifest or a blob.

        Raises:
            MalformedError: the file is not a regular file.
        """
        return self._tree.open_file(*self._locate(node), offset=offset)

    def has(self, node: Node, /) -> bool:
        """Return whether the tree contains ``node`` with its size."""
        try:
            size = self._tree.get_size(*self._locate(node))
        except NotFoundError:
            return False
        return size is not None and node.size in (None, size)

    def check_names(self, names: Collection[str], /) -> None:
        """Check that no image would be in the directory of another.

        Raises:
            ConflictError: it would.
            MalformedError: a name is not a valid path.
        """
        check_image_paths([parse_image_path(name) for name in names], self._index.complete)

    def _locate(self, node: Node) -> PathComponents:
        return self._index.locate(node, self._tree)


class DirectoryTreeSource(_ReadableTree):
    """Source of the images in a tree."""

    def __init__(self, path: Path) -> None:
        with ExitStack() as undo:
            self._tree = undo.enter_context(Directory.open(path))
            self._index = TreeIndex.scan(self._tree)
            undo.pop_all()

    def tags(self) -> list[str]:
        """Return the relative path of every complete image, sorted."""
        return sorted("/".join(path) for path in self._index.complete)

    def close(self) -> None:
        """Close the directory."""
        self._tree.close()


class DirectoryTreeDestination(_ReadableTree):
    """Destination that creates a tree of images, and locks it until ``close``.

    ``may_copy`` permits copies of shared blobs on a file system without hard links.

    Raises:
        LockedError: another process is writing there.
        MediumError: the directory cannot be created or read.
    """

    _tree: LockedDirectory

    def __init__(self, path: Path, *, may_copy: bool = False) -> None:
        self._may_copy = may_copy
        with ExitStack() as undo:
            self._tree = undo.enter_context(LockedDirectory.create(path))
            part_files.remove_stale_parts(self._tree)
            self._index = TreeIndex.scan(self._tree)
            self._staging = StagingDirectory(self._tree, may_copy=may_copy)
            self._signatures: dict[Digest, Sequence[bytes]] = {}
            undo.pop_all()

    @property
    def storage_path(self) -> Path:
        """The directory of the tree."""
        return self._tree.path

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Store a blob or a manifest in the staging directory.

        Raises:
            UnsupportedError: the medium does not support hard links, and copies are not permitted.
        """
        stored = write_file(self._staging.open(), node, content, self._staging.parts)
        self._staging.names.add(get_file_name(Node.of(stored, node.kind)))
        return stored

    def open_part(self, node: Node, /) -> RegularFile | None:
        """Open the stored beginning of a blob; None if there is none."""
        return self._staging.open_part(node)

    def push_signatures(self, manifest: Digest, signatures: Sequence[bytes], /) -> None:
        """Set the signatures of a manifest; ``commit`` stores them in each of its images."""
        self._signatures[manifest] = signatures

    def commit(self, images: Sequence[Publication], /) -> None:
        """Write a complete image for every name.

        Raises:
            ConflictError: two images have the same name.
            IntegrityError: a root was not pushed.
        """
        roots: dict[PathComponents, Descriptor] = {}
        case_folded: dict[str, Descriptor] = {}
        for image in images:
            for name in image.names:
                path = parse_image_path(name)
                other = case_folded.setdefault(name.casefold(), image.root)
                if other.digest != image.root.digest:
                    raise ConflictError(
                        f"{name}: two images have this name: {other.digest} and {image.root.digest}"
                    )
                roots[path] = image.root
        needed = {root: find_reachable([root], self) for root in roots.values()}
        uses = Counter(
            get_file_name(node)
            for root in roots.values()
            for node in (Node.of(root, "manifest"), *_list_nodes(root, needed[root]))
        )
        self._staging.sync()
        for path, root in roots.items():
            self._publish(path, root, needed[root], uses)
        for parents in sorted({path[:depth] for path in roots for depth in range(len(path))}):
            with self._tree.enter(*parents) as directory:
                atomic_write.sync_directory(directory)
        for created in self._tree.created:
            atomic_write.sync_directory(created.parent)
        self._staging.remove()

    def close(self) -> None:
        """Unlock the tree; remove its directory if it was created by this run and is empty."""
        self._staging.close()
        self._tree.close()

    def _publish(
        self, path: PathComponents, root: Descriptor, needed: Reachable, uses: Counter[str]
    ) -> None:
        """Write the image ``root`` to the directory at ``path``, with its manifest last."""
        with self._tree.enter(*path, create=True) as directory:
            part_files.remove_stale_parts(directory)
            former = read_root(directory)
            is_same = former is not None and root.digest.matches(former)
            write_version(directory, needed)
            for node in _list_nodes(root, needed):
                self._write_node(node, directory, get_file_name(node), uses)
            atomic_write.sync_directory(directory)
            self._write_node(Node.of(root, "manifest"), directory, MANIFEST, uses)
            is_signed = any(digest in self._signatures for digest in needed.manifests)
            remove_unneeded(directory, needed, keep_signatures=is_same and not is_signed)
            for digest in needed.manifests:
                write_signatures(directory, root.digest, digest, self._signatures.get(digest, ()))
            directory.remove(get_file_name(Node.of(root, "manifest")))
            atomic_write.sync_directory(directory)
            self._index.add(directory, path)

    def _write_node(self, node: Node, directory: Directory, name: str, uses: Counter[str]) -> None:
        """Link or copy ``node`` to ``name`` in ``directory``, or move it on its last use.

        ``uses`` counts the remaining uses of each file in the staging directory.
        """
        part = get_file_name(node)
        uses[part] -= 1
        try:
            *parents, source_name = self._locate(node)
        except NotFoundError:
            if name == MANIFEST:
                raise IntegrityError(f"{directory.path}: {node.digest} was not pushed") from None
            return  # a foreign layer, or a platform that was not selected
        is_staged = part in self._staging.names
        with self._tree.enter(*parents) as source:
            if is_same_file(source, source_name, directory, name):
                return
            if not is_staged and _is_copy(node, directory, name):
                return
            if replace_by_link(source, source_name, directory, name):
                return
            if uses[part] == 0 and is_staged:
                source.rename(source_name, name, to=directory)
                self._staging.names.discard(part)
                path = directory.path.relative_to(self._tree.path)
                self._index.add(directory, path.parts)
                return
        if not self._may_copy:
            raise create_hard_links_error(self._tree.path)
        with self.open(node) as file:
            content = VerifiedReader(
                file, str(file.path), digest=node.digest, size=node.size, limit=file.size
            )
            atomic_write.write_content(directory, name, content)

    def _locate(self, node: Node) -> PathComponents:
        name = get_file_name(node)
        return (STAGING, name) if name in self._staging.names else super()._locate(node)


def _is_copy(node: Node, directory: Directory, name: str) -> bool:
    """Return whether the file ``name`` has the content of ``node``, which another file has, too."""
    if directory.get_size(name) != node.size:
        return False
    with suppress(IntegrityError), directory.open_file(name) as file:
        drain(
            VerifiedReader(
                file, str(file.path), digest=node.digest, size=node.size, limit=file.size
            )
        )
        return True
    return False


def _list_nodes(root: Descriptor, needed: Reachable) -> Iterator[Node]:
    """Yield all nodes below ``root``."""
    for item in needed.manifests.values():
        if item.digest != root.digest:
            yield Node.of(item, "manifest")
    for item in needed.blobs.values():
        yield Node.of(item, "layer")
