"""What the images of a bundle consist of: a walk from each root through the bundle's own files.

A manifest counts only after its bytes matched its digest. What cannot be walked is a problem of
the file concerned, told as a value: the walk goes on with the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.bundle.format import directory
from bundler.errors import (
    BundlerError,
    LimitError,
    NotFoundError,
)
from bundler.oci import manifest, media_types

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.format.inventory import BundledImage, Inventory
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind

MAX_DEPTH = 8
MAX_PARTS = 500_000
"""Of all images together, one that several images share counting for each."""


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One manifest, config or layer of an image."""

    path: str
    """Where the bundle keeps it."""
    kind: Kind
    descriptor: Descriptor
    required: bool
    """False: it may be absent (a foreign layer, a platform left out)."""


@dataclass(frozen=True, slots=True)
class ImageTree:
    """One root with all it needs, each path once, parents before children."""

    root: Descriptor
    parts: tuple[TreeNode, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """Every image of a bundle with its own tree and those of its referrers."""

    images: tuple[tuple[BundledImage, tuple[ImageTree, ...]], ...]
    problems: dict[str, BundlerError]
    """Why a manifest could not be walked, by its path."""


def walk(bundle: Path, inventory: Inventory) -> Contents:
    """Walk all images of a bundle; reads manifests only.

    Raises:
        LimitError: the images have more parts than a bundle may have.
    """
    walker = _Walker(bundle, inventory)
    images = tuple(
        (
            image,
            (
                walker.tree(image.root, sparse=image.index == "sparse"),
                *(walker.tree(referrer.root) for referrer in image.referrers),
            ),
        )
        for image in inventory.images
    )
    return Contents(images, walker.problems)


@dataclass(slots=True)
class _Walker:
    bundle: Path
    inventory: Inventory
    problems: dict[str, BundlerError] = field(default_factory=dict)
    _children: dict[Digest, tuple[tuple[Descriptor, Kind], ...]] = field(default_factory=dict)
    _trees: dict[tuple[Digest, str, int, bool], ImageTree] = field(default_factory=dict)
    _parts_so_far: int = 0

    def tree(self, root: Descriptor, *, sparse: bool = False) -> ImageTree:
        """The tree of ``root``; images with the same root share it."""
        key = (root.digest, root.media_type, root.size, sparse)
        tree = self._trees.get(key)
        if tree is None:
            tree = self._trees[key] = self._grow(root, sparse=sparse)
        self._parts_so_far += len(tree.parts)
        if self._parts_so_far > MAX_PARTS:
            raise LimitError(f"{self.bundle}: its images have more than {MAX_PARTS:,} parts")
        return tree

    def _grow(self, root: Descriptor, *, sparse: bool) -> ImageTree:
        """Depth first, going below each manifest once however many indexes list it."""
        parts: dict[str, TreeNode] = {}
        pending: list[tuple[Descriptor, Kind, int]] = [(root, "manifest", 0)]
        walked: set[str] = set()
        while pending:
            target, kind, depth = pending.pop()
            part = self._part(root, target, kind, left_out=sparse and depth > 0)
            known = parts.setdefault(part.path, part)
            if part.required and not known.required:
                parts[part.path] = part
            if len(parts) > MAX_PARTS:
                raise LimitError(f"{root.digest}: more than the {MAX_PARTS:,} parts allowed")
            if kind == "manifest" and part.path not in walked:
                walked.add(part.path)
                below = self._read(part.path, target, depth, required=part.required)
                pending += [(child, kind, depth + 1) for child, kind in reversed(below)]
        return ImageTree(root, tuple(parts.values()))

    def _part(
        self, root: Descriptor, target: Descriptor, kind: Kind, *, left_out: bool
    ) -> TreeNode:
        foreign = target.media_type in media_types.FOREIGN_LAYERS and bool(target.urls)
        absent = (left_out and kind == "manifest") or foreign
        return TreeNode(self._path(root, target, kind), kind, target, not absent)

    def _path(self, root: Descriptor, target: Descriptor, kind: Kind) -> str:
        if self.inventory.format == "oci":
            return directory.blob_path(target.digest)
        return directory.part_path(root.digest, target.digest, manifest=kind == "manifest")

    def _read(
        self, path: str, target: Descriptor, depth: int, *, required: bool
    ) -> tuple[tuple[Descriptor, Kind], ...]:
        known = self._children.get(target.digest)
        if known is not None:
            return known
        children: tuple[tuple[Descriptor, Kind], ...] = ()
        try:
            if depth > MAX_DEPTH:
                raise LimitError(f"{path}: nested deeper than the {MAX_DEPTH} levels allowed")
            children = read_children(self.bundle, path, target)
        except NotFoundError as error:
            if required:
                self.problems[path] = error
        except BundlerError as error:
            self.problems[path] = error
        self._children[target.digest] = children
        return children


def read_children(
    bundle: Path, path: str, target: Descriptor
) -> tuple[tuple[Descriptor, Kind], ...]:
    """What a manifest of the bundle points at; its subject is no part of it.

    Raises:
        NotFoundError, MediumError, LimitError: it cannot be read.
        DigestMismatchError, MalformedError, UnsupportedError: not the manifest it should be.
    """
    raw = directory.read_file(bundle, path, manifest.MAX_MANIFEST)
    target.digest.check(raw, path)
    return manifest.children(manifest.parse(raw, target.media_type, subject=path))
