"""One flag that stops all work soon, looked at by every loop that moves bytes or waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bundler.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable


_LOOK = 0.1  # seconds between looks at the flag while one sleeps


class Cancellation:
    """A flag shared by all threads of one run; safe to set from a signal handler.

    It takes no lock for that: a handler may run while its own thread holds one.

    A child stops when its parent does, and can be stopped without it: one failed run within a
    program that goes on.
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
        """Whether work has to stop."""
        return self._requested

    def request(self, signal_number: int = 2) -> None:
        """Ask all work to stop; the first ``signal_number`` becomes part of the exit status."""
        if self._requested:
            return
        self._signal_number = signal_number
        self._requested = True
        for child in list(self._children):
            child.request(signal_number)
        for callback in list(self._callbacks):
            callback()

    def check(self) -> None:
        """Do nothing, or raise CancelledError."""
        if self._requested:
            raise CancelledError(signal_number=self._signal_number)

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``, or raise CancelledError as soon as work has to stop."""
        end = time.monotonic() + seconds
        self.check()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK))
            self.check()

    def on_request(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when work has to stop, to end what waits elsewhere.

        It may be called from a signal handler: it must be quick and take no locks.
        """
        self._callbacks.append(callback)
        if self.requested:
            callback()

    def adopt(self, child: Cancellation) -> None:
        """Stop ``child`` whenever this one stops."""
        self._children.append(child)
        if self.requested:
            child.request(self._signal_number)
