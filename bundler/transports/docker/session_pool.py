"""Pool of registry sessions, one for each ``RegistryAccess`` in a run.

All repositories of a registry thus share its tokens, connections and rate limits.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.config.registry_access import RegistryAccess
    from bundler.ports import OpenOptions
    from bundler.registry.session import Session

_lock = threading.Lock()
_sessions: dict[tuple[RegistryAccess, int], tuple[Session, int]] = {}
"""Each session and the number of its users, by its access and the run's cancellation."""


@contextmanager
def acquire_session(access: RegistryAccess, options: OpenOptions) -> Iterator[Session]:
    """Yield the run's session for ``access``; it is closed when its last user leaves the block."""
    from bundler.registry.session import Session  # noqa: PLC0415 - loads requests

    key = (access, id(options.cancellation))
    with _lock:
        session, users = _sessions.get(key) or (
            Session(access, cancellation=options.cancellation, emit=options.emit),
            0,
        )
        _sessions[key] = (session, users + 1)
    try:
        yield session
    finally:
        with _lock:
            session, users = _sessions.pop(key)
            if users > 1:
                _sessions[key] = (session, users - 1)
        if users == 1:
            session.close()
