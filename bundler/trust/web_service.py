"""The client of web services that ``trust`` expects: Fulcio, Rekor, and identity providers.

The front end passes a function that sends a request, so that ``trust`` does not depend on a client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reply(Protocol):
    """A response of a service."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def location(self) -> str:
        """The ``Location`` header; empty if it is absent."""

    @property
    def body(self) -> bytes:
        """The content."""


class Send(Protocol):
    """A function that sends a request to a service; it retries temporary failures."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        subject: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Return any response. A body is JSON, unless ``headers`` state another type.

        Raises:
            RegistryError: there is no response.
        """
