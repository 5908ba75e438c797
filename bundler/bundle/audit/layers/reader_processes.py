"""Processes that read layers for this program, so that parsing uses all cores.

A process gets an open file, or a pipe through which this program passes the bytes of any other
source. It returns the contents of the layer as bytes, which are checked like untrusted ones. A
process that ends without an answer is an error.
"""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from bundler.bundle.audit.layers import encoding
from bundler.bundle.audit.layers.channel import Channel
from bundler.bundle.audit.layers.reader_process import decode_error, encode_layer
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import read_chunks, write_all
from bundler.errors import BundlerError
from bundler.ports import Node

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Source

_MAIN = (
    "import sys; sys.path[:] = sys.argv[3:];"
    "from bundler.bundle.audit.layers.reader_process import main;"
    "main(int(sys.argv[1]), int(sys.argv[2]))"
)


class ReaderProcesses:
    """Processes that are started when they are needed, one for each thread that reads.

    Safe for several threads. ``close`` ends the processes, and so does a request to cancel.
    """

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._idle: SimpleQueue[_ReaderProcess] = SimpleQueue()
        self._all: list[_ReaderProcess] = []
        cancellation.on_request(self._kill)

    def read(self, source: Source, layer: Descriptor) -> bytes:
        """Read a layer as ``read_layer`` does; return its encoded contents.

        Raises:
            BundlerError: as ``read_layer``, or the process cannot be started, or ended without an
                answer.
        """
        self._cancellation.check()
        try:
            process = self._idle.get_nowait()
        except Empty:
            try:
                process = _ReaderProcess()
            except OSError as error:
                raise BundlerError(
                    f"layer {layer.digest}: no process can be started to read it: {error.strerror}",
                    hint="check the memory and the limits of this machine",
                ) from error
            self._all.append(process)
            self._cancellation.check()  # a request may have come before it was in the list
        try:
            return process.read(source, layer)
        except OSError as error:
            self._cancellation.check()
            status = process.end()
            ended = f"by signal {-status}" if status < 0 else f"with exit status {status}"
            raise BundlerError(
                f"layer {layer.digest}: the process that reads it ended {ended}",
                hint="check the memory of this machine; the layer may have caused it, too",
            ) from error
        finally:
            if process.is_idle:
                self._idle.put(process)

    def close(self) -> None:
        """End the processes."""
        self._kill()
        for process in self._all:
            process.end()
        self._all.clear()

    def _kill(self) -> None:
        for process in list(self._all):
            process.kill()


class _ReaderProcess:
    """One process. For one thread at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with ExitStack() as on_error, theirs:
            on_error.enter_context(ours)
            arguments = [str(theirs.fileno()), str(os.getpid()), *sys.path]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _MAIN, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is for this program, which then ends the process
            )
            on_error.pop_all()
        self._channel = Channel(ours)
        self.is_idle = False
        """Whether it has answered, so that it can read the next layer."""

    def read(self, source: Source, layer: Descriptor) -> bytes:
        """Let the process read a layer; return the encoded contents.

        Raises:
            OSError: the process ended.
            BundlerError: as ``read_layer``.
        """
        self.is_idle = False
        self._channel.send(b"L", encode_layer(layer))
        failure: BundlerError | None = None
        while True:
            message = self._channel.receive(encoding.MAX_SIZE)
            if message.kind == b"O":
                if failure is None:
                    failure = self._pass_stream(source, layer)
                else:  # it has read the whole layer before the source failed, and asks again
                    self._channel.send(b"N")
                continue
            self.is_idle = True
            if failure is not None:
                raise failure
            if message.kind == b"C":
                return message.data
            if message.kind == b"E":
                raise decode_error(message.data)
            text = message.data.decode(errors="replace")
            raise RuntimeError(f"in a process that reads layers:\n{text}")

    def _pass_stream(self, source: Source, layer: Descriptor) -> BundlerError | None:
        """Pass the content of the layer to the process; return the error if it cannot be read."""
        passed = False
        try:
            with source.open(Node.of(layer, "layer")) as reader:
                if isinstance(reader, RegularFile):
                    self._channel.send(b"F", os.fsencode(reader.path), fd=reader.fileno())
                    passed = True
                    return None
                try:
                    read_end, write_end = os.pipe()
                except OSError as error:
                    raise BundlerError(
                        f"layer {layer.digest}: no pipe to the process that reads it can be"
                        f" created: {error.strerror}",
                        hint="check the limits of this machine, such as ulimit -n",
                    ) from error
                with io.FileIO(write_end, "w"):
                    with io.FileIO(read_end):
                        self._channel.send(b"P", fd=read_end)
                    passed = True
                    try:
                        for chunk in read_chunks(reader):
                            write_all(write_end, chunk)
                    except BrokenPipeError:  # the process has found an error, or ended
                        pass
        except BundlerError as error:
            if not passed:
                self._channel.send(b"N")
            return error
        return None

    def kill(self) -> None:
        """Kill the process; may be called in a signal handler."""
        self._process.kill()

    def end(self) -> int:
        """Kill the process unless it has ended; return its exit status, negative for a signal."""
        self._channel.close()
        self._process.kill()
        return self._process.wait()
