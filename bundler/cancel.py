"""Cancellation: a flag that every loop that moves bytes or waits checks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bundler.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable

_CHECK_INTERVAL = 0.1  # seconds


class Cancellation:
    """A request to stop, shared by all threads of one run.

    It may be requested from a signal handler: it takes no lock, which the interrupted thread
    might hold.

    A child is cancelled with its parent, and can be cancelled alone: one run that failed in a
    program that continues.
    """

    def __init__(self, parent: Cancellation | None = None) -> None:
        self._requested = False
        self._signal_number = 2
        self._children: list[Cancellation] = []
        self._callbacks: list[Callable[[], None]] = []
        if parent is not None:
            parent.adopt(self)

    @property
    def requested(self) -> bool:
        """Whether cancellation is requested."""
        return self._requested

    def request(self, signal_number: int = 2) -> None:
        """Request cancellation; the first ``signal_number`` determines the exit status."""
        if self._requested:
            return
        self._signal_number = signal_number
        self._requested = True
        for child in list(self._children):
            child.request(signal_number)
        for callback in list(self._callbacks):
            callback()

    def check(self) -> None:
        """Raise CancelledError if cancellation is requested."""
        if self._requested:
            raise CancelledError(signal_number=self._signal_number)

    def sleep(self, seconds: float) -> None:
        """Sleep; raise CancelledError as soon as cancellation is requested."""
        end = time.monotonic() + seconds
        self.check()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _CHECK_INTERVAL))
            self.check()

    def on_request(self, callback: Callable[[], None]) -> None:
        """Register a callback that wakes a thread that waits without checking the flag.

        It may be called from a signal handler, so it must be quick and take no locks.
        """
        self._callbacks.append(callback)
        if self._requested:
            callback()

    def adopt(self, child: Cancellation) -> None:
        """Cancel ``child`` when this one is cancelled."""
        self._children.append(child)
        if self._requested:
            child.request(self._signal_number)
