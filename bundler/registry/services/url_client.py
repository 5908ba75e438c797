"""Client of the URLs in the descriptors of foreign layers.

The author of an image chooses these URLs, so they are untrusted. Requests contain no credentials
and no client certificate. Only HTTPS and public addresses are allowed, unless the registry of the
image is itself private and without TLS. Each redirect is checked in the same way, and so is the
address of each connection, because a name may resolve to a different address each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import NotFoundError, RefusedRequestError, RegistryError
from bundler.registry.auth.origin import (
    AddressScope,
    Origin,
    find_scope,
    redact,
    resolve_location,
)
from bundler.registry.exchange.http_client import HttpClient
from bundler.registry.exchange.request import RequestSpec

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.config.registry_access import RegistryAccess
    from bundler.events import Emit
    from bundler.registry.exchange.response import Response

_MAX_REDIRECTS = 5
_HINT = "--foreign-layers leave exports the image without this layer"


class UrlClient:
    """Client of untrusted URLs; thread-safe.

    ``access`` contains the proxies, the limits and the certificate authorities. ``registry`` is the
    origin of the registry that sent the URLs; None: they are from a file.
    """

    def __init__(
        self,
        access: RegistryAccess,
        registry: Origin | None,
        *,
        cancellation: Cancellation,
        emit: Emit,
    ) -> None:
        self._emit = emit
        self._is_private_site = (
            registry is not None
            and registry.scheme == "http"
            and find_scope(registry.host, look_up_hosts=access.proxy is None) == "private"
        )
        self._client = HttpClient(
            access,
            cancellation,
            lambda address: self._check_scope(find_scope(address, look_up_hosts=False), address),
        )
        cancellation.on_request(self._client.abort)

    def get(self, url: str, *, subject: str, offset: int = 0) -> Response:
        """Request the bytes at ``url`` from ``offset`` on; the caller closes the response.

        Raises:
            NotFoundError: the server has no such content.
            RefusedRequestError: the URL is not allowed.
            RegistryError: the request failed.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        spec = RequestSpec("GET", subject, headers=headers)
        return self._client.retry(spec, self._emit, lambda: self._follow(spec, url))

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def _follow(self, spec: RequestSpec, url: str) -> Response:
        for _ in range(_MAX_REDIRECTS + 1):
            origin = Origin.of(url)
            if origin.scheme != "https" and not self._is_private_site:
                raise RefusedRequestError(
                    f"{origin}: refused to download a foreign layer without TLS", hint=_HINT
                )
            # Behind a proxy, which resolves names itself, this machine often cannot resolve them.
            look_up_hosts = self._client.find_proxy(str(origin)) is None
            self._check_scope(find_scope(origin.host, look_up_hosts=look_up_hosts), str(origin))
            response = self._client.send(spec, url, {}, own=False)
            if (location := response.redirect) is not None:
                response.close()
                url = resolve_location(url, location)
                continue
            if response.status in (200, 206):
                return response
            with response:
                subject, status, address = spec.subject, response.status, redact(response.url)
                if status in (404, 410):
                    raise NotFoundError(f"{subject}: not found at {address}", hint=_HINT)
                temporary = status == 429 or status >= 500
                kind = RegistryError if temporary else RefusedRequestError
                raise kind(
                    f"{subject}: HTTP status {status} from {address}",
                    status=status,
                    temporary=temporary,
                    hint=None if temporary else _HINT,
                )
        raise RefusedRequestError(
            f"{spec.subject}: more than {_MAX_REDIRECTS} redirects from {redact(url)}"
        )

    def _check_scope(self, scope: AddressScope, subject: str) -> None:
        if scope == "forbidden" or (scope == "private" and not self._is_private_site):
            raise RefusedRequestError(
                f"{subject}: refused to download a foreign layer from a {scope} address",
                hint=_HINT,
            )
