"""One flag that stops all work soon, looked at by every loop that moves bytes or waits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bundler.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable


class Cancellation:
    """A flag shared by all threads of one run; safe to set from a signal handler.

    A child stops when its parent does, and can be stopped without it: one failed run within a
    program that goes on.
    """

    def __init__(self, parent: Cancellation | None = None) -> None:
        self._event = threading.Event()
        self._signal_number = 2
        self._children: list[Cancellation] = []
        self._callbacks: list[Callable[[], None]] = []
        if parent is not None:
            parent.adopt(self)

    @property
    def requested(self) -> bool:
        """Whether work has to stop."""
        return self._event.is_set()

    def request(self, signal_number: int = 2) -> None:
        """Ask all work to stop; ``signal_number`` becomes part of the exit status."""
        self._signal_number = signal_number
        self._event.set()
        for child in self._children:
            child.request(signal_number)
        for callback in list(self._callbacks):
            callback()

    def check(self) -> None:
        """Do nothing, or raise CancelledError."""
        if self._event.is_set():
            raise CancelledError(signal_number=self._signal_number)

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``, or raise CancelledError as soon as work has to stop."""
        self._event.wait(seconds)
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
