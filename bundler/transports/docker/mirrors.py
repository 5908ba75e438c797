"""The repositories of an image: mirrors, which are queried first, and the registry itself.

Within a run, all repositories of a registry share a session, and thus its tokens, connections and
rate limits.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from bundler.errors import MalformedError, NotFoundError, RegistryError, UnsupportedError
from bundler.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

    from bundler.config.registry_access import Endpoint, RegistryAccess
    from bundler.oci.reference import ImageReference
    from bundler.ports import OpenOptions
    from bundler.registry.repository import Repository
    from bundler.registry.session import Session

# Failures after which the next repository is queried.
_FAILURES = (NotFoundError, RegistryError, UnsupportedError, MalformedError)

T = TypeVar("T")

_lock = threading.RLock()  # the garbage collector may release a session while another is opened
_sessions: dict[tuple[RegistryAccess, int], tuple[Session, int]] = {}
"""Each session with its reference count, by access and cancellation of the run."""


class Mirrors:
    """The repositories that serve an image: its mirrors in order, then the registry itself.

    Thread-safe.

    Raises:
        ConfigError: the registry is blocked, or the configuration of the access is invalid.
    """

    def __init__(self, image: ImageReference, options: OpenOptions, stack: ExitStack) -> None:
        *self._mirrors, self._origin = [
            open_repository(endpoint, options, stack)
            for endpoint in options.load_settings().list_endpoints(image)
        ]
        self.primary = open_repository(
            options.load_settings().get_primary_endpoint(image), options, stack
        )
        """The repository in the registry itself, which is queried for tags and mounts."""
        self._emit = options.emit
        self._last: Repository | None = None
        """The mirror that served the last request; None: the registry itself."""

    @property
    def current(self) -> Repository:
        """The repository that served the last request."""
        return self._last if self._last is not None else self._origin

    @property
    def served_by(self) -> str | None:
        """The mirror, or the rewritten location, that served the last request, as ``host/path``.

        None: the registry itself.
        """
        return None if self.current.name == self.primary.name else self.current.name

    def query(self, request: Callable[[Repository], T]) -> T:
        """Return the result of the first repository that serves ``request``.

        If all fail, the error of the registry itself is raised. A mirror that cannot be reached is
        not queried again.
        """
        for mirror in list(self._mirrors):
            try:
                result = request(mirror)
            except _FAILURES as error:
                if isinstance(error, RegistryError) and mirror in self._mirrors:
                    self._mirrors = [item for item in self._mirrors if item is not mirror]
                    self._emit(Notice(f"mirror {mirror.name}: skipped: {error}"))
            else:
                if self._last is not mirror:
                    self._last = mirror
                    self._emit(Notice(f"{self.primary.name}: read from mirror {mirror.name}"))
                return result
        result = request(self._origin)
        self._last = None
        return result

    def query_list(self, request: Callable[[Repository], list[T]]) -> list[T]:
        """Return the first non-empty list, because a mirror may be incomplete."""
        for mirror in list(self._mirrors):
            with suppress(*_FAILURES):
                if found := request(mirror):
                    return found
        return request(self._origin)


def open_repository(
    endpoint: Endpoint, options: OpenOptions, stack: ExitStack, *, writable: bool = False
) -> Repository:
    """Open the repository of ``endpoint``, in a session that ``stack`` releases."""
    from bundler.registry.repository import Repository  # noqa: PLC0415 - imports requests

    access = options.load_settings().get_access(
        endpoint.host,
        endpoint.path,
        options.overrides.get(endpoint.host),
        insecure=endpoint.insecure,
    )
    session = stack.enter_context(_acquire_session(access, options))
    return Repository(session, endpoint.path, writable=writable)


@contextmanager
def _acquire_session(access: RegistryAccess, options: OpenOptions) -> Iterator[Session]:
    """Yield the run's session for ``access``; the last user to leave the block closes it."""
    from bundler.registry.session import Session  # noqa: PLC0415 - imports requests

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
