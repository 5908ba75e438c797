"""The packets of the image proxy: JSON documents, sent with the file descriptors of pipes.

    request   {"method": "GetBlob", "args": [1, "sha256:…", 123]}
    reply     {"success": true, "value": 123, "pipeid": 4, "error_code": "", "error": ""}

Requests are untrusted and validated strictly; a UsageError names the invalid part.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import (
    BundlerError,
    LimitError,
    MalformedError,
    RegistryError,
    UsageError,
)
from bundler.oci.json import strict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.oci.json.strict import JSON

MAX_REQUEST = 32 * 1024
MAX_NUMBER = 2**53 - 1  # larger integers lose precision in many JSON implementations

_CONTROL_CHARACTERS = {ord(char): " " for char in map(chr, range(32))}


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """A request of the client."""

    method: str
    arguments: tuple[JSON, ...]

    def get_text(self, position: int) -> str:
        """Return the argument at ``position``, counted from 0, which must be a string.

        Raises:
            UsageError: the argument is not a string.
        """
        value = self.arguments[position]
        if not isinstance(value, str):
            raise UsageError(f"{self.method}: argument {position + 1} is not a string")
        return value

    def get_number(self, position: int) -> int:
        """Return the argument at ``position``, which must be an integer from 0 to ``MAX_NUMBER``.

        Raises:
            UsageError: the argument is not an integer in this range.
        """
        value = self.arguments[position]
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON does not distinguish 1.0 from 1
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
            raise UsageError(
                f"{self.method}: argument {position + 1} is not an integer from 0 to {MAX_NUMBER}"
            )
        return value


@dataclass(frozen=True, slots=True)
class ProxyReply:
    """A reply to the client."""

    value: JSON = None
    pipe: int = 0
    """The number of a checked pipe; 0: none."""
    descriptors: tuple[int, ...] = field(default=())
    """File descriptors of pipes, which are sent with the reply and then closed here."""


def receive_request(channel: socket.socket) -> ProxyRequest | None:
    """Wait for a request and return it; None if the client has disconnected.

    Raises:
        UsageError: the packet is not a request.
        LimitError: the packet is larger or deeper than allowed.
    """
    packet, _, flags, _ = channel.recvmsg(MAX_REQUEST)
    if flags & socket.MSG_TRUNC:
        raise LimitError(f"the request: too large (at most {MAX_REQUEST:,} bytes)")
    return parse_request(packet) if packet else None


def parse_request(packet: bytes) -> ProxyRequest:
    """Parse a request.

    Raises:
        UsageError: ``packet`` is malformed.
        LimitError: ``packet`` is larger or deeper than allowed.
    """
    try:
        value = strict.load_object(packet, subject="the request", limit=MAX_REQUEST)
    except MalformedError as error:
        raise UsageError(error.message) from None
    method, arguments = value.get("method"), value.get("args")
    if not isinstance(method, str):
        raise UsageError("the request: method is not a string")
    if not isinstance(arguments, list | None):
        raise UsageError("the request: args is not an array")
    return ProxyRequest(method, tuple(arguments or ()))


def send_reply(channel: socket.socket, reply: ProxyReply) -> None:
    """Send a reply, and close its file descriptors, even if sending fails.

    Raises:
        LimitError: the reply is too large for a packet; nothing was sent.
        OSError: the client has disconnected.
    """
    packet = {"success": True, "value": reply.value, "pipeid": reply.pipe}
    try:
        _send(channel, {**packet, "error_code": "", "error": ""}, reply.descriptors)
    finally:
        for descriptor in reply.descriptors:
            os.close(descriptor)


def send_error(channel: socket.socket, error: Exception) -> None:
    """Send an error reply.

    Raises:
        OSError: the client has disconnected.
    """
    message = format_error(error)[: MAX_REQUEST // 2]
    packet = {"success": False, "value": None, "pipeid": 0}
    _send(channel, {**packet, "error_code": find_error_code(error), "error": message}, ())


def find_error_code(error: Exception) -> str:
    """Return the error code of the protocol: ``EPIPE``, ``retryable`` or ``other``."""
    match error:
        case BrokenPipeError():
            return "EPIPE"
        case RegistryError(temporary=True) | ConnectionError() | TimeoutError():
            return "retryable"
        case _:
            return "other"


def format_error(error: Exception) -> str:
    """Return the message of an error as a single line."""
    match error:
        case BundlerError():
            return error.message.translate(_CONTROL_CHARACTERS)
        case BrokenPipeError():
            return "the client closed the pipe before the end of the stream"
        case OSError():
            return error.strerror or str(error)
        case _:
            return f"internal error: {type(error).__name__}: {error}"


def _send(channel: socket.socket, document: dict[str, JSON], descriptors: Sequence[int]) -> None:
    packet = json.dumps(document).encode()
    try:
        socket.send_fds(channel, [packet], list(descriptors))
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        raise LimitError(
            f"the reply: too large for a packet ({len(packet):,} bytes)",
            hint="request it through a pipe",
        ) from None
