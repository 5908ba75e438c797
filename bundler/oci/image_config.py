"""The configuration of a container image.

``parse`` reads the members that the program uses; ``go_structs`` reads all members, for output.

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
    """The members of an image config that the program uses."""

    platform: Platform
    diff_ids: tuple[Digest, ...]
    created: str | None


def parse(raw: bytes, *, subject: str = "image config") -> ImageConfig:
    """Parse a config, which the caller has verified.

    Raises:
        LimitError: the config is larger or deeper than allowed.
        MalformedError: it is not an image config.
    """
    table = Table.parse(raw, subject)
    rootfs = table.table("rootfs")
    try:
        diff_ids = tuple(map(Digest, rootfs.texts("diff_ids")))
    except MalformedError as error:
        raise rootfs.problem(f"diff_ids: {error.message}") from None
    return ImageConfig(Platform.from_json(table), diff_ids, table.optional_text("created"))
