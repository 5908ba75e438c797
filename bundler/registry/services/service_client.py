"""Client of web services whose URLs the user configured, such as a transparency log.

Redirects are not followed, because the requests may contain a token.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import RegistryError
from bundler.registry.auth.origin import Origin
from bundler.registry.exchange.http_client import HttpClient
from bundler.registry.exchange.request import BytesBody, RequestSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bundler.cancel import Cancellation
    from bundler.config.proxy_env import Scheme
    from bundler.config.registry_access import RegistryAccess
    from bundler.events import Emit

_MAX_RESPONSE = 4 * 1024 * 1024
_UNAVAILABLE = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    """A response of a service."""

    status: int
    location: str
    """The ``Location`` header; empty if it is absent."""
    body: bytes = field(repr=False)


class ServiceClient:
    """Client of any number of services; thread-safe.

    ``find_access`` returns the settings for ``host[:port]`` and a scheme.
    """

    def __init__(
        self,
        find_access: Callable[[str, Scheme], RegistryAccess],
        cancellation: Cancellation,
        emit: Emit,
    ) -> None:
        self._find_access = find_access
        self._cancellation = cancellation
        self._emit = emit
        self._clients: dict[Origin, HttpClient] = {}
        self._lock = threading.Lock()

    def send(
        self,
        method: str,
        url: str,
        *,
        subject: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> ServiceResponse:
        """Send a request with a JSON body or without one; retry temporary failures.

        Args:
            method: the HTTP method.
            url: the absolute URL.
            subject: the requested content, for messages.
            headers: headers in addition to the type of the body.
            body: the JSON document to send.

        Returns:
            Any response, including one that refuses the request.

        Raises:
            RegistryError: there is no response, or the service is not available.
            LimitError: the response is too large.
        """
        origin = Origin.of(url)
        with self._lock:
            if origin not in self._clients:
                scheme: Scheme = "http" if origin.scheme == "http" else "https"
                access = self._find_access(str(origin).partition("://")[2], scheme)
                new = HttpClient(access, self._cancellation, own_role="service")
                self._cancellation.on_request(new.abort)
                self._clients[origin] = new
            client = self._clients[origin]
        content_type = {} if body is None else {"Content-Type": "application/json"}
        spec = RequestSpec(
            method,
            subject,
            headers={"Accept": "application/json", **content_type, **(headers or {})},
            body=None if body is None else BytesBody(body),
        )

        def send() -> ServiceResponse:
            with client.send(spec, url, {}, own=True) as response:
                if response.status in _UNAVAILABLE:
                    problem = f"{subject}: HTTP status {response.status}"
                    raise RegistryError(problem, status=response.status, temporary=True)
                content = response.read(_MAX_RESPONSE, subject)
                return ServiceResponse(
                    response.status, response.headers.get("Location", ""), content
                )

        return client.retry(spec, self._emit, send)

    def close(self) -> None:
        """Close idle connections; the client remains usable."""
        with self._lock:
            for client in self._clients.values():
                client.close()
