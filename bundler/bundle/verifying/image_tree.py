"""Find the files that each image of a bundle needs, by walking its graph on the medium.

A manifest is parsed only if its bytes match its digest. If a manifest cannot be read, the problem
is recorded, and the walk continues with the other manifests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from bundler.bundle.format import directory
from bundler.errors import BundlerError, LimitError, NotFoundError
from bundler.oci import manifest, media_types

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bundler.bundle.format.inventory import BundledImage, Format
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind, Visit

Children: TypeAlias = "tuple[tuple[Descriptor, Kind], ...]"

MAX_DEPTH = 8
MAX_PARTS = 500_000
"""The limit for all images together; shared content counts once for each image."""


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A manifest, config or layer of an image."""

    path: str
    """The path in the bundle."""
    kind: Kind
    descriptor: Descriptor
    required: bool
    """False: it may be absent (a foreign layer, or a manifest of a sparse index)."""


@dataclass(frozen=True, slots=True)
class ImageTree:
    """A root and its content, each path once, parents before children.

    Unlike ``copy.graph.Graph`` it contains paths, and manifests are not held in memory.
    """

    root: Descriptor
    parts: tuple[TreeNode, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """The images of a bundle, each with its own tree and those of its referrers."""

    images: tuple[tuple[BundledImage, tuple[ImageTree, ...]], ...]
    problems: dict[str, BundlerError]
    """The errors of manifests that cannot be read, by path."""


def walk(bundle: Path, bundle_format: Format, images: Iterable[BundledImage]) -> Contents:
    """Walk ``images`` of a bundle; only manifests are read.

    Raises:
        LimitError: the images have more content than a bundle may have.
    """
    walker = _Walker(bundle, bundle_format)
    trees = tuple(
        (
            image,
            (
                walker.get_tree(image.root, sparse=image.index == "sparse"),
                *(walker.get_tree(referrer.root) for referrer in image.referrers),
            ),
        )
        for image in images
    )
    return Contents(trees, walker.problems)


@dataclass(slots=True)
class _Walker:
    bundle: Path
    bundle_format: Format
    problems: dict[str, BundlerError] = field(default_factory=dict)
    _children: dict[Digest, Children] = field(default_factory=dict)
    _trees: dict[tuple[Digest, str, int, bool], ImageTree] = field(default_factory=dict)
    _parts_so_far: int = 0

    def get_tree(self, root: Descriptor, *, sparse: bool = False) -> ImageTree:
        """Return the tree of ``root``; images with the same root share it."""
        key = (root.digest, root.media_type, root.size, sparse)
        tree = self._trees.get(key)
        if tree is None:
            tree = self._trees[key] = self._walk(root, sparse=sparse)
        self._parts_so_far += len(tree.parts)
        if self._parts_so_far > MAX_PARTS:
            raise LimitError(f"{self.bundle}: its images have more than {MAX_PARTS:,} parts")
        return tree

    def _walk(self, root: Descriptor, *, sparse: bool) -> ImageTree:
        parts: dict[str, TreeNode] = {}
        for visit in manifest.walk([root], partial(self._list_children, root, sparse=sparse)):
            part = self._create_node(root, visit, sparse=sparse)
            known = parts.setdefault(part.path, part)
            if part.required and not known.required:
                parts[part.path] = part
            if len(parts) > MAX_PARTS:
                raise LimitError(f"{root.digest}: more than the {MAX_PARTS:,} parts allowed")
        return ImageTree(root, tuple(parts.values()))

    def _create_node(self, root: Descriptor, visit: Visit, *, sparse: bool) -> TreeNode:
        descriptor, kind, depth = visit
        path = directory.find_path(
            self.bundle_format, root.digest, descriptor.digest, manifest=kind == "manifest"
        )
        stripped = sparse and depth > 0 and kind == "manifest"
        foreign = media_types.is_foreign(descriptor.media_type, descriptor.urls)
        return TreeNode(path, kind, descriptor, required=not stripped and not foreign)

    def _list_children(self, root: Descriptor, visit: Visit, *, sparse: bool) -> Children:
        """Return the children of a manifest; if it cannot be read, record a problem instead."""
        digest = visit.descriptor.digest
        if digest in self._children:
            return self._children[digest]
        node = self._create_node(root, visit, sparse=sparse)
        children: Children = ()
        try:
            if visit.depth > MAX_DEPTH:
                raise LimitError(f"{node.path}: nested deeper than the {MAX_DEPTH} levels allowed")
            children = read_children(self.bundle, node.path, visit.descriptor)
        except NotFoundError as error:
            if node.required:
                self.problems[node.path] = error
        except BundlerError as error:
            self.problems[node.path] = error
        self._children[digest] = children
        return children


def read_children(bundle: Path, path: str, target: Descriptor) -> Children:
    """Read the descriptors that a manifest in the bundle lists; its subject is not included.

    Raises:
        NotFoundError, MediumError, LimitError: it cannot be read.
        DigestMismatchError, MalformedError, UnsupportedError: it is not the expected manifest.
    """
    raw = directory.read_file(bundle, path, manifest.MAX_MANIFEST)
    target.digest.verify(raw, path)
    return manifest.list_children(manifest.parse(raw, target.media_type, subject=path))
