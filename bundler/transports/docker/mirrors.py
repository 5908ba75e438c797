"""A repository and its mirrors, asked one after the other until one of them has an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from bundler.errors import MalformedError, NotFoundError, RegistryError, UnsupportedError
from bundler.events import Notice
from bundler.transports.docker import session_pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from bundler.config.registry_access import Endpoint
    from bundler.oci.reference import ImageReference
    from bundler.ports import OpenOptions
    from bundler.registry.repository import Repository

# What another place may do better.
_ELSEWHERE = (NotFoundError, RegistryError, UnsupportedError, MalformedError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MirrorEndpoint:
    """A repository, or a mirror of it."""

    repository: Repository
    is_mirror: bool

    @classmethod
    def open(
        cls, endpoint: Endpoint, options: OpenOptions, opened: ExitStack, *, writable: bool = False
    ) -> MirrorEndpoint:
        """Reach ``endpoint``, in a session that ``opened`` lets go of in the end."""
        from bundler.registry.repository import Repository  # noqa: PLC0415 - loads requests

        access = options.settings.access(
            endpoint.host,
            endpoint.path,
            options.overrides.get(endpoint.host),
            insecure=endpoint.insecure,
        )
        session = opened.enter_context(session_pool.acquire_session(access, options))
        return cls(Repository(session, endpoint.path, writable=writable), endpoint.is_mirror)

    @property
    def name(self) -> str:
        """For messages."""
        return f"mirror {self.repository.name}" if self.is_mirror else self.repository.name


class Mirrors:
    """Where an image is pulled from: its mirrors in order, then the registry itself.

    For any number of threads.

    Raises:
        ConfigError: the registry is blocked, or a file that says how to reach it is not in order.
    """

    def __init__(self, image: ImageReference, options: OpenOptions, opened: ExitStack) -> None:
        endpoints = options.settings.endpoints(image)
        self._places = [MirrorEndpoint.open(endpoint, options, opened) for endpoint in endpoints]
        self.primary = MirrorEndpoint.open(
            options.settings.primary(image), options, opened
        ).repository
        """Mirrors hold what is pulled; lists and mounts concern the registry itself."""
        self._emit = options.emit
        self._served_by: MirrorEndpoint | None = None

    @property
    def served_by(self) -> str | None:
        """The mirror that was used last, as ``host/path``; None: the registry itself."""
        place = self._served_by
        return place.repository.name if place is not None and place.is_mirror else None

    def query(self, question: Callable[[Repository], T]) -> T:
        """The first answer that is no failure; the last place's failure is the answer too."""
        places = list(self._places)
        for place in places[:-1]:
            try:
                answer = question(place.repository)
            except _ELSEWHERE as error:
                self._pass_over(place, error)
            else:
                self._used(place)
                return answer
        answer = question(places[-1].repository)
        self._used(places[-1])
        return answer

    def query_list(self, question: Callable[[Repository], list[T]]) -> list[T]:
        """The first list that is not empty: a mirror that knows of nothing may just not tell."""
        places = list(self._places)
        found: list[T] = []
        for place in places:
            try:
                found = question(place.repository)
            except _ELSEWHERE:
                if place is places[-1]:
                    raise
            if found:
                break
        return found

    def _pass_over(self, place: MirrorEndpoint, error: Exception) -> None:
        """A mirror may lack something; one that cannot be reached is not asked again."""
        if isinstance(error, RegistryError) and place in self._places:
            self._places = [one for one in self._places if one is not place]
            self._emit(Notice(f"mirror {place.repository.name} is left out: {error}"))

    def _used(self, place: MirrorEndpoint) -> None:
        if self._served_by is not place:
            self._served_by = place
            if place.is_mirror:
                self._emit(Notice(f"{self.primary.name}: read from {place.name}"))
