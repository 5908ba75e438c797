"""An image that is opened by a client of the image proxy, in OCI format.

https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING

from bundler.content.streams import VerifiedReader
from bundler.errors import TrustError
from bundler.gocompat import json_encoding, values
from bundler.images import inspect
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import list_children
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from bundler.content.streams import Reader
    from bundler.images.inspect import ImageRoot
    from bundler.oci.json.strict import JSON
    from bundler.oci.manifest import ImageManifest
    from bundler.oci.platform import Platform
    from bundler.signature_ports import PolicyCheck


@dataclass(frozen=True, slots=True)
class _ConvertedImage:
    """A manifest and its config, converted to OCI format."""

    manifest: bytes
    config: bytes
    config_digest: Digest


class OpenImage:
    """An image at a source, which the caller closes.

    Not thread-safe, but the streams that it returns may be read by other threads.
    """

    def __init__(self, root: ImageRoot, image: ImageManifest) -> None:
        self._root = root
        self._image = image

    @property
    def digest(self) -> Digest:
        """The digest of the original manifest, which may be in another format."""
        return Digest.of(self._image.raw)

    def read_manifest(self) -> bytes:
        """Return the manifest in OCI format."""
        is_oci = self._image.media_type == media_types.OCI_MANIFEST
        return self._image.raw if is_oci else self._converted.manifest

    def read_config(self) -> bytes:
        """Return the config in OCI format.

        Raises:
            UnsupportedError: the image is an artifact, which has no image config.
        """
        return json_encoding.dumps(values.to_plain(inspect.read_config(self._root, self._image)))

    def read_runtime_config(self) -> bytes:
        """Return the part of the config that describes how to run a container."""
        config = inspect.read_config(self._root, self._image).get("Config")
        assert config is not None  # noqa: S101 - image_config creates it
        return json_encoding.dumps(values.to_plain(config))

    def describe_layers(self) -> list[JSON]:
        """Return digest, size and media type of the original layers, from the base layer up."""
        return [
            {"digest": layer.digest.text, "size": layer.size, "media_type": layer.media_type}
            for layer in self._image.layers
        ]

    def find_node(self, digest: Digest) -> Node:
        """Return the node of a blob; its size is None if the manifest does not list it."""
        for child, kind in list_children(self._image):
            if child.digest == digest:
                return Node.of(child, kind)
        return Node("layer", "application/octet-stream", digest)

    @contextmanager
    def open_blob(self, digest: Digest, size: int) -> Iterator[Reader]:
        """Open a blob; reading its end raises an error if digest or size do not match.

        Raises:
            NotFoundError: the blob does not exist.
        """
        with self.open_raw_blob(digest) as stream:
            subject = f"{self._root.reference}: blob {digest}"
            yield VerifiedReader(stream, subject, digest=digest, size=size)

    def open_raw_blob(self, digest: Digest) -> AbstractContextManager[Reader]:
        """Open a blob without verification.

        Raises:
            NotFoundError: the blob does not exist.
        """
        # A client can request a converted config only after it has read the manifest.
        converted = self.__dict__.get("_converted")
        if converted is not None and digest == converted.config_digest:
            return BytesIO(converted.config)
        return self._root.source.open(self.find_node(digest))

    @cached_property
    def _converted(self) -> _ConvertedImage:
        from bundler.oci import conversion  # noqa: PLC0415 - only for Docker's format

        subject = f"{self._root.reference}: config {self._image.config.digest}"
        config = conversion.to_oci_config(self._root.read_config(self._image), subject=subject)
        descriptor = Descriptor(media_types.OCI_CONFIG, Digest.of(config), len(config))
        layers = []
        for layer in self._image.layers:
            compression = "gzip" if layer.media_type.endswith("gzip") else None
            media_type = media_types.convert_layer_type(
                layer.media_type, media_types.OCI_MANIFEST, compression
            )
            layers.append(replace(layer, media_type=media_type))
        manifest = conversion.to_oci_manifest(self._image, descriptor, layers)
        return _ConvertedImage(manifest, config, descriptor.digest)


def open_image(root: ImageRoot, platform: Platform, policy_check: PolicyCheck | None) -> OpenImage:
    """Open an image, or the best match for ``platform`` in an index.

    An image from an index is accepted if the policy accepts either the index or the image.

    Raises:
        NotFoundError: no image runs on ``platform``.
        TrustError: the policy rejects the image.
    """
    try:
        root.check(policy_check, root.root.digest, root.raw)
    except TrustError:
        if root.root.media_type not in media_types.INDEXES:
            raise
    else:
        policy_check = None
    return OpenImage(root, inspect.select_image(root, platform, policy_check))
