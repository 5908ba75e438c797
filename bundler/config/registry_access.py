"""What a registry's client is given: who to be, how to connect, and where; plain values.

``Settings`` makes them; nothing that takes them looks at a file or at the environment.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from bundler.config.proxy_env import DIRECT, Proxies

if TYPE_CHECKING:
    from pathlib import Path

# Docker Hub is the one registry whose name is not its address. The name without a port only:
# every other client connects to docker.io:443 as it is written.
_ADDRESSES = {"docker.io": "registry-1.docker.io"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who somebody is to a registry; never shown. All None: anonymous."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    identity_token: str | None = field(default=None, repr=False)
    """An OAuth2 refresh token."""
    registry_token: str | None = field(default=None, repr=False)
    """A bearer token to send as it is."""

    @property
    def anonymous(self) -> bool:
        """Whether there is nothing to send."""
        return self == ANONYMOUS


ANONYMOUS = Credentials()


@dataclass(frozen=True, slots=True)
class TlsDetails:
    """What TLS may use, by IANA's names; None: whatever is sound."""

    origin: str = ""
    """The file that says so, for messages."""
    min_version: str | None = None
    """``1.2`` or ``1.3``."""
    cipher_suites: tuple[str, ...] | None = None
    named_groups: tuple[str, ...] | None = None


ANY_DETAILS = TlsDetails()


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """How to recognise a registry, and how to be recognised."""

    verify: bool = True
    ca_files: tuple[Path, ...] = ()
    """Added to the system's authorities."""
    client_certificate: Path | None = None
    client_key: Path | None = None
    plain_http: bool = False
    """Speak HTTP at once. With ``verify`` off, HTTPS is tried first and HTTP after it."""
    details: TlsDetails = ANY_DETAILS


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a registry may be asked to bear."""

    parallel: int | None = None
    """Connections at once; None: what the run uses."""
    requests_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class RegistryOverride:
    """What a command line or a bundle manifest says of one registry; None: not said."""

    credentials: Credentials | None = None
    authfile: Path | None = None
    tls_verify: bool | None = None
    plain_http: bool | None = None
    ca_files: tuple[Path, ...] = ()
    client_certificate: Path | None = None
    client_key: Path | None = None
    cert_dir: Path | None = None
    limits: RateLimits | None = None

    def with_defaults(self, defaults: RegistryOverride) -> RegistryOverride:
        """These settings, completed by those of ``below`` where unset.

        Credentials and a credentials file replace each other, and so do TLS and plain HTTP.
        """
        if self.credentials is not None or self.authfile is not None:
            defaults = replace(defaults, credentials=None, authfile=None)
        if self.tls_verify:
            defaults = replace(defaults, plain_http=None)
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return replace(
            defaults, **{k: value for k, value in values.items() if value not in (None, ())}
        )


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """All that a client needs to speak with one registry about one repository."""

    host: str
    """``host[:port]`` as users write it: in references, configuration files and messages."""
    credentials: Credentials = ANONYMOUS
    tls: TlsConfig = field(default_factory=TlsConfig)
    limits: RateLimits = field(default_factory=RateLimits)
    proxy: str | None = field(default=None, repr=False)
    """The URL of the proxy to ``host``; it may hold a password."""
    user_agent: str | None = None
    """What a client calls itself; None: this program and its version."""
    proxies: Proxies = field(default=DIRECT, repr=False)
    """For the other hosts that a registry sends a client to: its token service, its storage."""

    @property
    def address(self) -> str:
        """``host[:port]`` to connect to: for Docker Hub ``registry-1.docker.io``, else ``host``."""
        return address_of(self.host)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place to pull from: where a repository (or a mirror of it) really is."""

    host: str
    path: str
    insecure: bool
    is_mirror: bool


def address_of(host: str) -> str:
    """The ``host[:port]`` to connect to for a registry that users call ``host[:port]``."""
    return _ADDRESSES.get(host, host)
