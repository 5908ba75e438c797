"""Availability of hosts, recorded from the requests of all sessions of the process.

A host that has never answered is probably misspelled, so its absence is reported immediately. A
host that has answered before is probably being restarted, so requests are retried for a while.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from bundler.errors import Outage

if TYPE_CHECKING:
    from bundler.errors import RegistryError
    from bundler.registry.auth.origin import Origin

_PATIENCE_ON_500 = 10.0  # seconds; an internal error is often permanent
_MARGIN = 1.2


class HostAvailability:
    """Record of the hosts that answered, and of current outages; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answered: set[tuple[str, int]] = set()
        self._outages: dict[tuple[str, int], Outage] = {}
        self._ended: dict[tuple[str, int], tuple[float, Outage]] = {}
        """The last outage of a host that has ended, and the time when it did."""

    def record_response(self, origin: Origin, begun: float) -> None:
        """Record that a host answered an exchange that began at the time ``begun``.

        It ends the outage of the host, unless the exchange began before the outage: its response
        may have been on its way, and the same outage would be announced again.
        """
        host = (origin.host, origin.port)
        with self._lock:
            self._answered.add(host)
            outage = self._outages.get(host)
            if outage is not None and begun >= outage.since:
                del self._outages[host]
                self._ended[host] = time.monotonic(), outage

    def record_failure(
        self,
        origin: Origin,
        error: RegistryError,
        patience: float,
        *,
        begun: float,
        connected: bool,
    ) -> None:
        """Record a temporary failure, and set how long ``error`` may be retried.

        ``patience`` is the setting for the registry. ``begun`` is the time when the exchange began:
        a failure from before the end of an outage belongs to it. ``connected`` is False if no
        connection to the host was established.
        """
        host, now = (origin.host, origin.port), time.monotonic()
        with self._lock:
            ended, former = self._ended.get(host, (-math.inf, Outage(now)))
            is_late = begun < ended and host not in self._outages
            outage = former if is_late else self._outages.setdefault(host, Outage(now))
            if connected:
                self._answered.add(host)
            unknown = host not in self._answered
        error.outage = outage
        if unknown or (now - outage.since > patience * _MARGIN and not is_late):
            patience = 0.0
        error.patience = min(patience, _PATIENCE_ON_500) if error.status == 500 else patience


HOSTS = HostAvailability()
"""The hosts of all sessions, because a run opens several sessions with one host in turn."""
