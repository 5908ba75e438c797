"""Serve images to another program: small values in JSON packets, large ones through pipes.

There is one client, whose requests are handled one at a time. Blobs are streamed in the background.
``bootc`` and ``ostree`` are clients of this protocol.

https://github.com/containers/skopeo/blob/main/docs-experimental/skopeo-experimental-image-proxy.1.md
"""

from __future__ import annotations

import json
import select
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING

from bundler.errors import (
    CancelledError,
    LimitError,
    MalformedError,
    NotFoundError,
    UsageError,
)
from bundler.images import inspect
from bundler.images.proxy import protocol
from bundler.images.proxy.opened_image import OpenImage, open_image
from bundler.images.proxy.pipes import Pipes
from bundler.images.proxy.protocol import ProxyReply
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from bundler.cancel import Cancellation
    from bundler.images.proxy.protocol import ProxyRequest
    from bundler.oci.platform import Platform
    from bundler.ports import Reference, Source
    from bundler.signature_ports import PolicyCheck

PROTOCOL = "0.2.8"
MAX_IMAGES = 1_000

_NO_IMAGE = 0  # reserved: never the number of an image
_POLL_INTERVAL = 200  # milliseconds between checks for cancellation


@dataclass(frozen=True, slots=True)
class ProxyContext:
    """Options for opening and checking images."""

    open_image: Callable[[str], tuple[Reference, Source]]
    platform: Platform
    """Selects the image of an index."""
    policy_check: PolicyCheck | None = None


