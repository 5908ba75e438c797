"""A client of the image proxy, which uses it as bootc and ostree do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.servers import Client

MAX_PACKET = 1 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, with the pipes that were sent with it."""

    success: bool
    value: Any
    pipe: int
    error_code: str
    error: str
    descriptors: tuple[int, ...]


class Proxy:
    """A running proxy, reached by its socket."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel

    def send(self, packet: bytes) -> None:
        """Send a packet unchanged."""
        self.channel.send(packet)

    def receive(self) -> Reply | None:
        """Receive the next reply; None if the proxy has closed the socket."""
        try:
            packet, descriptors, _, _ = socket.recv_fds(self.channel, MAX_PACKET, 8)
        except ConnectionResetError:
            return None
        if not packet:
            return None
        output = json.loads(packet)
        return Reply(
            output["success"],
            output["value"],
            output["pipeid"],
            output.get("error_code", ""),
            output["error"],
            tuple(descriptors),
        )

    def call(self, method: str, *arguments: object) -> Reply:
        """Send a request and return its reply."""
        self.send(json.dumps({"method": method, "args": arguments}).encode())
        reply = self.receive()
        assert reply is not None, f"{method} ended the proxy"
        return reply

    def value(self, method: str, *arguments: object) -> Any:
        """Send a request that must succeed; return the value of its reply."""
        reply = self.call(method, *arguments)
        assert reply.success, reply.error
        return reply.value

    def fetch(self, method: str, *arguments: object) -> tuple[Any, bytes, Reply]:
        """Return the value, the content of the pipe, and the reply to ``FinishPipe``."""
        reply = self.call(method, *arguments)
        assert reply.success, reply.error
        (descriptor,) = reply.descriptors
        # The proxy closes the pipe only after FinishPipe, so the pipe is read during the request.
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.append(read_all(descriptor)))
        reader.start()
        finished = self.call("FinishPipe", reply.pipe)
        reader.join()
        return reply.value, read[0], finished


@contextmanager
def proxy(client: Client, *arguments: str) -> Iterator[tuple[Proxy, subprocess.Popen[str]]]:
    """Start ``client`` as a proxy; it is killed if it still runs when the block ends."""
    ours, theirs = create_socket_pair()
    with ours:
        process = subprocess.Popen(
            [*client.command, "experimental-image-proxy", *arguments],
            env=client.env(),
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()
        with process:
            try:
                yield Proxy(ours), process
            finally:
                ours.close()
                process.kill()


def create_socket_pair() -> tuple[socket.socket, socket.socket]:
    """Create two connected sockets; the first has a time limit."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(30)
    return ours, theirs


def read_all(descriptor: int) -> bytes:
    """Read a pipe to its end and close it."""
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()
