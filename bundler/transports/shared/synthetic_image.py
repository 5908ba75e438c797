"""An image that is made here, of layers that lie in open files and of a config that is new."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Self

from bundler.content.files.safe_directory import FileSlice, RegularFile
from bundler.errors import NotFoundError
from bundler.gocompat import json_encoding
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.content.streams.reader import Reader
    from bundler.ports import Node


@dataclass(frozen=True, slots=True)
class SyntheticImage:
    """Its root, and the parts by their digests; the files of the layers stay their owner's."""

    what: str
    """How messages name it."""
    root: Descriptor
    _contents: Mapping[Digest, bytes | RegularFile]

    @classmethod
    def of(
        cls,
        what: str,
        config: Mapping[str, object],
        layers: Sequence[tuple[Descriptor, RegularFile]],
    ) -> Self:
        """The image of ``config`` and ``layers``, its documents as containers/image writes them."""
        contents: dict[Digest, bytes | RegularFile] = {entry.digest: file for entry, file in layers}

        def kept(value: Mapping[str, object], media_type: str) -> Descriptor:
            raw = json_encoding.dumps(value)
            made = Descriptor(media_type, Digest.of(raw), len(raw))
            contents[made.digest] = raw
            return made

        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": kept(config, media_types.OCI_CONFIG).to_json(),
            "layers": [entry.to_json() for entry, _ in layers],
        }
        return cls(what, kept(manifest, media_types.OCI_MANIFEST), contents)

    @contextmanager
    def open(self, target: Node, offset: int) -> Iterator[Reader]:
        """The bytes of one part.

        Raises:
            NotFoundError: the image has no such part.
        """
        content = self._contents.get(target.digest) if target.digest else None
        if content is None:
            raise NotFoundError(f"{self.what}: it does not hold {target.digest}")
        if isinstance(content, bytes):
            yield BytesIO(content[offset:])
        else:
            yield FileSlice(content, offset, content.size - offset)


def added(diff_id: Digest, created: str, comment: str) -> dict[str, object]:
    """What a config's history says of a layer that was added as it is."""
    return {
        "created": created,
        "created_by": f"/bin/sh -c #(nop) ADD file:{diff_id.hex} in /",
        "comment": comment,
    }
