"""A client of the image proxy: it starts a program, and speaks with it as bootc and ostree do."""

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
    """One answer, with the pipes that came beside it."""

    success: bool
    value: Any
    pipe: int
    error_code: str
    error: str
    descriptors: tuple[int, ...]


class Proxy:
    """A running proxy, by the socket that leads to it."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel

    def send(self, packet: bytes) -> None:
        """Send a packet as it is."""
        self.channel.send(packet)

    def receive(self) -> Reply | None:
        """The next answer; None: the proxy has gone."""
        try:
            packet, descriptors, _, _ = socket.recv_fds(self.channel, MAX_PACKET, 8)
        except ConnectionResetError:
            return None
        if not packet:
            return None
        said = json.loads(packet)
        return Reply(
            said["success"],
            said["value"],
            said["pipeid"],
            said.get("error_code", ""),
            said["error"],
            tuple(descriptors),
        )

    def call(self, method: str, *arguments: object) -> Reply:
        """Ask, and wait for the answer."""
        self.send(json.dumps({"method": method, "args": arguments}).encode())
        reply = self.receive()
        assert reply is not None, f"{method} ended the proxy"
        return reply

    def value(self, method: str, *arguments: object) -> Any:
        """The value of an answer that must be a good one."""
        reply = self.call(method, *arguments)
        assert reply.success, reply.error
        return reply.value

    def fetch(self, method: str, *arguments: object) -> tuple[Any, bytes, Reply]:
        """The value, what comes through the pipe, and the answer to the question how it went."""
        reply = self.call(method, *arguments)
        assert reply.success, reply.error
        (descriptor,) = reply.descriptors
        # The proxy ends the pipe only when it is asked to: one reads while one asks.
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.append(read_all(descriptor)))
        reader.start()
        finished = self.call("FinishPipe", reply.pipe)
        reader.join()
        return reply.value, read[0], finished


@contextmanager
def proxy(client: Client, *arguments: str) -> Iterator[tuple[Proxy, subprocess.Popen[str]]]:
    """Start ``client`` as a proxy; it is killed if it still runs when the block ends."""
    ours, theirs = pair()
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


def pair() -> tuple[socket.socket, socket.socket]:
    """Two sockets that are connected; nobody waits for ever at the first."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(30)
    return ours, theirs


def read_all(descriptor: int) -> bytes:
    """All that a pipe has to say; it is closed then."""
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()
