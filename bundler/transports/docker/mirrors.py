"""A repository and its mirrors, which are queried in order until one of them answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from bundler.errors import MalformedError, NotFoundError, RegistryError, UnsupportedError
from bundler.events import Notice
from bundler.transports.docker.session_pool import acquire_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from bundler.config.registry_access import Endpoint
    from bundler.oci.reference import ImageReference
    from bundler.ports import OpenOptions
    from bundler.registry.repository import Repository

# Failures after which the next endpoint is queried.
_FAILURES = (NotFoundError, RegistryError, UnsupportedError, MalformedError)

T = TypeVar("T")


def open_repository(
    endpoint: Endpoint, options: OpenOptions, stack: ExitStack, *, writable: bool = False
) -> Repository:
    """Open the repository of ``endpoint``, in a session that ``stack`` releases."""
    from bundler.registry.repository import Repository  # noqa: PLC0415 - loads requests

    access = options.settings.get_access(
        endpoint.host,
        endpoint.path,
        options.overrides.get(endpoint.host),
        insecure=endpoint.insecure,
    )
    session = stack.enter_context(acquire_session(access, options))
    return Repository(session, endpoint.path, writable=writable)


@dataclass(frozen=True, slots=True)
class MirrorEndpoint:
    """The repository itself, or a mirror of it."""

    repository: Repository
    is_mirror: bool


class Mirrors:
    """The endpoints that serve an image: its mirrors in order, then the registry itself.

    Thread-safe.

    Raises:
        ConfigError: the registry is blocked, or the configuration of the access is invalid.
    """

    def __init__(self, image: ImageReference, options: OpenOptions, stack: ExitStack) -> None:
        self._endpoints = [
            MirrorEndpoint(open_repository(endpoint, options, stack), endpoint.is_mirror)
            for endpoint in options.settings.list_endpoints(image)
        ]
        self.primary = open_repository(options.settings.get_primary_endpoint(image), options, stack)
        """The repository in the registry itself, which is queried for tags and mounts."""
        self._emit = options.emit
        self._served_by: MirrorEndpoint | None = None

    @property
    def served_by(self) -> str | None:
        """The mirror that answered last, as ``host/path``; None: the registry itself."""
        endpoint = self._served_by
        return endpoint.repository.name if endpoint is not None and endpoint.is_mirror else None

    def query(self, request: Callable[[Repository], T]) -> T:
        """Return the result of the first endpoint that answers ``request``.

        If all fail, the error of the last one is raised: the registry itself. A mirror that cannot
        be reached is not queried again.
        """
        endpoints = list(self._endpoints)
        for endpoint in endpoints[:-1]:
            try:
                result = request(endpoint.repository)
            except _FAILURES as error:
                if isinstance(error, RegistryError) and endpoint in self._endpoints:
                    self._endpoints = [item for item in self._endpoints if item is not endpoint]
                    name = endpoint.repository.name
                    self._emit(Notice(f"mirror {name} is left out: {error}"))
            else:
                self._set_served_by(endpoint)
                return result
        result = request(endpoints[-1].repository)
        self._set_served_by(endpoints[-1])
        return result

    def query_list(self, request: Callable[[Repository], list[T]]) -> list[T]:
        """Return the first list that is not empty, because a mirror may be incomplete."""
        endpoints = list(self._endpoints)
        found: list[T] = []
        for endpoint in endpoints:
            try:
                found = request(endpoint.repository)
            except _FAILURES:
                if endpoint is endpoints[-1]:
                    raise
            if found:
                break
        return found

    def _set_served_by(self, endpoint: MirrorEndpoint) -> None:
        if self._served_by is not endpoint:
            self._served_by = endpoint
            if endpoint.is_mirror:
                name = endpoint.repository.name
                self._emit(Notice(f"{self.primary.name}: read from mirror {name}"))
