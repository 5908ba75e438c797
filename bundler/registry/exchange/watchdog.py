"""Deadlines of exchanges: a thread shuts down the sockets of those that make no progress.

A socket timeout limits a single system call, so a server that occasionally sends a byte evades it.
Here, only an established connection, a complete response head, and bytes of a body count as
progress. Interim responses, trailers and incomplete heads do not count.
"""

from __future__ import annotations

import math
import socket
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from bundler.config.registry_access import (
    DEFAULT_MIN_BYTES_PER_SECOND,
    DEFAULT_RESPONSE_TIMEOUT,
    DEFAULT_STALL_TIMEOUT,
)
from bundler.silence import Silence, find_silence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bundler.config.registry_access import RegistryLimits

HANDSHAKE_TIMEOUT = 10.0
TUNNEL_TIMEOUT = 60.0
"""Limit in seconds of a handshake through a proxy, which has to connect first."""

_LONGEST_INTERVAL = 0.5  # seconds


class Phase(Enum):
    """A part of an exchange, with a limit of its own."""

    HANDSHAKE = "handshake"
    SENDING = "sending"
    RESPONSE = "response"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """Limits of one exchange; times in seconds."""

    operation: float = DEFAULT_RESPONSE_TIMEOUT
    """The limit of the silence of the whole operation, in every phase."""
    response: float = DEFAULT_RESPONSE_TIMEOUT
    stall: float = DEFAULT_STALL_TIMEOUT
    handshake: float = HANDSHAKE_TIMEOUT
    min_bytes_per_second: float = DEFAULT_MIN_BYTES_PER_SECOND
    counts_waits: bool = False
    """Whether waits before retries count as silence, because the user allows no longer outage."""

    @classmethod
    def create(cls, limits: RegistryLimits) -> ExchangeLimits:
        """Return the limits for a registry."""
        rate = limits.min_bytes_per_second
        response = limits.response_timeout or DEFAULT_RESPONSE_TIMEOUT
        stall = limits.stall_timeout or DEFAULT_STALL_TIMEOUT
        return cls(
            operation=max(response, 2 * stall),  # a transfer that stalled can be resumed
            response=response,
            stall=stall,
            min_bytes_per_second=DEFAULT_MIN_BYTES_PER_SECOND if rate is None else rate,
            counts_waits=limits.patience is None,
        )

    def get(self, phase: Phase) -> float:
        """Return the limit of ``phase``."""
        match phase:
            case Phase.HANDSHAKE:
                return self.handshake
            case Phase.RESPONSE:
                return self.response
            case _:
                return self.stall


class Exchange:
    """The progress of one request and its response.

    Used by one thread and by the watchdog. Only the time that the thread waits for the server
    counts. ``silence`` is that of the operation; None: that of the thread's current one.
    """

    def __init__(self, limits: ExchangeLimits, silence: Silence | None = None) -> None:
        self.limits = limits
        self._total = find_silence() if silence is None else silence
        self.phase = Phase.SENDING
        self.begun = time.monotonic()
        self.reached = False
        """Whether the server, or the proxy to it, accepted a connection."""
        self.connected = False
        """Whether the connection was established, including TLS."""
        self.expired: tuple[Phase, float] | None = None
        """The limit that was exceeded, and its phase; the connection is then shut down."""
        self._limit = limits.stall
        self._socket: socket.socket | None = None
        self._waiting_since: float | None = None
        self._silence = 0.0
        self._lock = threading.Lock()
        _WATCHDOG.add(self)

    def attach(self, connection: socket.socket) -> None:
        """Set the socket to shut down."""
        with self._lock:
            self._socket = connection

    def enter(self, phase: Phase, limit: float | None = None) -> None:
        """Start to wait for the server, in a new phase; ``limit`` replaces that of the phase."""
        with self._lock:
            self._count_silence()
            self.phase = phase
            self._silence = 0.0
            self._limit = self.limits.get(phase) if limit is None else limit
            self._waiting_since = time.monotonic()

    def pause(self) -> None:
        """Stop counting the time, because the thread no longer waits for the server."""
        with self._lock:
            self._count_silence()
            self._waiting_since = None

    def resume(self) -> None:
        """Wait for the server again, in the same phase."""
        with self._lock:
            self._waiting_since = time.monotonic()

    def advance(self, count: int) -> None:
        """Record ``count`` bytes of a body, which make up for silence at the minimum rate."""
        rate = self.limits.min_bytes_per_second
        with self._lock:
            self._count_silence()
            if count:
                gained = count / rate if rate else math.inf
                self._silence = max(0.0, self._silence - gained)
                self._total.seconds = max(0.0, self._total.seconds - gained)

    def watch_sending(self, chunks: Iterable[memoryview]) -> Iterator[memoryview]:
        """Yield ``chunks``, and record each as sent. The time to read them does not count."""
        self.pause()
        for chunk in chunks:
            self.resume()
            yield chunk
            self.advance(len(chunk))
            self.pause()
        self.resume()

    def finish(self) -> None:
        """End the exchange; the socket may be used by another one."""
        _WATCHDOG.remove(self)
        with self._lock:
            self._count_silence()
            self._socket = self._waiting_since = None

    def get_limit(self) -> float:
        """Return the limit of the current phase."""
        return self._limit

    @property
    def has_ended_operation(self) -> bool:
        """Whether the limit of a response or of the whole operation was exceeded."""
        return self.expired is not None and self.expired[0] is Phase.RESPONSE

    def check(self, now: float) -> None:
        """Shut down the socket if a limit is exceeded. The watchdog calls it."""
        with self._lock:
            since = self._waiting_since
            if since is None:
                return
            total = self._total.seconds + now - since
            if self.limits.counts_waits:
                total += self._total.waited
            if total > self.limits.operation:
                self.expired = (Phase.RESPONSE, self.limits.operation)
            elif self._silence + now - since > self._limit:
                self.expired = (self.phase, self._limit)
            else:
                return
            if self._socket is not None:
                shut_down(self._socket)

    def _count_silence(self) -> None:
        """Add the time since the last call, if the thread waits for the server."""
        if self._waiting_since is not None:
            now = time.monotonic()
            passed, self._waiting_since = now - self._waiting_since, now
            self._silence += passed
            self._total.seconds += passed


class Watchdog:
    """The thread that checks all exchanges of the process."""

    def __init__(self) -> None:
        self._exchanges = weakref.WeakSet[Exchange]()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, exchange: Exchange) -> None:
        """Check ``exchange`` until it is removed."""
        with self._changed:
            self._exchanges.add(exchange)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, daemon=True, name="watchdog")
                self._thread.start()
            self._changed.notify()

    def remove(self, exchange: Exchange) -> None:
        """Stop checking ``exchange``."""
        with self._changed:
            self._exchanges.discard(exchange)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._exchanges:
                    self._changed.wait()
            time.sleep(self._check_all())

    def _check_all(self) -> float:
        """Check all exchanges; return the number of seconds until the next check."""
        with self._changed:
            exchanges = list(self._exchanges)
        interval = _LONGEST_INTERVAL
        for exchange in exchanges:
            exchange.check(time.monotonic())
            interval = min(interval, exchange.get_limit() / 10)
        return interval


_WATCHDOG = Watchdog()


def shut_down(connection: socket.socket) -> None:
    """Shut down a connection, so that a thread that is blocked on it fails immediately."""
    # For TLS inside TLS, the attribute is the outer connection.
    connection = getattr(connection, "socket", connection)
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
