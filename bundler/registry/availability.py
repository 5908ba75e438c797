"""Availability of hosts, recorded from the requests of all sessions of the process.

A host that has never answered is probably misspelled, so its absence is reported immediately. A
host that has answered before is probably being restarted, so requests are retried for a while.
"""

from __future__ import annotations

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

    def record_failure(
        self, origin: Origin, error: RegistryError, patience: float, *, connected: bool
    ) -> None:
        """Record a temporary failure, and set how long ``error`` may be retried.

        ``patience`` is the setting for the registry. ``connected`` is False if no connection to
        the host was established.
        """
        host, now = (origin.host, origin.port), time.monotonic()
        with self._lock:
            outage = self._outages.setdefault(host, Outage(now))
            if connected:
                self._answered.add(host)
            unknown = host not in self._answered
        error.outage = outage
        if unknown or now - outage.since > patience * _MARGIN:
            patience = 0.0
        error.patience = min(patience, _PATIENCE_ON_500) if error.status == 500 else patience


HOSTS = HostAvailability()
"""The hosts of all sessions, because a run opens several sessions with one host in turn."""
