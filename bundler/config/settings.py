"""What the environment and the users' files say, answered by host.

Files are read when they are first needed, and once; a client is given one ``ProxyContext``.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from bundler.config import certs_d, paths, registries_conf, storage_conf
from bundler.config.credentials.lookup import CredentialLookup
from bundler.config.paths import NO_OVERRIDES, AuthLocation, ConfigPathOverrides, ConfigPaths
from bundler.config.proxy_env import Proxies
from bundler.config.registry_access import (
    ANY_DETAILS,
    Credentials,
    Endpoint,
    RateLimits,
    RegistryAccess,
    RegistryOverride,
    TlsConfig,
    TlsDetails,
    address_of,
)
from bundler.errors import ConfigError, InvalidReferenceError
from bundler.oci.reference import is_domain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.config.policy_json import Policy
    from bundler.config.registries_conf import RegistriesConf, Registry
    from bundler.config.registries_d import RegistriesD
    from bundler.config.storage_conf import Storage, StorageConfPaths
    from bundler.oci.reference import ImageReference

_NOTHING = RegistryOverride()


class Settings:
    """Everything read from the environment and from users' files; safe to share among threads.

    Made without arguments it knows nothing: anonymous, no files, no proxy.
    """

    def __init__(
        self,
        locations: ConfigPaths | None = None,
        environment: Mapping[str, str] | None = None,
        storage: StorageConfPaths | None = None,
        user_agent: str | None = None,
    ) -> None:
        self.paths = locations or ConfigPaths()
        self.environment = dict(environment or {})
        """Handed on to credential helpers."""
        self.proxies = Proxies.from_environment(self.environment)
        self.user_agent = user_agent
        """What to call this program before registries; None: as it calls itself."""
        self._keychain = CredentialLookup(self.environment)
        self._lock = threading.Lock()
        self._registries: RegistriesConf | None = None
        self._storage = storage

    @classmethod
    def load(
        cls,
        environment: Mapping[str, str],
        home: Path,
        uid: int,
        overrides: ConfigPathOverrides = NO_OVERRIDES,
        *,
        user_agent: str | None = None,
    ) -> Settings:
        """Return the settings of one user. No file is read before it is needed.

        Args:
            environment: the environment of the process.
            home: the user's home directory.
            uid: the user ID.
            overrides: paths that replace the default ones.
            user_agent: the ``User-Agent`` of requests; None: the program and its version.
        """
        return cls(
            paths.locate(environment, home, uid, overrides),
            environment,
            storage_conf.locate(environment, home, uid, overrides),
            user_agent,
        )

    def access(
        self,
        host: str,
        path: str = "",
        override: RegistryOverride | None = None,
        *,
        insecure: bool = False,
    ) -> RegistryAccess:
        """All that a client needs for the repository ``path`` at ``host[:port]``.

        Args:
            host: as users write it; Docker Hub is ``docker.io``.
            path: the repository or namespace; empty for the registry itself.
            override: what a command line or a bundle manifest says; it goes before files.
            insecure: what ``Endpoint.insecure`` says, where one led here.

        Raises:
            ConfigError: the registry is blocked, or a file or helper that has to be asked is
                not in order.
            InvalidReferenceError: ``host`` is not a registry's name.
        """
        if not is_domain(host):
            raise InvalidReferenceError(f"{host[:80]!r} is not a registry's host[:port]")
        said = override or _NOTHING
        registry = self._registry(f"{host}/{path}" if path else host)
        tls = self._tls(
            host, said, insecure=insecure or (registry is not None and registry.insecure)
        )
        return RegistryAccess(
            host=host,
            credentials=self._credentials(host, path, said),
            tls=tls,
            limits=said.limits or RateLimits(),
            proxy=self.proxies.find_proxy("http" if tls.plain_http else "https", address_of(host)),
            user_agent=self.user_agent,
            proxies=self.proxies,
        )

    def storage(self) -> Storage:
        """Where the images of this machine's containers lie.

        Raises:
            ConfigError: storage.conf is not in order, or nobody knows whose it would be.
        """
        if self._storage is None:
            raise ConfigError("no storage of containers is configured")
        return storage_conf.load(self._storage)

    def endpoints(self, image: ImageReference) -> list[Endpoint]:
        """The places to pull ``image`` from, in order: mirrors, then the registry itself.

        Raises:
            ConfigError: the registry is blocked, or registries.conf is not in order.
        """
        registry = self._registry(registries_conf.to_lookup_name(image))
        if registry is None:
            return [Endpoint(image.domain, image.path, insecure=False, is_mirror=False)]
        found = []
        for mirror in registry.mirrors:
            if mirror.serves(image):
                there = registry.rewrite(mirror.location, image)
                found.append(Endpoint(there.domain, there.path, mirror.insecure, is_mirror=True))
        there = registry.rewrite(registry.location, image) if registry.location else image
        found.append(Endpoint(there.domain, there.path, registry.insecure, is_mirror=False))
        return found

    def primary(self, image: ImageReference) -> Endpoint:
        """The place that ``image`` names, for everything but pulls: neither mirror nor rewrite.

        Raises:
            ConfigError: the registry is blocked, or registries.conf is not in order.
        """
        registry = self._registry(registries_conf.to_lookup_name(image))
        insecure = registry is not None and registry.insecure
        return Endpoint(image.domain, image.path, insecure, is_mirror=False)

    def credentials(
        self, host: str, path: str = "", locations: Sequence[AuthLocation] | None = None
    ) -> Credentials:
        """What is kept for the repository or namespace ``path`` at ``host[:port]``.

        Args:
            host: as users write it.
            path: empty for the registry itself.
            locations: the files to look into; None: those that were found at the start.

        Raises:
            ConfigError: a file or a helper that has to be asked is not in order.
        """
        files = self.paths.auth if locations is None else locations
        return self._keychain.find(host, path, files, self.credential_helpers)

    def policy(self) -> Policy | None:
        """Which images may be used; None where nobody wrote that down.

        Raises:
            PolicyFileError: the file cannot be read, is invalid, or was named and does not exist.
        """
        from bundler.config import policy_json  # noqa: PLC0415 - only who copies images asks

        required = self.paths.policy_json_required
        for path in self.paths.policy_json:
            if (found := policy_json.read(path, required=required)) is not None:
                return found
        return None

    @cached_property
    def registries_d(self) -> RegistriesD:
        """Where signatures of images lie.

        Raises:
            ConfigError: a file is not in order.
        """
        from bundler.config import registries_d  # noqa: PLC0415 - loads yaml; for signatures only

        return registries_d.load(self.paths.registries_d)

    @cached_property
    def tls_details(self) -> TlsDetails:
        """What TLS may use.

        Raises:
            ConfigError: the file is not there, or not in order.
        """
        if self.paths.tls_details is None:
            return ANY_DETAILS
        from bundler.config import tls_details  # noqa: PLC0415 - loads yaml, and few have such a file

        return tls_details.read(self.paths.tls_details)

    @property
    def credential_helpers(self) -> tuple[str, ...]:
        """Whom registries.conf has asked for credentials, in order."""
        return self._load_registries().credential_helpers

    def _registry(self, name: str) -> Registry | None:
        registry = self._load_registries().find(name)
        if registry is not None and registry.blocked:
            raise ConfigError(
                f"{name}: the registry {registry.prefix} is blocked in {registry.origin}"
            )
        return registry

    def _load_registries(self) -> RegistriesConf:
        with self._lock:
            if self._registries is None:
                self._registries = registries_conf.load(self.paths)
            return self._registries

    def _credentials(self, host: str, path: str, said: RegistryOverride) -> Credentials:
        if said.credentials is not None:
            return said.credentials
        if said.authfile is not None:
            return self.credentials(host, path, (AuthLocation(said.authfile, required=True),))
        return self.credentials(host, path)

    def _tls(self, host: str, said: RegistryOverride, *, insecure: bool) -> TlsConfig:
        if said.cert_dir is not None:
            found = certs_d.read(said.cert_dir)
        else:
            found = certs_d.find(self.paths.certs_d, host)
        own_pair = said.client_certificate is not None
        return TlsConfig(
            verify=not insecure if said.tls_verify is None else said.tls_verify,
            ca_files=(*found.ca_files, *said.ca_files),
            client_certificate=said.client_certificate if own_pair else found.client_certificate,
            client_key=said.client_key if own_pair else found.client_key,
            plain_http=bool(said.plain_http),
            details=self.tls_details,
        )
