"""An image that a client of the image proxy has opened: that of one platform, shown as OCI has it.

https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING

from bundler.content.streams.verified import VerifiedReader
from bundler.errors import TrustError
from bundler.gocompat import json_encoding, values
from bundler.images import inspect
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from bundler.content.streams.reader import Reader
    from bundler.images.inspect import ImageRoot
    from bundler.oci.json.strict import JSON
    from bundler.oci.manifest import ImageManifest
    from bundler.oci.platform import Platform
    from bundler.ports import PolicyCheck


@dataclass(frozen=True, slots=True)
class _AsOci:
    """A manifest and its config as OCI has them."""

    manifest: bytes
    config: bytes
    config_digest: Digest


class OpenImage:
    """One image of a source, which it does not close.

    Its bytes are asked for by one thread; the streams may be read by others.
    """

    def __init__(self, found: ImageRoot, image: ImageManifest) -> None:
        self._found = found
        self._image = image

    @property
    def digest(self) -> Digest:
        """The image's own, in whatever format it lies there."""
        return Digest.of(self._image.raw)

    def read_manifest(self) -> bytes:
        """Its manifest in OCI's format."""
        if self._image.media_type == media_types.OCI_MANIFEST:
            return self._image.raw
        return self._converted.manifest

    def read_config(self) -> bytes:
        """What OCI's format knows of its configuration.

        Raises:
            UnsupportedError: it is an artifact, which has none.
        """
        return json_encoding.dumps(values.to_plain(inspect.read_config(self._found, self._image)))

    def read_runtime_config(self) -> bytes:
        """The part of the configuration that says how to run it."""
        inner = inspect.read_config(self._found, self._image).get("Config")
        assert inner is not None  # noqa: S101 - oci_config makes it one
        return json_encoding.dumps(values.to_plain(inner))

    def describe_layers(self) -> list[JSON]:
        """Its layers as they can be had, the base first."""
        return [
            {"digest": one.digest.text, "size": one.size, "media_type": one.media_type}
            for one in self._image.layers
        ]

    def find_size(self, digest: Digest) -> int | None:
        """A blob's size, where the manifest tells."""
        return self._node(digest).size

    @contextmanager
    def open_blob(self, digest: Digest, size: int) -> Iterator[Reader]:
        """A blob's bytes, which prove to be those of ``digest`` before they end.

        Raises:
            NotFoundError: it is not there.
        """
        with self.open_raw_blob(digest) as stream:
            what = f"{self._found.reference}: blob {digest}"
            yield VerifiedReader(stream, what, digest=digest, size=size)

    def open_raw_blob(self, digest: Digest) -> AbstractContextManager[Reader]:
        """A blob's bytes as they come.

        Raises:
            NotFoundError: it is not there.
        """
        if self._is_made_config(digest):
            return BytesIO(self._converted.config)
        return self._found.source.open(self._node(digest))

    @cached_property
    def _converted(self) -> _AsOci:
        from bundler.oci import conversion  # noqa: PLC0415 - only for Docker's own format

        what = f"{self._found.reference}: config {self._image.config.digest}"
        config = conversion.to_oci_config(self._found.read_config(self._image), subject=what)
        descriptor = Descriptor(media_types.OCI_CONFIG, Digest.of(config), len(config))
        layers = [_oci_layer(layer) for layer in self._image.layers]
        made = conversion.to_oci_manifest(self._image, descriptor, layers)
        return _AsOci(made, config, descriptor.digest)

    def _is_made_config(self, digest: Digest) -> bool:
        """Whether a client asks for the config that only our manifest names."""
        made = self.__dict__.get("_converted")
        return made is not None and digest == made.config_digest

    def _node(self, digest: Digest) -> Node:
        if digest == self._image.config.digest:
            return Node.of(self._image.config, "config")
        for layer in self._image.layers:
            if layer.digest == digest:
                return Node.of(layer, "layer")
        return Node("layer", "application/octet-stream", digest)


def open_image(found: ImageRoot, platform: Platform, policy_check: PolicyCheck | None) -> OpenImage:
    """The image that was found, or of a list the one that runs best on ``platform``.

    Of a list, it is enough that ``admit`` takes the list or the image.

    Raises:
        NotFoundError: none runs there.
        TrustError: it is not admitted.
    """
    refusal = _refusal(found, found.root, found.raw, policy_check)
    if refusal is not None and found.root.media_type not in media_types.INDEXES:
        raise refusal
    image = inspect.select_image(found, platform)
    if refusal is not None:
        descriptor = Descriptor(image.media_type, Digest.of(image.raw), len(image.raw))
        refusal = _refusal(found, descriptor, image.raw, policy_check)
        if refusal is not None:
            raise refusal
    return OpenImage(found, image)


def _oci_layer(layer: Descriptor) -> Descriptor:
    """A layer of a Docker manifest, under the name that OCI has for what it is."""
    compression = "gzip" if layer.media_type.endswith("gzip") else None
    named = media_types.convert_layer_type(layer.media_type, media_types.OCI_MANIFEST, compression)
    return replace(layer, media_type=named)


def _refusal(
    found: ImageRoot, descriptor: Descriptor, raw: bytes, admit: PolicyCheck | None
) -> TrustError | None:
    try:
        if admit is not None:
            admit(found.source, str(found.reference), descriptor, raw)
    except TrustError as error:
        return error
    return None
