"""SIGINT, SIGTERM and SIGHUP: cancel the command, and end the process within two seconds.

A thread waits for the signals, because the main thread may be blocked by a lock or in C code when
one arrives. The first signal requests cancellation. If the command has not ended after a grace
period (a thread may hang in a read), or at the second signal, the process ends.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bundler.errors import BundlerError, CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.cancel import Cancellation


GRACE_PERIOD = 1.5
"""Seconds between the first signal and the end of the process."""

_OUTPUT_TIMEOUT = 0.4  # seconds for the terminal to accept the final message
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handle_signals(
    cancellation: Cancellation,
    show_interruption: Callable[[], None],
    report_error: Callable[[BundlerError], object],
) -> Iterator[None]:
    """Request ``cancellation`` at a signal during the block; only for the main thread.

    A signal that is already ignored, as under nohup, stays ignored. If the process has to end
    without the main thread, ``show_interruption`` and then ``report_error`` are called.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch,
        args=(reader, cancellation, ended, show_interruption, report_error),
        daemon=True,
    )
    watcher.start()
    # Python writes only the signals with a handler to the pipe.
    former_writer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    former = {
        number: signal.signal(number, lambda *_: None)
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        ended.set()
        if not cancellation.requested:
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(former_writer)
            os.close(writer)
            watcher.join()
            os.close(reader)


def _watch(
    reader: int,
    cancellation: Cancellation,
    ended: threading.Event,
    show_interruption: Callable[[], None],
    report_error: Callable[[BundlerError], object],
) -> None:
    """Wait for a signal, then for the end of the command; a closed pipe means no signal."""
    number = 0
    while number not in _SIGNALS:
        received = os.read(reader, 1)
        if not received:
            return
        number = received[0]
    status = 128 + number
    _exit_after(GRACE_PERIOD + _OUTPUT_TIMEOUT, status)
    cancellation.request(number)
    select.select([reader], [], [], GRACE_PERIOD)
    _exit_after(_OUTPUT_TIMEOUT, status)
    if not ended.is_set():
        show_interruption()
        report_error(CancelledError(signal_number=number))
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _exit_after(seconds: float, status: int) -> None:
    """End the process after a time, even if the terminal accepts no output."""
    timer = threading.Timer(seconds, os._exit, [status])
    timer.daemon = True
    timer.start()
