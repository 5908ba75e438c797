"""Ctrl-C and SIGTERM: the work is asked to stop, and the program ends within two seconds.

A thread waits for the signals, because the main thread may be held by a lock or inside C code
when one arrives. The first signal requests the cancellation. If the work has not wound down
after a grace time (some thread hangs in a read), or at the second signal, the process ends.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bundler.cancel import Cancellation
from bundler.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.errors import BundlerError

GRACE = 1.5
"""Seconds between the first signal and the end of the process."""

_SPEECH = 0.4  # seconds to say why, should the terminal not take it
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible(
    last_words: Callable[[], None], report_error: Callable[[BundlerError], object]
) -> Iterator[Cancellation]:
    """A cancellation that SIGINT, SIGTERM and SIGHUP request; only from the main thread.

    ``last_words`` tells what was done and what was not, if the process has to be ended without
    the main thread. A signal that was ignored before, as under nohup, stays ignored.
    """
    cancellation = Cancellation()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(reader, cancellation, ended, last_words, report_error), daemon=True
    )
    watcher.start()
    former_writer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    former = {
        number: signal.signal(number, _nothing)
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield cancellation
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
    last_words: Callable[[], None],
    report_error: Callable[[BundlerError], object],
) -> None:
    """Wait for a signal, then for the end; the pipe's closing means that there was none."""
    number = _next_signal(reader)
    if number is None:
        return
    status = 128 + number
    _exit_after(GRACE + _SPEECH, status)
    cancellation.request(number)
    select.select([reader], [], [], GRACE)
    _exit_after(_SPEECH, status)
    if not ended.is_set():
        last_words()
        report_error(CancelledError(signal_number=number))
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _next_signal(reader: int) -> int | None:
    while received := os.read(reader, 1):
        if received[0] in _SIGNALS:
            return received[0]
    return None


def _exit_after(seconds: float, status: int) -> None:
    """Whatever hangs until then, even a terminal that takes no more text."""
    timer = threading.Timer(seconds, os._exit, [status])
    timer.daemon = True
    timer.start()


def _nothing(number: int, frame: object) -> None:
    """Python writes to the wake-up pipe only for signals that have a handler."""
