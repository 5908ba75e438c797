"""Interface of a transport, which parses references and opens sources and destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from bundler.ports import Destination, OpenOptions, Reference, Source


class Transport(Protocol):
    """A transport such as ``docker:`` or ``oci:``: its references, sources and destinations."""

    def parse(self, text: str, /) -> Reference:
        """Parse the part of a reference after ``transport:``.

        Raises:
            InvalidReferenceError: ``text`` is not a valid reference of this transport.
        """

    def source(self, reference: Reference, options: OpenOptions, /) -> Source:
        """Open the source of ``reference``."""

    def destination(self, reference: Reference, options: OpenOptions, /) -> Destination:
        """Open the destination of ``reference``.

        Raises:
            UnsupportedError: the transport is read-only.
            LockedError: another process is writing to the destination.
        """


@runtime_checkable
class SharesSources(Protocol):
    """A transport where one source may read all images of a location, for several threads."""

    def find_shared_location(self, reference: Reference, /) -> str | None:
        """Return the location of ``reference`` if one source reads all of its images."""


@runtime_checkable
class FindsRegistryHost(Protocol):
    """A transport whose references name a registry."""

    def find_registry_host(self, text: str, /) -> str:
        """Return the registry's ``host[:port]`` in ``text``; raises as ``Transport.parse``."""


@runtime_checkable
class ListsRepositories(Protocol):
    """A transport whose registries may list their repositories."""

    def list_repositories(self, reference: Reference, options: OpenOptions, /) -> list[str]:
        """Return the paths of the repositories in the registry of ``reference``, unchecked.

        A registry may leave out repositories that the account must not see.

        Raises:
            NotFoundError, UnauthorizedError, DeniedError, RefusedRequestError: the registry does
                not list its repositories.
            LimitError: there are too many.
            RegistryError: the registry cannot be reached.
        """
