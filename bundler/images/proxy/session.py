"""The session of a client of the image proxy: its open images and pipes, and the methods."""

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

_NO_IMAGE = 0  # a number that no image has


@dataclass(frozen=True, slots=True)
class ProxyContext:
    """Options for opening and checking images."""

    open_image: Callable[[str], tuple[Reference, Source]]
    platform: Platform
    """Selects the image of an index."""
    policy_check: PolicyCheck | None = None


class ProxySession:
    """The open images and pipes of one client. Not thread-safe."""

    def __init__(self, begin: Callable[[], ProxyContext], pipes: Pipes) -> None:
        self._begin = begin
        self._pipes = pipes
        self._context: ProxyContext | None = None
        self._numbers = count(_NO_IMAGE + 1)
        self._images: dict[int, tuple[Source, OpenImage]] = {}

    def handle(self, request: ProxyRequest) -> ProxyReply:
        """Execute a request and return the reply.

        Raises:
            UsageError: the request is invalid.
            BundlerError, OSError: the request failed.
        """
        method = _METHODS.get(request.method)
        if method is None:
            raise UsageError(f"unknown method {request.method[:80]!r}")
        return method(self, request)

    def close(self) -> None:
        """Close all pipes and images."""
        self._pipes.close()
        for source, _ in self._images.values():
            source.close()
        self._images.clear()

    def initialize(self, request: ProxyRequest) -> ProxyReply:
        """Start the session; the value is the version of the protocol."""
        request.check_arguments()
        if self._context is not None:
            raise UsageError("Initialize: the session is already initialized")
        self._context = self._begin()
        return ProxyReply(PROTOCOL)

    def open_image(self, request: ProxyRequest) -> ProxyReply:
        """Open an image; the value is its number."""
        request.check_arguments("image")
        context = self._require_context(request)
        return self._add_image(_read_root(context, request.get_text(0)), context)

    def open_image_optional(self, request: ProxyRequest) -> ProxyReply:
        """Open an image as ``open_image`` does; the value is 0 if the image does not exist."""
        request.check_arguments("image")
        context = self._require_context(request)
        try:
            root = _read_root(context, request.get_text(0))
        except NotFoundError:
            return ProxyReply(_NO_IMAGE)
        return self._add_image(root, context)

    def close_image(self, request: ProxyRequest) -> ProxyReply:
        """Close an image; pipes that still read from it may fail."""
        request.check_arguments("image")
        self._find_image(request)
        source, _ = self._images.pop(request.get_number(0))
        source.close()
        return ProxyReply()

    def get_manifest(self, request: ProxyRequest) -> ProxyReply:
        """Stream the manifest in OCI format; the value is the digest of the original."""
        request.check_arguments("image")
        image = self._find_image(request)
        return self._stream(image.read_manifest(), image.digest.text)

    def get_full_config(self, request: ProxyRequest) -> ProxyReply:
        """Stream the config in OCI format."""
        request.check_arguments("image")
        return self._stream(self._find_image(request).read_config())

    def get_config(self, request: ProxyRequest) -> ProxyReply:
        """Stream the part of the config that describes how to run a container."""
        request.check_arguments("image")
        return self._stream(self._find_image(request).read_runtime_config())

    def get_layer_info(self, request: ProxyRequest) -> ProxyReply:
        """Return the list of layers in the packet."""
        request.check_arguments("image")
        return ProxyReply(self._find_image(request).describe_layers())

    def get_layer_info_piped(self, request: ProxyRequest) -> ProxyReply:
        """Stream the list of layers, which may be too large for a packet."""
        request.check_arguments("image")
        layers = self._find_image(request).describe_layers()
        return self._stream(json.dumps(layers, separators=(",", ":")).encode())

    def get_blob(self, request: ProxyRequest) -> ProxyReply:
        """Stream a blob, which is verified at its end; the value is its size."""
        request.check_arguments("image", "digest", "size")
        image, digest, size = (
            self._find_image(request),
            _parse_digest(request),
            request.get_number(2),
        )
        pipe, read_fd = self._pipes.open_checked(image.open_blob(digest, size))
        known = image.find_size(digest)
        return ProxyReply(size if known is None else known, pipe, (read_fd,))

    def get_raw_blob(self, request: ProxyRequest) -> ProxyReply:
        """Stream a blob, unverified, with a pipe for an error; the value is its size or -1."""
        request.check_arguments("image", "digest")
        image, digest = self._find_image(request), _parse_digest(request)
        descriptors = self._pipes.open_raw(image.open_raw_blob(digest))
        known = image.find_size(digest)
        return ProxyReply(-1 if known is None else known, descriptors=descriptors)

    def finish_pipe(self, request: ProxyRequest) -> ProxyReply:
        """Wait until a pipe is completely written, and close it; return an error of the stream."""
        request.check_arguments("pipe")
        self._pipes.finish(request.get_number(0))
        return ProxyReply()

    def _require_context(self, request: ProxyRequest) -> ProxyContext:
        if self._context is None:
            raise UsageError(f"{request.method}: the session is not initialized")
        return self._context

    def _find_image(self, request: ProxyRequest) -> OpenImage:
        self._require_context(request)
        number = request.get_number(0)
        if number not in self._images:
            raise UsageError(f"{request.method}: image {number} is not open")
        return self._images[number][1]

    def _add_image(self, root: ImageRoot, context: ProxyContext) -> ProxyReply:
        """Open the image of ``root``, and take ownership of its source."""
        with ExitStack() as undo:
            undo.callback(root.source.close)
            if len(self._images) >= MAX_IMAGES:
                raise LimitError(
                    f"too many open images (at most {MAX_IMAGES:,})", hint="close some of them"
                )
            image = open_image(root, context.platform, context.policy_check)
            undo.pop_all()
        number = next(self._numbers)
        self._images[number] = root.source, image
        return ProxyReply(number)

    def _stream(self, data: bytes, value: str | None = None) -> ProxyReply:
        pipe, read_fd = self._pipes.open_checked(BytesIO(data))
        return ProxyReply(value, pipe, (read_fd,))


def _read_root(context: ProxyContext, text: str) -> ImageRoot:
    """Open the source of a reference and read the root; the caller closes the source."""
    reference, source = context.open_image(text)
    with ExitStack() as undo:
        undo.callback(source.close)
        root = inspect.read_root(source, reference)
        undo.pop_all()
    return root


def _parse_digest(request: ProxyRequest) -> Digest:
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
