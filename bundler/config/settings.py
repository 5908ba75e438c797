"""Settings: the complete configuration of one user.

Each file is read, and its reader imported, on first use, because most commands access local images
only. Registry clients receive the values for their registry as ``RegistryAccess``.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from bundler.config import paths
from bundler.config.paths import NO_OVERRIDES, AuthLocation, ConfigPathOverrides, ConfigPaths
from bundler.config.registry_access import (
    ANY_DETAILS,
    Endpoint,
    RegistryAccess,
    RegistryLimits,
    RegistryOverride,
    TlsConfig,
)
from bundler.errors import ConfigError, InvalidReferenceError
from bundler.oci.reference import is_domain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bundler.config.credentials.auth_file import CredentialLookup
    from bundler.config.kubeconfig import Cluster
    from bundler.config.proxy_env import Proxies, Scheme
    from bundler.config.registries_conf import RegistriesConf, Registry
    from bundler.config.registries_d import RegistriesD
    from bundler.config.registry_access import Credentials, TlsDetails
    from bundler.config.storage_conf import StorageConfig, StorageConfPaths
    from bundler.oci.reference import ImageReference

_NO_OVERRIDE = RegistryOverride()


class Settings:
    """Configuration from the environment and from files; thread-safe.

    Without arguments, there are no files, credentials or proxies.
    """

    def __init__(
        self,
        locations: ConfigPaths | None = None,
        environment: Mapping[str, str] | None = None,
        locate_storage: Callable[[], StorageConfPaths] | None = None,
        user_agent: str | None = None,
        *,
        trusts_named_hosts: bool = False,
        ignores_unknown_keys: bool = False,
        patience: float | None = None,
        rate_limit_patience: float | None = None,
    ) -> None:
        self.paths = locations or ConfigPaths()
        self.environment = dict(environment or {})
        """The environment that is passed to credential helpers."""
        self.user_agent = user_agent
        """The ``User-Agent`` of requests to registries; None: the program and its version."""
        self.trusts_named_hosts = trusts_named_hosts
        """Whether all hosts that a registry names belong to it, as in Skopeo."""
        self.ignores_unknown_keys = ignores_unknown_keys
        """Whether registries.d may contain unknown keys, as in Skopeo."""
        self.patience = patience
        """How long registries may be unavailable, in seconds; None: the default."""
        self.rate_limit_patience = rate_limit_patience
        """How long requests that exceed the rate limit are repeated; None: the default."""
        self._locate_storage = locate_storage
        self._lock = threading.Lock()
        self._loaded_registries: RegistriesConf | None = None
        self._created_lookup: CredentialLookup | None = None

    @classmethod
    def load(
        cls,
        environment: Mapping[str, str],
        home: Path,
        uid: int,
        overrides: ConfigPathOverrides = NO_OVERRIDES,
        *,
        user_agent: str | None = None,
        trusts_named_hosts: bool = False,
        ignores_unknown_keys: bool = False,
        patience: float | None = None,
        rate_limit_patience: float | None = None,
    ) -> Settings:
        """Return the settings of one user; the arguments are those of ``paths.locate``."""

        def locate_storage() -> StorageConfPaths:
            from bundler.config import storage_conf  # noqa: PLC0415 - only for containers-storage

            return storage_conf.locate(environment, home, uid, overrides)

        locations = paths.locate(environment, home, uid, overrides)
        return cls(
            locations,
            environment,
            locate_storage,
            user_agent,
            trusts_named_hosts=trusts_named_hosts,
            ignores_unknown_keys=ignores_unknown_keys,
            patience=patience,
            rate_limit_patience=rate_limit_patience,
        )

    def get_access(
        self,
        host: str,
        path: str = "",
        override: RegistryOverride | None = None,
        *,
        insecure: bool = False,
    ) -> RegistryAccess:
        """Return the credentials, TLS files, limits and proxy for a repository.

        Args:
            host: ``host[:port]`` as users write it; ``docker.io`` for Docker Hub.
            path: the repository or namespace; empty for the registry itself.
            override: settings from the command line or a bundle manifest, which take precedence.
            insecure: ``Endpoint.insecure``, if the registry is from ``list_endpoints``.

        Raises:
            ConfigError: the registry is blocked, a file is invalid, or a helper fails.
            InvalidReferenceError: ``host`` is not the name of a registry.
        """
        if not is_domain(host):
            raise InvalidReferenceError(f"{host[:80]!r}: invalid registry (expected host[:port])")
        override = override or _NO_OVERRIDE
        registry = self._find_registry(f"{host}/{path}" if path else host)
        insecure = insecure or (registry is not None and registry.insecure)
        tls = self._find_tls(host, override, insecure=insecure)
        if override.credentials is not None:
            credentials = override.credentials
        elif override.authfile is not None:
            authfile = AuthLocation(override.authfile, required=True)
            found = self.find_credentials(host, path, [authfile])
            credentials = replace(found, authfile=override.authfile)
        else:
            credentials = self.find_credentials(host, path)
        token_service, stored = override.token_service, self.paths.token_services
        if not token_service and stored is not None and stored.exists():
            from bundler.config.credentials import token_services  # noqa: PLC0415 - rarely exists

            token_service = token_services.read(stored).get(host)
        access = RegistryAccess(
            host=host,
            credentials=credentials,
            tls=tls,
            limits=(override.limits or RegistryLimits()).with_defaults(
                RegistryLimits(patience=self.patience, rate_limit_patience=self.rate_limit_patience)
            ),
            upload_chunk=override.upload_chunk,
            token_service=token_service,
            trusts_named_hosts=self.trusts_named_hosts,
            user_agent=self.user_agent,
            proxies=self.proxies,
        )
        scheme: Scheme = "http" if tls.plain_http else "https"
        return replace(access, proxy=self.proxies.find_proxy(scheme, access.address))

    def get_service_access(self, host: str, scheme: Scheme) -> RegistryAccess:
        """Return the TLS settings and the proxy for a service that is not a registry.

        No credentials of registries are used, and no files of certs.d.

        Raises:
            ConfigError: a file is invalid.
        """
        return RegistryAccess(
            host=host,
            tls=TlsConfig(plain_http=scheme == "http", details=self.tls_details),
            limits=RegistryLimits(patience=self.patience),
            user_agent=self.user_agent,
            proxy=self.proxies.find_proxy(scheme, host),
            proxies=self.proxies,
        )

    @cached_property
    def cluster(self) -> Cluster:
        """The API server of the current context of kubeconfig.

        Raises:
            ConfigError: a file is invalid, or there is no current context.
        """
        from bundler.config import kubeconfig  # noqa: PLC0415 - imports yaml; only for atomic

        return kubeconfig.load(self.paths.kubeconfig)

    def list_endpoints(self, image: ImageReference) -> list[Endpoint]:
        """Return the endpoints to pull ``image`` from, in order: mirrors, then the registry.

        Raises:
            ConfigError: the registry is blocked, or registries.conf is invalid.
        """
        registry = self._find_registry(image)
        if registry is None:
            return [Endpoint(image.domain, image.path, insecure=False)]
        found = []
        for mirror in registry.mirrors:
            if mirror.serves(image):
                name = registry.rewrite(mirror.location, image)
                found.append(Endpoint(name.domain, name.path, mirror.insecure))
        name = registry.rewrite(registry.location, image) if registry.location else image
        found.append(Endpoint(name.domain, name.path, registry.insecure))
        return found

    def get_primary_endpoint(self, image: ImageReference) -> Endpoint:
        """Return the endpoint for pushes, listing and deletion: the registry itself, not rewritten.

        Raises:
            ConfigError: the registry is blocked, or registries.conf is invalid.
        """
        registry = self._find_registry(image)
        insecure = registry is not None and registry.insecure
        return Endpoint(image.domain, image.path, insecure)

    def find_credentials(
        self, host: str, path: str = "", locations: Sequence[AuthLocation] | None = None
    ) -> Credentials:
        """Return the stored credentials for the repository or namespace ``path`` at ``host``.

        An empty ``path`` is the registry itself. ``locations`` replaces the default authfiles.

        Raises:
            ConfigError: a file is invalid, or a helper fails.
        """
        helpers = self.credential_helpers
        with self._lock:
            if self._created_lookup is None:
                from bundler.config.credentials.auth_file import (  # noqa: PLC0415 - only for registries
                    CredentialLookup,
                )

                self._created_lookup = CredentialLookup(self.environment)
        files = self.paths.auth if locations is None else locations
        return self._created_lookup.find(host, path, files, helpers)

    @property
    def credential_helpers(self) -> tuple[str, ...]:
        """The credential helpers of registries.conf, in order."""
        return self._load_registries().credential_helpers

    @cached_property
    def proxies(self) -> Proxies:
        """The proxies of the environment."""
        from bundler.config.proxy_env import Proxies  # noqa: PLC0415 - only for registries

        return Proxies.from_environment(self.environment)

    @cached_property
    def tls_details(self) -> TlsDetails:
        """Restrictions on TLS versions, cipher suites and groups.

        Raises:
            ConfigError: the file does not exist or is invalid.
        """
        if self.paths.tls_details is None:
            return ANY_DETAILS
        from bundler.config import tls_files  # noqa: PLC0415 - only for registries

        return tls_files.read_tls_details(self.paths.tls_details)

    @cached_property
    def registries_d(self) -> RegistriesD:
        """The locations of simple signatures.

        Raises:
            ConfigError: a file is invalid.
        """
        from bundler.config import registries_d  # noqa: PLC0415 - imports yaml; only for signatures

        return registries_d.load(self.paths.registries_d, ignore_unknown=self.ignores_unknown_keys)

    def get_storage(self) -> StorageConfig:
        """Read the location and the driver of the local image store.

        Raises:
            ConfigError: storage.conf is invalid, or no location is known.
        """
        if self._locate_storage is None:
            raise ConfigError("containers-storage: not configured")
        from bundler.config import storage_conf  # noqa: PLC0415 - only for containers-storage

        return storage_conf.load(self._locate_storage())

    def _load_registries(self) -> RegistriesConf:
        with self._lock:
            if self._loaded_registries is None:
                from bundler.config import registries_conf  # noqa: PLC0415 - only for registries

                self._loaded_registries = registries_conf.load(self.paths)
            return self._loaded_registries

    def _find_registry(self, target: str | ImageReference) -> Registry | None:
        registry = self._load_registries().find(target)
        if registry is not None and registry.blocked:
            raise ConfigError(
                f"{target}: the registry {registry.prefix} is blocked in {registry.origin}",
                path=str(registry.origin),
            )
        return registry

    def _find_tls(self, host: str, override: RegistryOverride, *, insecure: bool) -> TlsConfig:
        from bundler.config import tls_files  # noqa: PLC0415 - only for registries

        if override.cert_dir is not None:
            found = tls_files.read_certificates(override.cert_dir)
        else:
            found = tls_files.find_certificates(self.paths.certs_d, host)
        certificate, key = found.client_certificate, found.client_key
        if override.client_certificate is not None:
            certificate, key = override.client_certificate, override.client_key
        return TlsConfig(
            verify=not insecure if override.tls_verify is None else override.tls_verify,
            ca_files=(*found.ca_files, *override.ca_files),
            client_certificate=certificate,
            client_key=key,
            plain_http=bool(override.plain_http),
            details=self.tls_details,
        )
