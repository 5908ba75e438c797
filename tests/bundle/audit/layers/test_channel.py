"""Messages between the program and a process that reads layers."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import closing
from pathlib import Path

import pytest

from bundler.bundle.audit.layers.channel import Channel

DESCRIPTORS = Path("/proc/self/fd")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"P\0", id="head cut off"),
        pytest.param(struct.pack(">cI", b"P", 100) + b"data", id="data cut off"),
        pytest.param(struct.pack(">cI", b"P", 2_000), id="too long"),
    ],
)
def test_descriptor_of_a_damaged_message_is_closed(sent):
    ours, theirs = socket.socketpair()
    with closing(Channel(ours)) as channel, Path(os.devnull).open("rb") as passed:
        before = set(DESCRIPTORS.iterdir())
        socket.send_fds(theirs, [sent], [passed.fileno()])
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError):
            channel.receive(1_000)
        assert set(DESCRIPTORS.iterdir()) == before
    theirs.close()


def test_descriptor_belongs_to_the_receiver():
    ours, theirs = socket.socketpair()
    with (
        closing(Channel(ours)) as channel,
        closing(Channel(theirs)) as other,
        Path(__file__).open("rb") as passed,
    ):
        other.send(b"F", b"name", fd=passed.fileno())
        message = channel.receive(1_000)
        assert (message.kind, message.data) == (b"F", b"name")
        with os.fdopen(message.fd, "rb") as received:
            assert os.path.sameopenfile(received.fileno(), passed.fileno())
