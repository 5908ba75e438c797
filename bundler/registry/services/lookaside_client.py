"""Client of lookaside servers: web servers with signatures, whose URLs the user configured.

A server may have any address, but redirects are followed only as far as the rules for redirects of
a registry allow. No credentials of the registry are sent; those in the URL are sent to its origin
only.
"""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from bundler.errors import RefusedRequestError, RegistryError
from bundler.registry import refusals
from bundler.registry.auth.host_rules import HostRules
from bundler.registry.auth.origin import Origin, redact
from bundler.registry.exchange.http_client import HttpClient
from bundler.registry.exchange.request import RequestSpec

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.config.registry_access import RegistryAccess
    from bundler.events import Emit
    from bundler.registry.exchange.response import Response
    from bundler.silence import Silence

_MAX_REDIRECTS = 5


class LookasideClient:
    """Client of the lookaside servers for the images of one registry; thread-safe.

    ``access`` is that of the registry: its certificate authorities and proxies are used for the
    servers too, and the certificates of servers in the same site are not verified if that of the
    registry is not.
    """

    def __init__(self, access: RegistryAccess, cancellation: Cancellation, emit: Emit) -> None:
        self._access = access
        self._emit = emit
        self._rules = HostRules(
            access.host,
            trusts_all=access.trusts_named_hosts,
            look_up_hosts=access.proxy is None,
        )
        self._client = HttpClient(access, cancellation, other_role="lookaside")
        cancellation.on_request(self._client.abort)

    def fetch(self, url: str, limit: int, silence: Silence) -> bytes | None:
        """Return the content at ``url``; None if it does not exist.

        Args:
            url: the absolute URL, which may contain credentials.
            limit: the maximum size in bytes.
            silence: the silence of the operation that needs the content.

        Raises:
            LimitError: the content is larger.
            RegistryError: the request failed, or was redirected to a host that is not allowed.
        """
        headers: dict[str, str] = {}
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
        if at:
            name, _, password = user.partition(":")
            token = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
            headers["Authorization"] = f"Basic {token}"
            url = urlunsplit(parts._replace(netloc=host))
        subject = redact(url)
        spec = RequestSpec("GET", subject, silence=silence)

        def read() -> bytes | None:
            with self._follow(spec, url, headers) as response:
                status = response.status
                if status == HTTPStatus.OK:
                    return response.read(limit, subject)
                if status == HTTPStatus.NOT_FOUND:
                    return None
                is_limited = status == HTTPStatus.TOO_MANY_REQUESTS
                temporary = is_limited or status in refusals.UNAVAILABLE
                kind = RegistryError if temporary else RefusedRequestError
                raise kind(f"{subject}: HTTP status {status}", status=status, temporary=temporary)

        return self._client.retry(spec, self._emit, read)

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def _follow(self, spec: RequestSpec, url: str, credentials: dict[str, str]) -> Response:
        origin = Origin.of(url)
        registry = Origin.of(f"https://{self._access.address}/")
        for _ in range(_MAX_REDIRECTS + 1):
            target = Origin.of(url)
            self._rules.check_target(origin, target)
            verify = self._access.tls.verify or not self._rules.belongs(registry, target)
            sent = credentials if target == origin else {}
            response = self._client.send(spec, url, sent, own=False, verify=verify)
            if (location := response.redirect) is None:
                return response
            response.close()
            url = self._rules.resolve_location(url, location)
        raise RefusedRequestError(f"{spec.subject}: more than {_MAX_REDIRECTS} redirects")
