"""auth.json and config.json: credentials by registry or namespace, and whom else to ask for them.

containers-auth.json(5). A file that does not parse is an error, never "anonymous".
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bundler.config import bounded_read
from bundler.config.registry_access import ANONYMOUS, Credentials
from bundler.errors import ConfigError, LimitError, MalformedError
from bundler.oci.json import strict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.config.paths import AuthLocation

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
"""What docker writes, and asks helpers for, where others write ``docker.io``."""
TOKEN_USER = "<token>"  # noqa: S105 - not a secret
"""The user name that marks a secret as an identity token."""

_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True)
class AuthFile:
    """One file's content; entries are only decoded when they are looked up."""

    path: Path
    entries: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    helpers: dict[str, str] = field(default_factory=dict)
    """``credHelpers``: registry to name of helper."""
    store: str | None = None
    """``credsStore``: the helper for registries that have none of their own."""
    legacy: bool = False

    def find_helper(self, host: str) -> tuple[str, str] | None:
        """The helper for ``host`` and the name it knows the registry by."""
        for key in (
            host,
            *(key for key in self.helpers if normalize_host(key) == normalize_host(host)),
        ):
            if key in self.helpers:
                return self.helpers[key], key
        return None

    def find_credentials(self, host: str, path: str) -> Credentials:
        """The entry for the longest namespace of ``host/path``, else for ``host`` in any form.

        Raises:
            ConfigError: the entry cannot be decoded.
        """
        exact = (
            []
            if self.legacy
            else [key for key in list_key_candidates(host, path) if key in self.entries]
        )
        for key in (*exact, *self.find_keys(host)):
            found = _decode(self.entries[key], f"{self.path}: the entry {normalize_host(key)!r}")
            if not found.anonymous:  # docker leaves empty entries where a helper is used
                return found
        return ANONYMOUS

    def find_keys(self, host: str) -> list[str]:
        """The entries for ``host`` itself, however it is written."""
        return [key for key in self.entries if self._host_of(key) == normalize_host(host)]

    def _host_of(self, key: str) -> str | None:
        """The host that ``key`` stands for; None where it stands for a namespace of one."""
        is_url = key.startswith(("http://", "https://"))
        return normalize_host(key) if is_url or self.legacy or "/" not in key else None


def read(location: AuthLocation) -> AuthFile:
    """Read a file; one that is not there, and need not be, is empty.

    Raises:
        ConfigError: it cannot be read or believed, or was named and is not there.
    """
    raw = bounded_read.read(location.path)
    if raw is None:
        if location.required:
            raise ConfigError(
                f"{location.path}: there is no such file of credentials",
                hint=f"airbundle login --authfile {location.path} REGISTRY makes it",
            )
        return AuthFile(location.path, legacy=location.legacy)
    return parse(raw, location.path, legacy=location.legacy)


def parse(raw: bytes, path: Path, *, legacy: bool = False) -> AuthFile:
    """Read a file's bytes.

    Raises:
        ConfigError: with the path, and the line where it is not JSON.
    """
    return from_document(load_document(raw, path), path, legacy=legacy)


def from_document(document: dict[str, Any], path: Path, *, legacy: bool = False) -> AuthFile:
    """View a file's JSON object; the same dictionaries, not copies of them.

    Raises:
        ConfigError: a member has the wrong type.
    """
    auths = document if legacy else _mapping(document, "auths", path)
    helpers = {} if legacy else _mapping(document, "credHelpers", path)
    store = None if legacy else document.get("credsStore")
    if store is not None and not isinstance(store, str):
        raise ConfigError(f"{path}: credsStore is not a string")
    for key, value in auths.items():
        if not isinstance(value, dict):
            raise ConfigError(f"{path}: the entry {normalize_host(key)!r} is not an object")
    for key, value in helpers.items():
        if not isinstance(value, str):
            raise ConfigError(f"{path}: credHelpers: {normalize_host(key)!r} is not a string")
    return AuthFile(path, auths, helpers, store or None, legacy)


def load_document(raw: bytes, path: Path) -> dict[str, Any]:
    """The file's JSON object.

    Raises:
        ConfigError: it is not one.
    """
    try:
        return strict.load_object(raw, subject=str(path), limit=bounded_read.MAX_SIZE)
    except (MalformedError, LimitError) as error:
        raise ConfigError(
            error.message, hint="mend the file, or name another with --authfile"
        ) from None


def list_key_candidates(host: str, path: str) -> Iterator[str]:
    """``host/a/b``, ``host/a``, ``host``: the names of an entry, most specific first."""
    parts = [part for part in path.split("/") if part]
    for length in range(len(parts), -1, -1):
        yield "/".join([host, *parts[:length]])


def normalize_host(key: str) -> str:
    """The registry that a key or URL stands for, without what may be secret in a URL."""
    bare = key.removeprefix("https://").removeprefix("http://")
    host = bare.split("/", 1)[0].rpartition("@")[2]
    return "docker.io" if host in _DOCKER_HUB else host


def to_server_name(host: str) -> str:
    """The name by which docker has a ``credsStore`` keep the credentials for ``host``."""
    return DOCKER_HUB_KEY if host in _DOCKER_HUB else host


def to_credentials(username: str, secret: str) -> Credentials:
    """What a name and a secret mean together, in a file or from a helper."""
    if username == TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username=username, password=secret)


def _decode(entry: dict[str, Any], what: str) -> Credentials:
    auth, identity, bearer = (
        _text(entry, key, what) for key in ("auth", "identitytoken", "registrytoken")
    )
    username, password = _text(entry, "username", what), _text(entry, "password", what)
    if auth:
        try:
            username, colon, password = (
                base64.b64decode(auth, validate=True).decode().partition(":")
            )
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise ConfigError(f"{what}: auth is not base64 text") from None
        if not colon:
            raise ConfigError(f"{what}: auth does not hold user:password")
        password = password.strip("\0")
    if identity or bearer:
        return Credentials(username or None, password or None, identity or None, bearer or None)
    return to_credentials(username, password) if username else ANONYMOUS


def _text(entry: dict[str, Any], key: str, what: str) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigError(f"{what}: {key} is not a string")
    return value


def _mapping(document: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {key} is not an object")
    return value
