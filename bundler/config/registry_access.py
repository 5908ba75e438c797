"""Input of the registry client as plain values: credentials, TLS, limits, proxies.

``Settings`` creates these values. The registry client itself reads no configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.config.proxy_env import Proxies

# Docker Hub is the only registry whose name is not its address. Only the name without a port is
# mapped: like other clients, airbundle uses docker.io:443 unchanged.
_ADDRESSES = {"docker.io": "registry-1.docker.io"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials for a registry; anonymous if no field but their origin is set."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    identity_token: str | None = field(default=None, repr=False)
    """An OAuth2 refresh token."""
    registry_token: str | None = field(default=None, repr=False)
    """A bearer token, sent unchanged."""
    file: str | None = field(default=None, compare=False)
    """The bundle manifest, target file or list of images that specifies them, for hints."""
    authfile: Path | None = field(default=None, compare=False)
    """The specified authfile that they are from, for hints; None: not from a specified one."""

    @property
    def anonymous(self) -> bool:
        """Whether there are no credentials."""
        return self == ANONYMOUS


ANONYMOUS = Credentials()


@dataclass(frozen=True, slots=True)
class TlsDetails:
    """Restrictions on TLS versions, cipher suites and groups. None: the default of OpenSSL."""

    origin: str = ""
    """The file that contains the restrictions, for messages."""
    min_version: str | None = None
    """``1.2`` or ``1.3``."""
    cipher_suites: tuple[str, ...] | None = None
    named_groups: tuple[str, ...] | None = None


ANY_DETAILS = TlsDetails()


@dataclass(frozen=True, slots=True)
class EmbeddedCertificates:
    """Certificates that a kubeconfig file contains or names, in PEM."""

    authorities_origin: str
    """The file that specifies the authorities, for messages."""
    client_origin: str
    """The file that specifies the client certificate, for messages."""
    authorities: bytes | None = field(default=None, repr=False)
    """The only CA certificates that are trusted; None: those of the system."""
    client: bytes | None = field(default=None, repr=False)
    """The client certificate and its unencrypted key; None: no client certificate."""


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """Verification of a registry's certificate, and the client certificate."""

    verify: bool = True
    ca_files: tuple[Path, ...] = ()
    """CA certificates that are trusted in addition to those of the system."""
    client_certificate: Path | None = None
    client_key: Path | None = None
    plain_http: bool = False
    """Whether to use HTTP only. If False and ``verify`` is off, HTTP is the fallback."""
    details: TlsDetails = ANY_DETAILS
    embedded: EmbeddedCertificates | None = None


DEFAULT_RESPONSE_TIMEOUT = 600.0
DEFAULT_STALL_TIMEOUT = 60.0
DEFAULT_MIN_BYTES_PER_SECOND = 256.0


@dataclass(frozen=True, slots=True)
class RegistryLimits:
    """Limits of the load on a registry, and of its silence; None if unset. Times in seconds."""

    parallel: int | None = None
    """Maximum number of connections; None: as many as the run uses."""
    requests_per_second: float | None = None
    """Maximum number of requests per second; None: no limit."""
    patience: float | None = None
    """How long a registry that has answered may be unavailable; None: the default."""
    rate_limit_patience: float | None = None
    """How long requests that exceed the rate limit are repeated; None: ``patience`` or, if that is
    unset and the registry states when to repeat them, ``DEFAULT_RATE_LIMIT_PATIENCE``."""
    response_timeout: float | None = None
    """Maximum silence before a response; None: ``DEFAULT_RESPONSE_TIMEOUT``."""
    stall_timeout: float | None = None
    """Maximum silence within a body; None: ``DEFAULT_STALL_TIMEOUT``."""
    min_bytes_per_second: float | None = None
    """The rate below which a body counts as silent; None: ``DEFAULT_MIN_BYTES_PER_SECOND``."""

    def with_defaults(self, defaults: RegistryLimits) -> RegistryLimits:
        """Return these limits, with unset ones taken from ``defaults``."""
        return replace(defaults, **_get_set_fields(self))


@dataclass(frozen=True, slots=True)
class RegistryOverride:
    """Settings of one registry from the command line or a bundle manifest; None if unset."""

    credentials: Credentials | None = None
    authfile: Path | None = None
    tls_verify: bool | None = None
    plain_http: bool | None = None
    ca_files: tuple[Path, ...] = ()
    client_certificate: Path | None = None
    client_key: Path | None = None
    cert_dir: Path | None = None
    limits: RegistryLimits | None = None
    upload_chunk: int | None = None
    """Maximum size in bytes of an upload request."""
    token_service: str | None = None
    """The URL of a token service in another domain that may receive the credentials."""

    def with_defaults(self, defaults: RegistryOverride) -> RegistryOverride:
        """Return these settings, with unset ones taken from ``defaults``.

        A default authfile is ignored if these settings have credentials, and vice versa. A default
        of plain HTTP is ignored if they require TLS verification.
        """
        if self.credentials is not None or self.authfile is not None:
            defaults = replace(defaults, credentials=None, authfile=None)
        if self.tls_verify:
            defaults = replace(defaults, plain_http=None)
        values = _get_set_fields(self)
        if self.limits is not None and defaults.limits is not None:
            values["limits"] = self.limits.with_defaults(defaults.limits)
        return replace(defaults, **values)


def _get_set_fields(value: RegistryOverride | RegistryLimits) -> dict[str, Any]:
    """Return the fields that are neither None nor empty."""
    values = {item.name: getattr(value, item.name) for item in fields(value)}
    return {name: item for name, item in values.items() if item not in (None, ())}


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """Complete input of a client for one repository."""

    host: str
    """``host[:port]`` as users write it in references and configuration files."""
    credentials: Credentials = ANONYMOUS
    tls: TlsConfig = field(default_factory=TlsConfig)
    limits: RegistryLimits = field(default_factory=RegistryLimits)
    upload_chunk: int | None = None
    """Maximum size in bytes of an upload request; None: no limit."""
    token_service: str | None = None
    """The URL of a token service in another domain that may receive the credentials."""
    trusts_named_hosts: bool = False
    """Whether all hosts that the registry names belong to it, as in Skopeo."""
    proxy: str | None = field(default=None, repr=False)
    """The URL of the proxy to ``host``, which may contain a password; None: no proxy."""
    user_agent: str | None = None
    """The ``User-Agent``; None: the program and its version."""
    proxies: Proxies | None = field(default=None, repr=False)
    """The proxies for other hosts, such as a token service or an object store; None: no proxies."""

    @property
    def address(self) -> str:
        """``host[:port]`` to connect to: ``registry-1.docker.io`` for Docker Hub, else ``host``."""
        return _ADDRESSES.get(self.host, self.host)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A repository in a registry or in a mirror of it."""

    host: str
    path: str
    insecure: bool
