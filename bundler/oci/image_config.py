"""The configuration of a container image, as far as it says where the image runs.

https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
"""

from __future__ import annotations

from dataclasses import dataclass

from bundler.errors import MalformedError
from bundler.oci.digest import Digest
from bundler.oci.json.table import Table
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
    table = Table.parse(raw, subject)
    rootfs = table.table("rootfs")
    try:
        diff_ids = tuple(map(Digest, rootfs.texts("diff_ids")))
    except MalformedError as error:
        raise rootfs.problem(f"diff_ids: {error.message}") from None
    return ImageConfig(Platform.from_json(table), diff_ids, table.optional_text("created"))
