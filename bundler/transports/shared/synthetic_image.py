"""Base classes of transports that read one image from files that contain no manifest.

The manifest and the config are created on reading; the layers are open files. The image has no
name, and the transport is read-only. A transport defines a subclass of ``SyntheticSource`` and a
subclass of ``ReadOnlyTransport``.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar

from bundler.content.files.safe_directory import FileSlice, RegularFile
from bundler.content.streams import VerifiedReader
from bundler.errors import NotFoundError, ReadOnlyTransportError
from bundler.gocompat import json_encoding
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.ports import SynthesizesManifests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import ExitStack
    from typing import NoReturn

    from bundler.content.streams import Reader
    from bundler.ports import Node, OpenOptions
    from bundler.transports.shared.path_transport import UnnamedReference


Layers = list[tuple[Descriptor, RegularFile]]
"""The layers of an image, each with its open file."""


class SyntheticSource(SynthesizesManifests, ABC):
    """Source of one unnamed image, which is created when it is first read.

    ``close`` closes ``resources``, the open files.
    """

    def __init__(
        self, reference: UnnamedReference, options: OpenOptions, resources: ExitStack
    ) -> None:
        self.subject = str(reference)
        self.options = options
        self.resources = resources
        self._lock = threading.Lock()
        self._image: tuple[Descriptor, Mapping[Digest, bytes | RegularFile]] | None = None

    @abstractmethod
    def create(self) -> tuple[Mapping[str, object], Layers]:
        """Return the config and the layers of the image. Called once."""

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root of the only image.

        Raises:
            NotFoundError: ``name`` is not None.
            LimitError, MalformedError, UnsupportedError: the image cannot be created.
        """
        if name is not None:
            raise NotFoundError(f"{self.subject}: no image {name!r} (the only image has no name)")
        return self._get_image()[0]

    @contextmanager
    def open(self, node: Node, /, offset: int = 0) -> Iterator[Reader]:
        """Open the manifest, the config or a layer.

        Raises:
            NotFoundError: the digest is not part of the image.
        """
        content = self._get_image()[1].get(node.digest) if node.digest else None
        if content is None:
            raise NotFoundError(f"{self.subject}: {node.digest} is not part of the image")
        if isinstance(content, bytes):
            yield BytesIO(content[offset:])
        else:
            yield FileSlice(content, offset, content.size - offset)

    def close(self) -> None:
        """Close the files."""
        self.resources.close()

    def create_hashing_reader(self, file: RegularFile, subject: str) -> VerifiedReader:
        """Return a reader that computes the digest of ``file`` and checks for cancellation."""
        return VerifiedReader(
            FileSlice(file, 0, file.size),
            subject,
            digest=None,
            size=None,
            observe=lambda _: self.options.cancellation.check(),
        )

    def _get_image(self) -> tuple[Descriptor, Mapping[Digest, bytes | RegularFile]]:
        """Return the root of the image, and its content by digest."""
        with self._lock:
            if self._image is None:
                config, layers = self.create()
                contents: dict[Digest, bytes | RegularFile] = {
                    layer.digest: file for layer, file in layers
                }
                manifest = {
                    "schemaVersion": 2,
                    "mediaType": media_types.OCI_MANIFEST,
                    "config": _add(contents, config, media_types.OCI_CONFIG).to_json(),
                    "layers": [layer.to_json() for layer, _ in layers],
                }
                root = _add(contents, manifest, media_types.OCI_MANIFEST)
                self._image = root, contents
            return self._image


class ReadOnlyTransport:
    """Base class of a read-only transport."""

    hint: ClassVar[str]
    """The hint of the error: other transports to write to."""

    def destination(self, reference: UnnamedReference, options: OpenOptions, /) -> NoReturn:  # noqa: ARG002 - the port's form
        """Raise ``ReadOnlyTransportError``."""
        raise ReadOnlyTransportError(str(reference), reference.transport, hint=self.hint)


def _add(
    contents: dict[Digest, bytes | RegularFile], value: Mapping[str, object], media_type: str
) -> Descriptor:
    """Add a JSON document to ``contents``, encoded as containers/image encodes it."""
    raw = json_encoding.dumps(value)
    descriptor = Descriptor(media_type, Digest.of(raw), len(raw))
    contents[descriptor.digest] = raw
    return descriptor


def create_history_entry(diff_id: Digest, created: str, comment: str) -> dict[str, object]:
    """Create the history entry of a layer, in the form that Docker uses for ``ADD``."""
    return {
        "created": created,
        "created_by": f"/bin/sh -c #(nop) ADD file:{diff_id.hex} in /",
        "comment": comment,
    }
