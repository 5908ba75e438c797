"""The order and the offsets of the members of an archive.

    plan.json  plan.json.<16 hex>.sig  CONTENTS        the sealed plan
    trust/…  presupposed.txt  signatures/…
    blobs/<algorithm>/<hex>                            manifests, then configs, then layers
    SHA256SUMS  VERIFY.txt  index.json  oci-layout
    bundle.json  bundle.json.sigstore.json  bundle.json.<16 hex>.sig

The sizes of all content are known before the first byte is transferred, so the offset of each
member is known too, and members can be written in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from bundler.bundle.format.files import bundle_paths
from bundler.content.archives.tar_header import padded
from bundler.content.archives.tar_writer import encode_header
from bundler.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.oci.digest import Digest
    from bundler.ports import Node

RECORD = 20 * 512
"""The size of an archive is a multiple of this number of bytes, as tar(1) writes and tapes need."""
MODE = 0o644
"""The mode of each member."""


class Place(NamedTuple):
    """The place of a blob in an archive; ``offset`` is that of its header, in bytes."""

    offset: int
    start: int
    """The offset of its content."""
    size: int
    """The size of its content."""

    @property
    def end(self) -> int:
        """The offset of the next member."""
        return self.start + padded(self.size)


@dataclass(frozen=True, slots=True)
class ArchiveLayout:
    """The places of the members before the end of an archive."""

    front: Mapping[str, bytes]
    """The files before the first config, by path."""
    places: Mapping[Digest, Place]
    """The places of configs and layers, in their order."""
    start: int
    """The offset of the first config."""
    end: int
    """The offset of the first member after the last layer."""

    @classmethod
    def create(cls, front: Mapping[str, bytes], blobs: Iterable[Node]) -> Self:
        """Place ``front`` and then ``blobs``, in the given order.

        Raises:
            UnsupportedError: the size of a blob is unknown.
        """
        start = position = sum(len(pack_file(path, data)) for path, data in front.items())
        places: dict[Digest, Place] = {}
        for node in blobs:
            if node.digest is None or node.size is None:
                raise UnsupportedError(
                    f"{node.digest or node.kind}: the size is unknown, which an archive needs",
                    hint="export to a directory",
                )
            header = pack_header(node.digest, node.size)  # not kept, as there may be many
            place = Place(position, position + len(header), node.size)
            places[node.digest] = place
            position = place.end
        return cls(front, places, start, position)


def pack_header(digest: Digest, size: int) -> bytes:
    """Return the header of a blob of ``size`` bytes."""
    return encode_header(find_path(digest), size, MODE)


def pack_file(path: str, data: bytes) -> bytes:
    """Return a small file as a member: its header, its content, and the padding."""
    return encode_header(path, len(data), MODE) + data + bytes(-len(data) % 512)


def find_path(digest: Digest) -> str:
    """Return the path of a manifest, a config or a layer."""
    return bundle_paths.find_path("oci", digest, digest, manifest=False)
