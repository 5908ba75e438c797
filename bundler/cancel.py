"""Cancellation: a flag that is checked by every loop that transfers bytes or waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bundler.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable

_CHECK_INTERVAL = 0.1  # seconds


class Cancellation:
    """A request to end a run, shared by all threads of the run.

    ``request`` may be called from a signal handler: it takes no lock, because the interrupted
    thread might hold it.

    A child is cancelled with its parent. It can also be cancelled on its own, for example when a
    run fails and the program continues.
    """

    def __init__(self, parent: Cancellation | None = None) -> None:
        self.requested = False
        """Whether cancellation is requested; only ``request`` sets it."""
        self._signal_number = 2
        self._children: list[Cancellation] = []
        self._callbacks: list[Callable[[], None]] = []
        if parent is not None:
            parent.adopt(self)

    def request(self, signal_number: int = 2) -> None:
        """Request cancellation. The ``signal_number`` of the first call sets the exit status."""
        if self.requested:
            return
        self._signal_number = signal_number
        self.requested = True
        for child in list(self._children):
            child.request(signal_number)
        for callback in list(self._callbacks):
            callback()

    def check(self) -> None:
        """Raise CancelledError if cancellation is requested."""
        if self.requested:
            raise CancelledError(signal_number=self._signal_number)

    def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds``; raise CancelledError as soon as cancellation is requested."""
        end = time.monotonic() + seconds
        self.check()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _CHECK_INTERVAL))
            self.check()

    def on_request(self, callback: Callable[[], None]) -> None:
        """Register a callback, which can wake a thread that waits without checking the flag.

        The callback may run in a signal handler, so it must be quick and must not take locks.
        """
        self._callbacks.append(callback)
        if self.requested:
            callback()

    def adopt(self, child: Cancellation) -> None:
        """Cancel ``child`` when this one is cancelled."""
        self._children.append(child)
        if self.requested:
            child.request(self._signal_number)
