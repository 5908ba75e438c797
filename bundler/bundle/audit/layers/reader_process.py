"""A process that reads layers: it receives a descriptor, asks for the stream, and answers.

Messages of the program: ``L`` is a layer to read; ``F`` the file with its content, ``P`` a pipe
with it, ``N`` that there is none. Messages of this process: ``O`` asks for the stream from its
beginning, up to two times for a layer; ``C`` are encoded contents, ``E`` is an error.

It opens no files of its own except temporary ones, and ends when the program does.
"""

from __future__ import annotations

import io
import json
import os
import socket
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bundler import errors
from bundler.bundle.audit.layers.channel import Channel
from bundler.bundle.audit.layers.contents import read_layer
from bundler.bundle.audit.layers.encoding import encode
from bundler.cancel import Cancellation
from bundler.content.files.safe_directory import RegularFile
from bundler.errors import BundlerError, CancelledError, NotFoundError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.content.streams import Reader
    from bundler.ports import Node

MAX_REQUEST = 64 * 1024
"""The maximum size of a message of the program in bytes."""


def main(fd: int, parent: int) -> None:
    """Read layers until the program with the process ID ``parent`` closes the socket ``fd``."""
    channel = Channel(socket.socket(fileno=fd))
    source, cancellation = _RequestedSource(channel), _ParentWatch(parent)
    while True:
        try:
            request = channel.receive(MAX_REQUEST)
        except OSError:
            return
        media_type, digest, size = json.loads(request.data)
        layer = Descriptor(media_type, Digest(digest), size)
        try:
            answer = b"C", encode(read_layer(source, layer, cancellation))  # type: ignore[arg-type]
        except CancelledError:
            return
        except BundlerError as error:
            answer = b"E", encode_error(error)
        except Exception:  # noqa: BLE001 - the program reports it
            answer = b"X", traceback.format_exc().encode(errors="replace")[-MAX_REQUEST:]
        try:
            channel.send(*answer)
        except OSError:
            return


def encode_layer(layer: Descriptor) -> bytes:
    """Encode the data of the message ``L``."""
    return json.dumps([layer.media_type, layer.digest.text, layer.size]).encode()


def encode_error(error: BundlerError) -> bytes:
    """Encode an error with its fields that are texts and numbers."""
    fields = {
        name: value for name, value in vars(error).items() if isinstance(value, str | int | None)
    }
    return json.dumps([type(error).__name__, fields]).encode()


def decode_error(data: bytes) -> BundlerError:
    """Create the error that ``encode_error`` encoded."""
    name, fields = json.loads(data)
    kind = getattr(errors, name, BundlerError)
    if not (isinstance(kind, type) and issubclass(kind, BundlerError)):
        kind = BundlerError
    error = kind.__new__(kind)
    BundlerError.__init__(error, fields["message"])
    vars(error).update(fields)
    return error


class _RequestedSource:
    """The part of a ``Source`` that reads layers: each stream is requested from the program."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @contextmanager
    def open(self, node: Node, /, offset: int = 0) -> Iterator[Reader]:  # noqa: ARG002
        self._channel.send(b"O")
        message = self._channel.receive(MAX_REQUEST)
        if message.kind == b"F":
            with RegularFile(Path(os.fsdecode(message.data)), message.fd) as file:
                yield file
        elif message.kind == b"P":
            with io.FileIO(message.fd) as pipe:
                yield pipe
        else:
            raise NotFoundError(f"{node.digest}: not available")


class _ParentWatch(Cancellation):
    """Cancellation as soon as the program has ended, even if it was killed."""

    def __init__(self, parent: int) -> None:
        super().__init__()
        self._parent = parent

    def check(self) -> None:
        if os.getppid() != self._parent:
            raise CancelledError
