"""Requests as values: the body protocol, and what the session needs to send a request again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

READ_TIMEOUT = 60.0
COMMIT_TIMEOUT = 600.0
"""For responses that a registry sends only after it has moved or hashed the uploaded content."""

SLICE_SIZE = 256 * 1024
"""Size of the pieces of a body. One piece must be sent within the connect timeout."""

Scopes = tuple[str, ...]
"""The access that a request needs, such as ``repository:library/app:pull,push``."""


class Body(Protocol):
    """The body of a request."""

    @property
    def size(self) -> int | None:
        """The size in bytes; None if it is unknown before the end."""
        ...

    @property
    def spent(self) -> bool:
        """Whether the body cannot be sent again."""
        ...

    def chunks(self) -> Iterable[memoryview]:
        """Yield the content in slices; a slice is valid until the next one."""
        ...


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body in memory, which can be sent any number of times."""

    data: bytes = field(repr=False)
    spent = False

    @property
    def size(self) -> int:
        """The size in bytes."""
        return len(self.data)

    def chunks(self) -> Iterable[memoryview]:
        """Yield the content in slices."""
        view = memoryview(self.data)
        for start in range(0, len(view), SLICE_SIZE):
            yield view[start : start + SLICE_SIZE]


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """One request, independent of redirects, authentication and retries."""

    method: str
    subject: str
    """The requested content, for messages."""
    scopes: Scopes = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    allow: Collection[int] = ()
    """Statuses that are not errors, in addition to 2xx."""
    read_timeout: float = READ_TIMEOUT
    """Seconds that the server may be silent."""
    once: bool = False
    """Whether the request is not repeated after a failure."""

    @property
    def is_spent(self) -> bool:
        """Whether the request cannot be sent again, because its body cannot."""
        return self.body is not None and self.body.spent
