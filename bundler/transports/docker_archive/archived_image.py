"""The images in the ``manifest.json`` of an archive.

https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format
"""

from __future__ import annotations

from dataclasses import dataclass

from bundler.errors import InvalidReferenceError, LimitError, MalformedError
from bundler.oci.json import strict
from bundler.oci.json.table import Table
from bundler.oci.reference import ImageReference

MANIFEST = "manifest.json"
MAX_MANIFEST = 16 * 1024 * 1024
_MAX_IMAGES = 10_000
_MAX_LAYERS = 1_000


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """One image: its tags, and the names of its members in the archive."""

    config: str
    tags: tuple[ImageReference, ...]
    layers: tuple[str, ...]


def parse_images(raw: bytes, subject: str) -> list[ArchivedImage]:
    """Parse ``manifest.json``.

    Raises:
        LimitError: the file lists too many images or layers.
        MalformedError: the file is invalid.
    """
    items = strict.loads(raw, subject=subject, limit=MAX_MANIFEST)
    if not isinstance(items, list):
        raise MalformedError(f"{subject}: not an array")
    if len(items) > _MAX_IMAGES:
        raise LimitError(f"{subject}: more than the {_MAX_IMAGES:,} images allowed")
    images = []
    for item in items:
        table = Table.of(item, subject)
        table.refuse_other_case(("Config", "RepoTags", "Layers"))
        config, layers = table.text("Config"), table.texts("Layers")
        if len(layers) > _MAX_LAYERS:
            raise LimitError(
                f"{subject}: an image has {len(layers):,} layers, more than the {_MAX_LAYERS:,} "
                "allowed"
            )
        try:
            tags = [ImageReference.parse(tag).with_default_tag() for tag in table.texts("RepoTags")]
        except InvalidReferenceError as error:
            raise MalformedError(f"{subject}: {error.message}") from None
        images.append(ArchivedImage(config, tuple(tags), layers))
    return images
