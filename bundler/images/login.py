"""Log in to registries and out of them.

Credentials are stored only if the registry accepts them. They are stored with the first suitable
credential helper in registries.conf; the authfile is one of the possible helpers.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bundler.config.credentials import (
    auth_file,
    auth_store,
    credential_helper,
    token_services,
)
from bundler.config.paths import AuthLocation
from bundler.config.registries_conf import AUTH_FILES
from bundler.config.registry_access import RegistryOverride
from bundler.errors import (
    ConfigError,
    InvalidReferenceError,
    NotLoggedInError,
    UnauthorizedError,
    UsageError,
)
from bundler.oci.reference import is_domain, is_repository_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.config.registry_access import Credentials, RegistryAccess
    from bundler.config.settings import Settings
    from bundler.events import Emit

    AccessCheck = Callable[[RegistryAccess], None]
    """Sends credentials to a registry; raises UnauthorizedError if the registry rejects them."""


@dataclass(frozen=True, slots=True)
class CredentialScope:
    """The registry, or the namespace in a registry, for which credentials are valid."""

    host: str
    path: str = ""
    """The namespace; empty: the whole registry."""

    @classmethod
    def parse(cls, text: str) -> CredentialScope:
        """Parse ``host[:port][/namespace]``.

        Raises:
            InvalidReferenceError: ``text`` is malformed, such as a URL or an image name.
        """
        host, _, path = text.partition("/")
        path = path.rstrip("/")
        if not is_domain(host) or (path and not is_repository_path(path)):
            raise InvalidReferenceError(
                f"{text[:200]!r} is not a valid registry",
                hint="write host[:port] or host[:port]/namespace, without https:// or a tag",
            )
        return cls(auth_file.normalize_host(host), path)

    def __str__(self) -> str:
        return f"{self.host}/{self.path}" if self.path else self.host


@dataclass(frozen=True, slots=True)
class CredentialStore:
    """The authfile or the credential helpers that store credentials."""

    authfile: Path | None = None
    """The authfile; None: the first one in the settings."""
    compat: bool = False
    """Use a file in Docker's format, without namespaces and without credential helpers."""

    def find_file(self, settings: Settings) -> Path:
        """Return the authfile to write."""
        if self.authfile is not None:
            return self.authfile
        if not settings.paths.auth:
            raise ConfigError("no authfile to store credentials in", hint="specify --authfile")
        return settings.paths.auth[0].path

    def create_key(self, registry: CredentialScope) -> str:
        """Return the key of the entry for ``registry`` in the authfile."""
        if not self.compat:
            return str(registry)
        if registry.path:
            raise ConfigError(
                f"{registry}: Docker's authfile has entries for registries, not for namespaces",
                hint=f"log in to {registry.host}, or specify --authfile",
            )
        return auth_file.to_server_name(registry.host)

    def find_helpers(self, settings: Settings) -> tuple[str, ...]:
        """Return the credential helpers, in the order of their use."""
        return (AUTH_FILES,) if self.compat else settings.credential_helpers


DEFAULT_STORE = CredentialStore()


def store_login(
    registry: CredentialScope,
    credentials: Credentials,
    settings: Settings,
    check_access: AccessCheck,
    *,
    override: RegistryOverride | None = None,
    store: CredentialStore = DEFAULT_STORE,
) -> str:
    """Check ``credentials`` with the registry, then store them.

    Returns:
        The path of the authfile, or the name of the credential helper, with the credentials.

    Raises:
        UnauthorizedError: the registry rejects the credentials; nothing was stored.
        RegistryError: the registry cannot be reached; nothing was stored.
        ConfigError: the credentials cannot be stored.
        UsageError: the user name or the password is invalid for every registry.
    """
    username, password = credentials.username or "", credentials.password or ""
    if not username or ":" in username:
        raise UsageError("the user name: expected at least one character and no colon")
    try:
        f"{username}{password}".encode()
    except UnicodeEncodeError:
        raise UsageError("the user name or the password is not UTF-8 text") from None
    store.create_key(registry)  # raises an error before credentials are sent to the registry
    check_credentials(registry, credentials, settings, check_access, override=override)
    first_error: ConfigError | None = None
    for helper in store.find_helpers(settings):
        try:
            if helper == AUTH_FILES:
                path, key = store.find_file(settings), store.create_key(registry)
                return auth_store.store(path, key, credentials, settings.environment)
            if not registry.path:
                credential_helper.store(helper, registry.host, credentials, settings.environment)
                return f"credential helper {helper}"
        except ConfigError as error:
            first_error = first_error or error
    raise first_error or ConfigError(f"{registry}: no credential helper supports namespaces")


