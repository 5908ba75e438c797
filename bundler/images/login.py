"""Logging in to registries and out of them: what is checked, and where it is kept.

Nothing is kept that the registry did not accept. Where things are kept is decided as for reading:
the helpers of registries.conf in their order, of which one stands for the file of credentials.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bundler.config.credentials import auth_file, auth_store, credential_helper
from bundler.config.paths import AuthLocation
from bundler.config.registries_conf import AUTH_FILES
from bundler.config.settings import RegistryOverride
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
    from bundler.config.settings import Credentials, RegistryAccess, Settings
    from bundler.events import Emit

    Verify = Callable[[RegistryAccess], None]
    """Asks the registry whether it takes these credentials; raises UnauthorizedError if not."""


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry, or a namespace in one, that credentials are for."""

    host: str
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Registry:
        """Read ``host[:port][/namespace]``.

        Raises:
            InvalidReferenceError: anything else, URLs and images among it.
        """
        host, _, path = text.partition("/")
        path = path.rstrip("/")
        if not is_domain(host) or (path and not is_repository_path(path)):
            raise InvalidReferenceError(
                f"{text[:200]!r} is not a registry",
                hint="write host[:port] or host[:port]/namespace, without https:// and without tag",
            )
        return cls(auth_file.host_of(host), path)

    def __str__(self) -> str:
        return f"{self.host}/{self.path}" if self.path else self.host


@dataclass(frozen=True, slots=True)
class CredentialStore:
    """Where credentials are kept."""

    authfile: Path | None = None
    """None: the first of the files that are read."""
    compat: bool = False
    """Whether the file is docker's: no namespaces, its name for Docker Hub, no other helpers."""

    def find_file(self, settings: Settings) -> Path:
        """The file that is written."""
        if self.authfile is not None:
            return self.authfile
        if not settings.locations.auth:
            raise ConfigError("there is no file to keep credentials in", hint="give --authfile")
        return settings.locations.auth[0].path

    def create_key(self, registry: Registry) -> str:
        """The name of the entry for ``registry``."""
        if not self.compat:
            return str(registry)
        if registry.path:
            raise ConfigError(
                f"{registry}: docker's file keeps registries, not namespaces",
                hint=f"log in to {registry.host}, or give --authfile",
            )
        return auth_file.stored_name(registry.host)

    def find_helpers(self, settings: Settings) -> tuple[str, ...]:
        """Who is asked to keep them, in order."""
        return (AUTH_FILES,) if self.compat else settings.credential_helpers


DEFAULT_STORE = CredentialStore()


def login(
    registry: Registry,
    credentials: Credentials,
    settings: Settings,
    verify: Verify,
    *,
    override: RegistryOverride | None = None,
    store: CredentialStore = DEFAULT_STORE,
) -> str:
    """Have the registry check ``credentials``, then keep them; where they are kept.

    Raises:
        UnauthorizedError: the registry does not take them; nothing was written.
        RegistryError: the registry could not be asked; nothing was written.
        ConfigError: they cannot be kept.
        UsageError: no registry can take such a name or password.
    """
    _refuse_odd(credentials)
    store.create_key(registry)  # a place that cannot keep them is said before the registry is asked
    check_credentials(registry, credentials, settings, verify, override=override)
    return _store(registry, credentials, settings, store)


def check_credentials(
    registry: Registry,
    credentials: Credentials,
    settings: Settings,
    verify: Verify,
    *,
    override: RegistryOverride | None = None,
) -> None:
    """Have the registry check ``credentials``; nothing is written.

    Raises:
        UnauthorizedError: it does not take them.
        RegistryError: it could not be asked.
    """
    said = replace(override or RegistryOverride(), credentials=credentials)
    try:
        verify(settings.access(registry.host, registry.path, said))
    except UnauthorizedError as error:
        raise UnauthorizedError(
            f"{registry}: the registry does not accept this user name and password",
            status=error.status,
            codes=error.codes,
        ) from error


def ping(access: RegistryAccess, cancellation: Cancellation, emit: Emit) -> None:
    """The ``Verify`` of a real registry, once the other two arguments are bound."""
    from bundler.registry.session import Session  # noqa: PLC0415 - loads requests

    with closing(Session(access, cancellation=cancellation, emit=emit)) as session:
        session.ping()


def read_credentials(
    registry: Registry, settings: Settings, store: CredentialStore = DEFAULT_STORE
) -> Credentials:
    """What is kept for ``registry`` already; anonymous if nothing is."""
    files = None if store.authfile is None else (AuthLocation(store.authfile),)
    return settings.credentials(registry.host, registry.path, files)


def find_username(
    registry: Registry, settings: Settings, store: CredentialStore = DEFAULT_STORE
) -> str:
    """The user that is logged in to ``registry``.

    Raises:
        NotLoggedInError: nobody is.
    """
    found = read_credentials(registry, settings, store)
    if not found.username:
        raise NotLoggedInError(str(registry), hint=f"airbundle login {registry}")
    return found.username


def logout(registry: Registry, settings: Settings, store: CredentialStore = DEFAULT_STORE) -> None:
    """Forget the credentials for ``registry``.

    Raises:
        NotLoggedInError: there are none; the hint says where others are that would be used.
        ConfigError: a file or a helper does not let them go.
    """
    known = False
    for helper in store.find_helpers(settings):
        if helper == AUTH_FILES:
            path = store.find_file(settings)
            known |= auth_store.remove(path, store.create_key(registry), settings.environment)
        elif not registry.path:
            known |= credential_helper.erase(helper, registry.host, settings.environment)
    if not known:
        raise NotLoggedInError(str(registry), hint=_elsewhere(registry, settings, store))


def logout_all(settings: Settings, store: CredentialStore = DEFAULT_STORE) -> None:
    """Forget the credentials for every registry.

    Raises:
        ConfigError: a file or a helper does not let them go.
    """
    for helper in store.find_helpers(settings):
        if helper == AUTH_FILES:
            auth_store.remove_all(store.find_file(settings), settings.environment)
        else:
            for server in credential_helper.servers(helper, settings.environment):
                credential_helper.erase(helper, server, settings.environment)


def _refuse_odd(credentials: Credentials) -> None:
    username, password = credentials.username or "", credentials.password or ""
    if not username or ":" in username:
        raise UsageError("a user's name has at least one character, and no colon")
    try:
        f"{username}{password}".encode()
    except UnicodeEncodeError:
        raise UsageError("the user's name or the password is not UTF-8 text") from None


def _store(
    registry: Registry, credentials: Credentials, settings: Settings, place: CredentialStore
) -> str:
    """Keep ``credentials`` with the first helper that takes them."""
    refused: ConfigError | None = None
    for helper in place.find_helpers(settings):
        try:
            if helper == AUTH_FILES:
                path, key = place.find_file(settings), place.create_key(registry)
                return auth_store.store(path, key, credentials, settings.environment)
            if not registry.path:
                credential_helper.store(helper, registry.host, credentials, settings.environment)
                return f"credential helper {helper}"
        except ConfigError as error:
            refused = refused or error
    raise refused or ConfigError(f"{registry}: no credential helper keeps namespaces")


def _elsewhere(registry: Registry, settings: Settings, place: CredentialStore) -> str | None:
    """What to do about credentials that another file holds."""
    if place.authfile is not None:
        return None
    for location in settings.locations.auth[1:]:
        found = auth_file.read(location).credentials(registry.host, registry.path)
        if not found.anonymous:
            return f"its credentials are in {location.path}; name that file with --authfile"
    return None
