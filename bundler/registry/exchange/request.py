"""Requests and request bodies, as values that a retry can resend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypedDict

from bundler.silence import Silence, find_silence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

CHUNK_SIZE = 64 * 1024
"""Maximum size in bytes of a chunk of a body, after which progress is recorded."""

Scopes = tuple[str, ...]
"""The token scopes that a request needs, such as ``repository:library/app:pull,push``."""


class Body(Protocol):
    """The body of a request."""

    @property
    def size(self) -> int | None:
        """The size in bytes; None if it is unknown until the body has been sent."""

    @property
    def spent(self) -> bool:
        """Whether the body was sent and cannot be resent."""

    def chunks(self) -> Iterable[memoryview]:
        """Yield the content in chunks; each is valid until the next is requested."""


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body in memory, which can be resent."""

    data: bytes = field(repr=False)
    spent = False

    @property
    def size(self) -> int:
        """The size in bytes."""
        return len(self.data)

    def chunks(self) -> Iterable[memoryview]:
        """Yield the content in chunks."""
        view = memoryview(self.data)
        for start in range(0, len(view), CHUNK_SIZE):
            yield view[start : start + CHUNK_SIZE]


class RequestOptions(TypedDict, total=False):
    """Optional fields of ``RequestSpec``, as keyword arguments."""

    scopes: Scopes
    headers: Mapping[str, str]
    body: Body
    allowed_statuses: Collection[int]
    response_timeout: float
    no_retry: bool
    silence: Silence


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """A request, independent of redirects, authentication and retries."""

    method: str
    subject: str
    """The requested content, for messages."""
    scopes: Scopes = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    allowed_statuses: Collection[int] = ()
    """Statuses that are accepted in addition to 2xx."""
    response_timeout: float | None = None
    """Maximum silence before the response in seconds; None: the setting for the registry."""
    no_retry: bool = False
    """Whether retries are disabled for this request."""
    silence: Silence = field(default_factory=find_silence, compare=False)
    """The silence of the operation, which ``responseTimeout`` limits. It is shared by copies."""

    @property
    def is_spent(self) -> bool:
        """Whether the request cannot be resent, because its body is spent."""
        return self.body is not None and self.body.spent
