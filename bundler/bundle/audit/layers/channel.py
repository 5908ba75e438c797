"""Messages between the program and a process that reads layers, over a socket pair.

A message is a letter, the length of its data, and the data; a file descriptor may come with it.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

_HEAD = struct.Struct(">cI")


@dataclass(frozen=True, slots=True)
class Message:
    """A message; the receiver owns the descriptor, which is -1 if there is none."""

    kind: bytes
    data: bytes
    fd: int = -1


class Channel:
    """One end of a socket pair. For one thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, kind: bytes, data: bytes = b"", *, fd: int = -1) -> None:
        """Send a message; the descriptor is copied.

        Raises:
            OSError: the other process has ended.
        """
        head = _HEAD.pack(kind, len(data))
        sent = socket.send_fds(self._connection, [head], [] if fd < 0 else [fd])
        self._connection.sendall(head[sent:])
        self._connection.sendall(data)

    def receive(self, limit: int) -> Message:
        """Wait for a message with at most ``limit`` bytes of data.

        Raises:
            OSError: the other process has ended, or the message is longer.
        """
        head, fds, _, _ = socket.recv_fds(self._connection, _HEAD.size, 1)
        try:
            kind, length = _HEAD.unpack(head + self._receive(_HEAD.size - len(head)))
            if length > limit:
                raise ConnectionError("message too long")
            data = self._receive(length)
        except OSError:
            for fd in fds:
                os.close(fd)
            raise
        return Message(kind, data, fds[0] if fds else -1)

    def _receive(self, length: int) -> bytes:
        data = bytearray(length)
        left = memoryview(data)
        while left:
            count = self._connection.recv_into(left)
            if not count:
                raise ConnectionError("the other process has ended")
            left = left[count:]
        return bytes(data)

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()
