"""Lookup of credentials in authfiles: auth.json, Docker's config.json and .dockercfg.

The format is that of containers-auth.json(5). An invalid file is an error and never counts as a
file without credentials.
"""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from bundler.config import config_file
from bundler.config.registries_conf import AUTH_FILES
from bundler.config.registry_access import ANONYMOUS, Credentials
from bundler.errors import ConfigError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bundler.config.paths import AuthLocation

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
"""Docker's name for ``docker.io`` in authfiles and in requests to helpers."""
TOKEN_USER = "<token>"  # noqa: S105 - not a secret
"""The user name that marks a secret as an identity token."""

_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True)
class AuthFile:
    """Content of one authfile. Entries are decoded on lookup."""

    path: Path
    document: dict[str, Any] = field(default_factory=dict, repr=False)
    """The whole document, which contains ``entries`` and may be edited."""
    entries: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    helpers: dict[str, str] = field(default_factory=dict)
    """``credHelpers``: the name of the helper for each registry."""
    store: str | None = None
    """``credsStore``: the helper for all other registries; None if unset."""
    legacy: bool = False

    def find_helper(self, host: str) -> tuple[str, str] | None:
        """Return the helper for ``host`` and the server name to pass to it; None if unset."""
        same = (key for key in self.helpers if normalize_host(key) == normalize_host(host))
        key = host if host in self.helpers else next(same, None)
        return None if key is None else (self.helpers[key], key)

    def find_credentials(self, host: str, path: str) -> Credentials:
        """Return the credentials of the longest key for ``host/path``, or else of one for ``host``.

        Raises:
            ConfigError: the entry is invalid.
        """
        keys = self.find_keys(host)
        if not self.legacy:
            keys = [*(key for key in list_keys(host, path) if key in self.entries), *keys]
        for key in keys:
            subject = f"{self.path}: the entry {normalize_host(key)!r}"
            create_error = partial(ConfigError, path=str(self.path))
            found = _decode(Table(self.entries[key], subject, create_error))
            if not found.anonymous:  # Docker writes empty entries for registries with a helper
                return found
        return ANONYMOUS

    def find_keys(self, host: str) -> list[str]:
        """Return the keys of all entries for ``host`` itself, without those for namespaces."""
        return [
            key
            for key in self.entries
            if normalize_host(key) == normalize_host(host)
            and (self.legacy or "/" not in key or key.startswith(("http://", "https://")))
        ]


def read(location: AuthLocation) -> AuthFile:
    """Read an authfile; a missing one counts as empty unless the user specified it.

    Raises:
        ConfigError: the file is unreadable or invalid, or was specified and does not exist.
    """
    raw = config_file.read(location.path)
    if raw is None:
        if location.required:
            raise ConfigError(
                f"{location.path}: no such authfile",
                path=str(location.path),
                hint=f"create it with: airbundle login --authfile {location.path} REGISTRY",
            )
        return AuthFile(location.path, legacy=location.legacy)
    return parse(raw, location.path, legacy=location.legacy)


def parse(raw: bytes, path: Path, *, legacy: bool = False) -> AuthFile:
    """Parse the content of an authfile.

    Raises:
        ConfigError: the content is invalid; the message names the line if it is not JSON.
    """
    hint = "correct the file, or specify another authfile"
    table = config_file.parse_json(raw, path, hint=hint)
    document = cast("dict[str, Any]", table.value)
    entries = document if legacy else cast("dict[str, Any]", table.table("auths").value)
    for key, value in entries.items():
        if not isinstance(value, dict):
            raise table.problem(f"the entry {normalize_host(key)!r} is not an object")
    if legacy:
        return AuthFile(path, document, entries, legacy=True)
    helpers, store = table.text_map("credHelpers"), table.optional_text("credsStore")
    return AuthFile(path, document, entries, helpers, store)


class CredentialLookup:
    """Lookup of credentials, with a cache of authfiles and of the output of helpers.

    Thread-safe. Helpers run one at a time, because they may prompt the user.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._files: dict[Path, AuthFile] = {}
        self._helper_credentials: dict[tuple[str, str], Credentials] = {}

    def find(
        self, host: str, path: str, locations: Sequence[AuthLocation], helpers: Sequence[str]
    ) -> Credentials:
        """Return the first credentials for a repository or namespace, anonymous if there are none.

        The ``helpers`` are called in order; the entry ``AUTH_FILES`` denotes the authfiles
        ``locations``.

        Raises:
            ConfigError: a file is invalid, or a helper fails.
        """
        with self._lock:
            for name in helpers:
                if name == AUTH_FILES:
                    found = self._find_in_files(host, path, locations)
                else:
                    found = self._run_helper(name, host)
                if not found.anonymous:
                    return found
        return ANONYMOUS

    def _find_in_files(
        self, host: str, path: str, locations: Sequence[AuthLocation]
    ) -> Credentials:
        for location in locations:
            file = self._files.get(location.path)
            if file is None:
                file = self._files[location.path] = read(location)
            helper = file.find_helper(host)
            if helper is not None:
                found = self._run_helper(*helper)
            else:
                found = file.find_credentials(host, path)
                if found.anonymous and file.store is not None:
                    found = self._run_helper(file.store, to_server_name(host))
            if not found.anonymous:
                return found
        return ANONYMOUS

    def _run_helper(self, helper: str, server: str) -> Credentials:
        key = (helper, server)
        if key not in self._helper_credentials:
            from bundler.config.credentials import credential_helper  # noqa: PLC0415 - few users have helpers

            self._helper_credentials[key] = credential_helper.get(helper, server, self._environment)
        return self._helper_credentials[key]


def list_keys(host: str, path: str) -> Iterator[str]:
    """Yield the keys that apply to a repository, longest first: ``host/a``, ``host``."""
    parts = [part for part in path.split("/") if part]
    for length in range(len(parts), -1, -1):
        yield "/".join([host, *parts[:length]])


def normalize_host(key: str) -> str:
    """Return the registry host of a key or URL, without path and credentials."""
    bare = key.removeprefix("https://").removeprefix("http://")
    host = bare.split("/", 1)[0].rpartition("@")[2]
    return "docker.io" if host in _DOCKER_HUB else host


def to_server_name(host: str) -> str:
    """Return the server name of ``host`` for the helper in ``credsStore``."""
    return DOCKER_HUB_KEY if host in _DOCKER_HUB else host


def to_credentials(username: str, secret: str) -> Credentials:
    """Create credentials from the user name and the secret that a file or a helper contains."""
    if username == TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username=username, password=secret)


def _decode(table: Table) -> Credentials:
    username, password = table.optional_text("username"), table.optional_text("password")
    auth = table.optional_text("auth")
    if auth:
        try:
            pair = base64.b64decode(auth, validate=True).decode()
        except ValueError:
            raise table.problem("auth is not valid base64") from None
        username, colon, password = pair.partition(":")
        if not colon:
            raise table.problem("auth is malformed (expected user:password)")
        password = password.strip("\0")
    identity_token = table.optional_text("identitytoken")
    registry_token = table.optional_text("registrytoken")
    if identity_token or registry_token:
        return Credentials(username or None, password or None, identity_token, registry_token)
    return to_credentials(username, password or "") if username else ANONYMOUS
