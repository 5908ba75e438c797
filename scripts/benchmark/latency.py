"""A registry with high latency: a relay that delays the responses of a local registry."""

from __future__ import annotations

import asyncio
import multiprocessing
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

_CHUNK = 1 << 16


@contextmanager
def run_relay(host: str, seconds: float) -> Iterator[str]:
    """Run a relay to ``host`` in a separate process; yield its ``host:port``."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_relay, args=(host, seconds, there), daemon=True)
    process.start()
    try:
        yield f"127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def _relay(host: str, seconds: float, started: Connection) -> None:
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(host, seconds, started))


async def _serve(host: str, seconds: float, started: Connection) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name, _, port = host.partition(":")
        upstream, downstream = await asyncio.open_connection(name, int(port))
        await asyncio.gather(_pass(reader, downstream, 0), _pass(upstream, writer, seconds))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=256)
    started.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Write the read data ``seconds`` later, while reading continues."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            if seconds:
                loop.call_later(seconds, writer.write, data)
            else:
                writer.write(data)
                await writer.drain()
    loop.call_later(seconds, writer.close)
