"""What a client of the image proxy can ask for, and what it has open."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING

from bundler.errors import (
    LimitError,
    MalformedError,
    NotFoundError,
    UsageError,
)
from bundler.images import inspect
from bundler.images.proxy.opened_image import OpenImage, open_image
from bundler.images.proxy.protocol import ProxyReply
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.images.inspect import ImageRoot
    from bundler.images.proxy.pipes import Pipes
    from bundler.images.proxy.protocol import ProxyRequest
    from bundler.oci.platform import Platform
    from bundler.ports import PolicyCheck, Reference, Source

PROTOCOL = "0.2.8"
MAX_IMAGES = 1_000

_NO_IMAGE = 0  # in place of an image's number


@dataclass(frozen=True, slots=True)
class ProxyContext:
    """How images are reached; ``open`` takes what a client calls an image."""

    open_image: Callable[[str], tuple[Reference, Source]]
    platform: Platform
    """Which image of a list to take."""
    policy_check: PolicyCheck | None = None


class ProxySession:
    """One client and all it has open; for one thread."""

    def __init__(self, begin: Callable[[], ProxyContext], pipes: Pipes) -> None:
        self._begin = begin
        self._pipes = pipes
        self._access: ProxyContext | None = None
        self._numbers = count(_NO_IMAGE + 1)
        self._images: dict[int, tuple[Source, OpenImage]] = {}

    def handle(self, request: ProxyRequest) -> ProxyReply:
        """Do what is asked for.

        Raises:
            UsageError: there is something wrong with the request.
            BundlerError, OSError: it cannot be done.
        """
        method = _METHODS.get(request.method)
        if method is None:
            raise UsageError(f"unknown method {request.method[:80]!r}")
        return method(self, request)

    def close(self) -> None:
        """Stop all that streams, and let go of all images."""
        self._pipes.close()
        for source, _ in self._images.values():
            source.close()
        self._images.clear()

    def initialize(self, request: ProxyRequest) -> ProxyReply:
        """Begin; the value is the protocol's version."""
        request.check_arguments()
        if self._access is not None:
            raise UsageError("Initialize: this was done before")
        self._access = self._begin()
        return ProxyReply(PROTOCOL)

    def open_image(self, request: ProxyRequest) -> ProxyReply:
        """Open an image; the value is its number."""
        request.check_arguments("image")
        access = self._ready(request)
        source, found = _find(access, request.get_text(0))
        return ProxyReply(self._keep(source, found, access))

    def open_image_optional(self, request: ProxyRequest) -> ProxyReply:
        """As ``open_image``, but the value is 0 where there is no such image."""
        request.check_arguments("image")
        access = self._ready(request)
        try:
            source, found = _find(access, request.get_text(0))
        except NotFoundError:
            return ProxyReply(_NO_IMAGE)
        return ProxyReply(self._keep(source, found, access))

    def close_image(self, request: ProxyRequest) -> ProxyReply:
        """Let go of an image; what streams from it may break off."""
        request.check_arguments("image")
        self._image(request)
        source, _ = self._images.pop(request.get_number(0))
        source.close()
        return ProxyReply()

    def get_manifest(self, request: ProxyRequest) -> ProxyReply:
        """Stream the manifest in OCI's format; the value is the digest of what it was made of."""
        request.check_arguments("image")
        image = self._image(request)
        return self._bytes(image.read_manifest(), image.digest.text)

    def get_full_config(self, request: ProxyRequest) -> ProxyReply:
        """Stream the configuration in OCI's format."""
        request.check_arguments("image")
        return self._bytes(self._image(request).read_config())

    def get_config(self, request: ProxyRequest) -> ProxyReply:
        """Stream the part of the configuration that is for a container's start."""
        request.check_arguments("image")
        return self._bytes(self._image(request).read_runtime_config())

    def get_layer_info(self, request: ProxyRequest) -> ProxyReply:
        """The value is a list of the layers."""
        request.check_arguments("image")
        return ProxyReply(self._image(request).describe_layers())

    def get_layer_info_piped(self, request: ProxyRequest) -> ProxyReply:
        """Stream a list of the layers, which may be too long for a packet."""
        request.check_arguments("image")
        layers = self._image(request).describe_layers()
        return self._bytes(json.dumps(layers, separators=(",", ":")).encode())

    def get_blob(self, request: ProxyRequest) -> ProxyReply:
        """Stream a blob whose digest and size are proven by the end; the value is its size."""
        request.check_arguments("image", "digest", "size")
        image, digest, size = self._image(request), _digest(request), request.get_number(2)
        pipe, reading = self._pipes.open_checked(image.open_blob(digest, size))
        known = image.find_size(digest)
        return ProxyReply(size if known is None else known, pipe, (reading,))

    def get_raw_blob(self, request: ProxyRequest) -> ProxyReply:
        """Stream a blob as it comes, and what goes wrong; the value is its size, -1 if unknown."""
        request.check_arguments("image", "digest")
        image, digest = self._image(request), _digest(request)
        descriptors = self._pipes.open_raw(image.open_raw_blob(digest))
        known = image.find_size(digest)
        return ProxyReply(-1 if known is None else known, descriptors=descriptors)

    def finish_pipe(self, request: ProxyRequest) -> ProxyReply:
        """Wait until a pipe is written, end it, and tell of what went wrong."""
        request.check_arguments("pipe")
        self._pipes.finish(request.get_number(0))
        return ProxyReply()

    def _ready(self, request: ProxyRequest) -> ProxyContext:
        if self._access is None:
            raise UsageError(f"{request.method}: Initialize must come first")
        return self._access

    def _image(self, request: ProxyRequest) -> OpenImage:
        self._ready(request)
        number = request.get_number(0)
        if number not in self._images:
            raise UsageError(f"{request.method}: there is no open image {number}")
        return self._images[number][1]

    def _keep(self, source: Source, found: ImageRoot, access: ProxyContext) -> int:
        """The number of an image that is open from now on."""
        with ExitStack() as undo:
            undo.callback(source.close)
            self._make_room()
            image = open_image(found, access.platform, access.policy_check)
            undo.pop_all()
        number = next(self._numbers)
        self._images[number] = source, image
        return number

    def _make_room(self) -> None:
        if len(self._images) >= MAX_IMAGES:
            raise LimitError(
                f"{MAX_IMAGES:,} images are open, and there cannot be more",
                hint="close some of them",
            )

    def _bytes(self, data: bytes, value: str | None = None) -> ProxyReply:
        pipe, reading = self._pipes.open_checked(BytesIO(data))
        return ProxyReply(value, pipe, (reading,))


def _find(access: ProxyContext, text: str) -> tuple[Source, ImageRoot]:
    reference, source = access.open_image(text)
    with ExitStack() as undo:
        undo.callback(source.close)
        found = inspect.read_root(source, reference)
        undo.pop_all()
    return source, found


def _digest(request: ProxyRequest) -> Digest:
    try:
        return Digest(request.get_text(1))
    except MalformedError as error:
        raise UsageError(f"{request.method}: {error.message}") from None


_METHODS: dict[str, Callable[[ProxySession, ProxyRequest], ProxyReply]] = {
    "Initialize": ProxySession.initialize,
    "OpenImage": ProxySession.open_image,
    "OpenImageOptional": ProxySession.open_image_optional,
    "CloseImage": ProxySession.close_image,
    "GetManifest": ProxySession.get_manifest,
    "GetFullConfig": ProxySession.get_full_config,
    "GetConfig": ProxySession.get_config,
    "GetLayerInfo": ProxySession.get_layer_info,
    "GetLayerInfoPiped": ProxySession.get_layer_info_piped,
    "GetBlob": ProxySession.get_blob,
    "GetRawBlob": ProxySession.get_raw_blob,
    "FinishPipe": ProxySession.finish_pipe,
}
