"""The packets of the image proxy: one JSON document each, with descriptors of pipes beside it.

    request   {"method": "GetBlob", "args": [1, "sha256:…", 123]}
    answer    {"success": true, "value": 123, "pipeid": 4, "error_code": "", "error": ""}

Requests come from a program that may have lost its way: whatever is wrong with one is told as a
UsageError, which names the part.
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
MAX_NUMBER = 2**53 - 1  # what a JSON number can hold in every language

_CONTROL_CHARACTERS = {ord(char): " " for char in map(chr, range(32))}


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """What the client asks for."""

    method: str
    arguments: tuple[JSON, ...]

    def check_arguments(self, *names: str) -> None:
        """Refuse any other number of arguments than these.

        Raises:
            UsageError: there are more or fewer.
        """
        if len(self.arguments) != len(names):
            expected = ", ".join(names) or "none"
            raise UsageError(
                f"{self.method}: expected the arguments ({expected}), got {len(self.arguments)}"
            )

    def get_text(self, position: int) -> str:
        """The argument at ``position``.

        Raises:
            UsageError: it is not a string.
        """
        value = self.arguments[position]
        if not isinstance(value, str):
            raise UsageError(f"{self.method}: argument {position + 1} is not a string")
        return value

    def get_number(self, position: int) -> int:
        """The argument at ``position``, 0 or more.

        Raises:
            UsageError: it is not a whole number in the range that JSON can carry.
        """
        value = self.arguments[position]
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # to JSON, 1.0 is 1
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
            raise UsageError(
                f"{self.method}: argument {position + 1} is not a whole number up to {MAX_NUMBER}"
            )
        return value


@dataclass(frozen=True, slots=True)
class ProxyReply:
    """What the client gets; ``descriptors`` of pipes travel beside it and are closed here."""

    value: JSON = None
    pipe: int = 0
    descriptors: tuple[int, ...] = field(default=())


def receive_request(channel: socket.socket) -> ProxyRequest | None:
    """The next request; None: the client has gone.

    Raises:
        UsageError: it is no request.
        LimitError: it is longer or deeper than allowed.
    """
    packet, _, flags, _ = channel.recvmsg(MAX_REQUEST)
    if flags & socket.MSG_TRUNC:
        raise LimitError(f"the request is longer than the {MAX_REQUEST:,} bytes allowed")
    return parse_request(packet) if packet else None


def parse_request(packet: bytes) -> ProxyRequest:
    """Read a request.

    Raises:
        UsageError: it is none.
        LimitError: it is longer or deeper than allowed.
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


def send_reply(channel: socket.socket, answer: ProxyReply) -> None:
    """Send an answer and close our copies of its descriptors.

    Raises:
        LimitError: it does not fit into a packet; nothing was sent.
        OSError: the client has gone.
    """
    packet = {"success": True, "value": answer.value, "pipeid": answer.pipe}
    try:
        _send(channel, {**packet, "error_code": "", "error": ""}, answer.descriptors)
    finally:
        for descriptor in answer.descriptors:
            os.close(descriptor)


def send_error(channel: socket.socket, error: Exception) -> None:
    """Tell the client of a failure.

    Raises:
        OSError: the client has gone.
    """
    said = {"error_code": find_error_code(error), "error": format_error(error)[: MAX_REQUEST // 2]}
    _send(channel, {"success": False, "value": None, "pipeid": 0, **said}, ())


def find_error_code(error: Exception) -> str:
    """What kind of failure it is: ``EPIPE``, ``retryable`` or ``other``."""
    match error:
        case BrokenPipeError():
            return "EPIPE"
        case RegistryError(temporary=True) | ConnectionError() | TimeoutError():
            return "retryable"
        case _:
            return "other"


def format_error(error: Exception) -> str:
    """The failure in one line."""
    match error:
        case BundlerError():
            return error.message.translate(_CONTROL_CHARACTERS)
        case BrokenPipeError():
            return "the client closed the pipe before it had read everything"
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
            f"the answer of {len(packet):,} bytes does not fit into a packet",
            hint="ask for it through a pipe",
        ) from None
