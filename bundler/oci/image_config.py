"""The configuration of a container image, as far as it says where the image runs.

https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
"""

from __future__ import annotations

from dataclasses import dataclass

from bundler.errors import MalformedError
from bundler.oci.digest import Digest
from bundler.oci.json import fields, strict
from bundler.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """Views of a config's bytes."""

    platform: Platform
    diff_ids: tuple[Digest, ...]
    created: str | None


def parse(raw: bytes, *, subject: str = "image config") -> ImageConfig:
    """Parse a config whose bytes are already known to be the ones that were asked for.

    Raises:
        LimitError: larger or deeper than allowed.
        MalformedError: not an image config.
    """
    value = strict.load_object(raw, subject=subject)
    rootfs = fields.obj(value, "rootfs", subject) or {}
    try:
        diff_ids = tuple(map(Digest, fields.texts(rootfs, "diff_ids", subject)))
    except MalformedError as error:
        raise MalformedError(f"{subject}: diff_ids: {error.message}") from None
    return ImageConfig(
        platform=Platform.from_json(value, subject),
        diff_ids=diff_ids,
        created=fields.text(value, "created", subject),
    )
