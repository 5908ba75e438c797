"""Find out why a bundle contains an image, a manifest or a blob: who needs it, and who asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.images import MIN_DIGEST
from bundler.bundle.audit.listings.tree import create_tree
from bundler.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.images import ImageAtLocation, OpenImages
    from bundler.bundle.audit.listings.tree import ContentNode
    from bundler.copy.image import ResolvedImage
    from bundler.events import Emit


@dataclass(frozen=True, slots=True)
class PathStep:
    """One content on the way from the root of an image to the content in question."""

    node: ContentNode
    is_referrer: bool
    """Whether it is a referrer of the step before it; otherwise, the step before it lists it."""


@dataclass(frozen=True, slots=True)
class Use:
    """An image that is, or needs, the content in question."""

    image: ImageAtLocation
    images_of_line: int
    """The number of images that the same line of the bundle manifest requested; 0: unknown."""
    path: tuple[PathStep, ...]
    """The content from the root to the one in question; empty if the image was named."""

    def to_json(self) -> dict[str, Any]:
        """Return the use as JSON, without empty members."""
        value: dict[str, Any] = {"name": self.image.name}
        listed = self.image.listed
        if listed is not None:
            value |= {
                "digest": listed.digest.text,
                "origin": listed.origin,
                "imagesOfLine": self.images_of_line,
                "source": listed.source,
                "index": listed.index,
                "platforms": list(listed.platforms),
                "replaces": listed.replaces and listed.replaces.text,
                "rename": listed.rename,
                "verified": [item.to_json() for item in listed.verified],
            }
        value["path"] = [
            {
                "kind": "index" if step.node.is_index else step.node.kind,
                "digest": step.node.descriptor.digest.text,
                "size": step.node.descriptor.size,
                **(
                    {"platform": str(step.node.descriptor.platform)}
                    if step.node.descriptor.platform
                    else {}
                ),
                **({"artifactType": step.node.artifact_type} if step.node.artifact_type else {}),
                **({"referrer": True} if step.is_referrer else {}),
            }
            for step in self.path
        ]
        return {key: item for key, item in value.items() if item not in (None, [], 0)}


def find_uses(images: OpenImages, text: str, emit: Emit) -> list[Use]:
    """Return the images with the name ``text``, or all images that need content with this digest.

    A digest may be abbreviated to ``MIN_DIGEST`` digits. Referrers of an image belong to it.

    Raises:
        NotFoundError: there is none.
        BundlerError: a manifest cannot be read, so that uses could be missing.
    """
    lines = Counter(image.listed.origin for image in images.images if image.listed is not None)

    def create_use(image: ImageAtLocation, path: tuple[PathStep, ...] = ()) -> Use:
        origin = None if image.listed is None else image.listed.origin
        return Use(image, lines[origin] if origin is not None else 0, path)

    digits = text.removeprefix("sha256:")
    if len(digits) >= MIN_DIGEST and all(digit in "0123456789abcdef" for digit in digits):
        uses = [
            create_use(image, path)
            for image in images.images
            for path in find_paths(image.resolve(emit, referrers=True), digits)
        ]
    else:
        uses = [create_use(image) for image in images.find_all(text)]
    if not uses:
        raise NotFoundError(
            f"{images.location}: no image and no content {text[:200]!r}",
            hint=f"list the images with airbundle ls {images.location}, their content with"
            " airbundle tree",
        )
    return uses


def find_paths(image: ResolvedImage, digits: str) -> Iterator[tuple[PathStep, ...]]:
    """Yield the path to each content whose digest begins with ``digits``, once for each parent."""
    known = (
        digest
        for graph in image.graphs
        for digest in (
            *(item.descriptor.digest for item in graph.manifests),
            *(node.digest for node in graph.blobs),
        )
    )
    if not any(digest is not None and digest.hex.startswith(digits) for digest in known):
        return
    root = PathStep(create_tree(image), is_referrer=False)
    pending: list[tuple[PathStep, ...]] = [(root,)]
    while pending:
        path = pending.pop()
        node = path[-1].node
        if node.descriptor.digest.hex.startswith(digits):
            yield path
        steps = [PathStep(child, is_referrer=False) for child in node.children]
        steps += [PathStep(referrer, is_referrer=True) for referrer in node.referrers]
        pending += [(*path, step) for step in reversed(steps)]
