"""Base of the fake servers: a server of the standard library that runs in a thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from socketserver import BaseServer


class FakeServer:
    """Runs ``_server`` from ``start`` to ``stop``, or while it is entered."""

    _server: BaseServer

    def start(self) -> None:
        """Answer requests in a thread."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """Stop the server, and close its socket."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