def check_credentials(
    registry: CredentialScope,
    credentials: Credentials,
    settings: Settings,
    check_access: AccessCheck,
    *,
    override: RegistryOverride | None = None,
) -> None:
    """Check ``credentials`` with the registry, without storing them.

    A token service in ``override`` is stored for later commands.

    Raises:
        UnauthorizedError: the registry rejects the credentials.
        RegistryError: the registry cannot be reached.
    """
    override = replace(override or RegistryOverride(), credentials=credentials)
    path = settings.paths.token_services
    try:
        check_access(settings.get_access(registry.host, registry.path, override))
    except UnauthorizedError as error:
        reason = "" if error.exchange is None else error.exchange.reason
        raise UnauthorizedError(
            f"{registry}: the registry does not accept this user name and password"
            f"{reason and f' ({reason})'}",
            status=error.status,
            codes=error.codes,
        ) from error
    if override.token_service is not None and path is not None:
        token_services.store(path, registry.host, override.token_service)


def ping(access: RegistryAccess, cancellation: Cancellation, emit: Emit) -> None:
    """Authenticate to a registry. With the last two arguments bound, this is an ``AccessCheck``."""
    from bundler.registry.session import Session  # noqa: PLC0415 - loads requests

    with closing(Session(access, cancellation=cancellation, emit=emit)) as session:
        session.ping()


def read_credentials(
    registry: CredentialScope, settings: Settings, store: CredentialStore = DEFAULT_STORE
) -> Credentials:
    """Read the stored credentials for ``registry``; anonymous if none are stored."""
    files = None if store.authfile is None else (AuthLocation(store.authfile),)
    return settings.find_credentials(registry.host, registry.path, files)


def find_username(
    registry: CredentialScope, settings: Settings, store: CredentialStore = DEFAULT_STORE
) -> str:
    """Return the user name in the stored credentials for ``registry``.

    Raises:
        NotLoggedInError: no credentials are stored.
    """
    credentials = read_credentials(registry, settings, store)
    if not credentials.username:
        raise NotLoggedInError(str(registry), hint=f"airbundle login {registry}")
    return credentials.username


def logout(
    registry: CredentialScope, settings: Settings, store: CredentialStore = DEFAULT_STORE
) -> None:
    """Remove the credentials for ``registry``, and the token service that ``login`` stored for it.

    Raises:
        NotLoggedInError: no credentials are stored; the hint may name another authfile.
        ConfigError: the credentials cannot be removed.
    """
    removed, services = False, settings.paths.token_services
    if services is not None and not registry.path:
        removed = token_services.remove(services, registry.host)
    for helper in store.find_helpers(settings):
        if helper == AUTH_FILES:
            path = store.find_file(settings)
            removed |= auth_store.remove(path, store.create_key(registry), settings.environment)
        elif not registry.path:
            removed |= credential_helper.erase(helper, registry.host, settings.environment)
    if not removed:
        hint = None
        # Credentials in another authfile would still be used.
        for location in () if store.authfile else settings.paths.auth[1:]:
            credentials = auth_file.read(location).find_credentials(registry.host, registry.path)
            if not credentials.anonymous:
                hint = f"its credentials are in {location.path}; specify that file with --authfile"
                break
        raise NotLoggedInError(str(registry), hint=hint)


def logout_all(settings: Settings, store: CredentialStore = DEFAULT_STORE) -> None:
    """Remove the credentials and the token services for all registries.

    Raises:
        ConfigError: the credentials cannot be removed.
    """
    if settings.paths.token_services is not None:
        token_services.remove(settings.paths.token_services)
    for helper in store.find_helpers(settings):
        if helper == AUTH_FILES:
            auth_store.remove_all(store.find_file(settings), settings.environment)
        else:
            for server in credential_helper.list_servers(helper, settings.environment):
                credential_helper.erase(helper, server, settings.environment)
