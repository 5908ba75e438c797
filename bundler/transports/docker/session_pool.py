"""One session for each way to reach a registry, shared by all who use it in one run.

So tokens, connections and limits are shared as well, whatever the number of repositories.
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
_open: dict[tuple[RegistryAccess, int], tuple[Session, int]] = {}
"""Each session, and how many use it; by its access and its run's cancellation."""


@contextmanager
def acquire_session(access: RegistryAccess, options: OpenOptions) -> Iterator[Session]:
    """The session for ``access`` in the run of ``options``; the last one to leave closes it."""
    from bundler.registry.session import Session  # noqa: PLC0415 - loads requests

    key = (access, id(options.cancellation))
    with _lock:
        session, users = _open.get(key) or (
            Session(access, cancellation=options.cancellation, emit=options.emit),
            0,
        )
        _open[key] = (session, users + 1)
    try:
        yield session
    finally:
        with _lock:
            session, users = _open.pop(key)
            if users > 1:
                _open[key] = (session, users - 1)
        if users == 1:
            session.close()