def serve(
    channel: socket.socket, begin: Callable[[], ProxyContext], cancellation: Cancellation
) -> None:
    """Handle requests until the client disconnects or sends ``Shutdown``.

    Args:
        channel: a socket of type ``SOCK_SEQPACKET``, connected to the client; the caller closes it.
        begin: creates the context when the client sends ``Initialize``; errors are sent to it.
        cancellation: ends the server.

    Raises:
        CancelledError: the server was cancelled.
    """

    def check() -> None:
        cancellation.check()
        disconnected = select.poll()
        disconnected.register(channel, 0)
        if disconnected.poll(0):
            raise ConnectionResetError("the client has disconnected")

    session = ProxySession(begin, Pipes(cancellation, check))
    ready = select.poll()
    ready.register(channel, select.POLLIN)
    try:
        with suppress(ConnectionError):  # the client has disconnected
            while True:
                while not ready.poll(_POLL_INTERVAL):
                    cancellation.check()
                try:
                    request = protocol.receive_request(channel)
                    if request is None or request.method == "Shutdown":
                        return
                    protocol.send_reply(channel, session.handle(request))
                except CancelledError:
                    raise
                except Exception as error:  # noqa: BLE001 - any error is sent to the client
                    protocol.send_error(channel, error)
    finally:
        session.close()


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
        if request.method not in _METHODS:
            raise UsageError(f"unknown method {request.method[:80]!r}")
        method, *names = _METHODS[request.method]
        if len(request.arguments) != len(names):
            raise UsageError(
                f"{request.method}: wrong arguments"
                f" (expected {', '.join(names) or 'none'}; got {len(request.arguments)})"
            )
        return method(self, request)

    def close(self) -> None:
        """Close all pipes and images."""
        self._pipes.close()
        for source, _ in self._images.values():
            source.close()
        self._images.clear()

    def initialize(self, _request: ProxyRequest) -> ProxyReply:
        """Start the session; the value is the version of the protocol."""
        if self._context is not None:
            raise UsageError("Initialize: the session is already initialized")
        self._context = self._begin()
        return ProxyReply(PROTOCOL)

    def open_image(self, request: ProxyRequest) -> ProxyReply:
        """Open an image; the value is its number."""
        return self._open_image(request, optional=False)

    def open_image_optional(self, request: ProxyRequest) -> ProxyReply:
        """Open an image as ``open_image`` does; the value is 0 if the image does not exist."""
        return self._open_image(request, optional=True)

    def close_image(self, request: ProxyRequest) -> ProxyReply:
        """Close an image; pipes that still read from it may fail."""
        self._find_image(request)
        source, _ = self._images.pop(request.get_number(0))
        source.close()
        return ProxyReply()

    def get_manifest(self, request: ProxyRequest) -> ProxyReply:
        """Stream the manifest in OCI format; the value is the digest of the original."""
        image = self._find_image(request)
        return self._stream(image.read_manifest(), image.digest.text)

    def get_full_config(self, request: ProxyRequest) -> ProxyReply:
        """Stream the config in OCI format."""
        return self._stream(self._find_image(request).read_config())

    def get_config(self, request: ProxyRequest) -> ProxyReply:
        """Stream the part of the config that describes how to run a container."""
        return self._stream(self._find_image(request).read_runtime_config())

    def get_layer_info(self, request: ProxyRequest) -> ProxyReply:
        """Return the list of layers in the packet."""
        return ProxyReply(self._find_image(request).describe_layers())

    def get_layer_info_piped(self, request: ProxyRequest) -> ProxyReply:
        """Stream the list of layers, which may be too large for a packet."""
        layers = self._find_image(request).describe_layers()
        return self._stream(json.dumps(layers, separators=(",", ":")).encode())

    def get_blob(self, request: ProxyRequest) -> ProxyReply:
        """Stream a blob, which is verified at its end; the value is its size."""
        image, digest = self._find_image(request), _parse_digest(request)
        size = request.get_number(2)
        pipe, read_fd = self._pipes.open_checked(image.open_blob(digest, size))
        known = image.find_node(digest).size
        return ProxyReply(size if known is None else known, pipe, (read_fd,))

    def get_raw_blob(self, request: ProxyRequest) -> ProxyReply:
        """Stream a blob, unverified, with a pipe for an error; the value is its size or -1."""
        image, digest = self._find_image(request), _parse_digest(request)
        descriptors = self._pipes.open_raw(image.open_raw_blob(digest))
        known = image.find_node(digest).size
        return ProxyReply(-1 if known is None else known, descriptors=descriptors)

    def finish_pipe(self, request: ProxyRequest) -> ProxyReply:
        """Wait until a pipe is completely written, and close it; return an error of the stream."""
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

    def _open_image(self, request: ProxyRequest, *, optional: bool) -> ProxyReply:
        context = self._require_context(request)
        with ExitStack() as undo:
            try:
                reference, source = context.open_image(request.get_text(0))
                undo.callback(source.close)
                root = inspect.read_root(source, reference)
            except NotFoundError:
                if optional:
                    return ProxyReply(_NO_IMAGE)
                raise
            if len(self._images) >= MAX_IMAGES:
                raise LimitError(
                    f"too many open images (at most {MAX_IMAGES:,})", hint="close some of them"
                )
            image = open_image(root, context.platform, context.policy_check)
            undo.pop_all()
        number = next(self._numbers)
        self._images[number] = source, image
        return ProxyReply(number)

    def _stream(self, data: bytes, value: str | None = None) -> ProxyReply:
        pipe, read_fd = self._pipes.open_checked(BytesIO(data))
        return ProxyReply(value, pipe, (read_fd,))


def _parse_digest(request: ProxyRequest) -> Digest:
    try:
        return Digest(request.get_text(1))
    except MalformedError as error:
        raise UsageError(f"{request.method}: {error.message}") from None


_METHODS: dict[str, tuple[Callable[[ProxySession, ProxyRequest], ProxyReply], *tuple[str, ...]]] = {
    "Initialize": (ProxySession.initialize,),
    "OpenImage": (ProxySession.open_image, "image"),
    "OpenImageOptional": (ProxySession.open_image_optional, "image"),
    "CloseImage": (ProxySession.close_image, "image"),
    "GetManifest": (ProxySession.get_manifest, "image"),
    "GetFullConfig": (ProxySession.get_full_config, "image"),
    "GetConfig": (ProxySession.get_config, "image"),
    "GetLayerInfo": (ProxySession.get_layer_info, "image"),
    "GetLayerInfoPiped": (ProxySession.get_layer_info_piped, "image"),
    "GetBlob": (ProxySession.get_blob, "image", "digest", "size"),
    "GetRawBlob": (ProxySession.get_raw_blob, "image", "digest"),
    "FinishPipe": (ProxySession.finish_pipe, "pipe"),
}
"""The methods by name, each with the names of its arguments."""
