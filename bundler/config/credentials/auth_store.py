"""Store and remove credentials, in an authfile or in the credential helper of its entry.

A file is replaced atomically, can be read by its owner only, and keeps its unknown members. If the
path is a symbolic link, the file that it points to is replaced.
"""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bundler.config import config_file
from bundler.config.credentials import auth_file, credential_helper
from bundler.content.files import file_lock
from bundler.content.files.atomic_write import write_bytes
from bundler.content.files.safe_directory import Directory
from bundler.errors import BundlerError, ConfigError, MediumError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bundler.config.credentials.auth_file import AuthFile
    from bundler.config.registry_access import Credentials

LOCK_TIMEOUT = 10.0
"""Number of seconds to wait for the lock of the directory."""


def store(path: Path, key: str, credentials: Credentials, environment: Mapping[str, str]) -> str:
    """Store ``credentials`` for ``key``; return their location, for messages.

    Args:
        path: the authfile; it and its directory are created if necessary.
        key: ``host[:port]``, ``host[:port]/namespace``, or Docker's URL for Docker Hub.
        credentials: a user name and a password, or an identity token.
        environment: the environment of helpers.

    Raises:
        ConfigError: the file is invalid or cannot be written, or the helper fails.
        LockedError: another process holds the lock of the directory.
    """
    host, namespaced = _split_key(key)
    with _edit(path) as document:
        file = auth_file.parse_document(document, path)
        helper = file.find_helper(host)
        if helper is None and file.store is not None and not namespaced:
            helper = (file.store, auth_file.to_server_name(host))
            _set_entry(
                document, file, helper[1], {}
            )  # like Docker, mark that the helper has the credentials
        elif helper is None:
            _set_entry(document, file, key, _to_entry(credentials))
            return str(path)
        name, server = helper
        if namespaced:
            raise ConfigError(
                f"{path}: the credential helper {name} stores credentials for registries only, "
                "not for namespaces",
                hint=f"log in to {host}, or specify another file with --authfile",
            )
        credential_helper.store(name, server, credentials, environment)
        return f"credential helper {name}"


def remove(path: Path, key: str, environment: Mapping[str, str]) -> bool:
    """Remove ``key`` from the file and its helpers; return whether it was stored.

    Raises:
        ConfigError, LockedError: as for ``store``.
    """
    if config_file.read(path) is None:
        return False
    host, namespaced = _split_key(key)
    with _edit(path) as document:
        file = auth_file.parse_document(document, path)
        names = {key} if namespaced else {key, *file.find_keys(host)}
        removed = [file.entries.pop(name) for name in names & file.entries.keys()]
        was_stored = any(removed)
        if namespaced:
            return was_stored
        helper = file.find_helper(host)
        if helper is None and file.store is not None:
            helper = (file.store, auth_file.to_server_name(host))
        return (helper is not None and credential_helper.erase(*helper, environment)) or was_stored


def remove_all(path: Path, environment: Mapping[str, str]) -> None:
    """Remove all registries from the file and its helpers.

    Raises:
        ConfigError, LockedError: as for ``store``.
    """
    if config_file.read(path) is None:
        return
    with _edit(path) as document:
        file = auth_file.parse_document(document, path)
        for server, name in file.helpers.items():
            credential_helper.erase(name, server, environment)
        if file.store is not None:
            for server in credential_helper.list_servers(file.store, environment):
                credential_helper.erase(file.store, server, environment)
        document["auths"] = {}


def _set_entry(document: dict[str, Any], file: AuthFile, key: str, entry: dict[str, str]) -> None:
    """Set an entry, and remove entries for other spellings of the same registry."""
    host, namespaced = _split_key(key)
    for name in file.find_keys(host):
        if name != key and not namespaced:
            del file.entries[name]
    file.entries[key] = entry
    document["auths"] = file.entries


def _split_key(key: str) -> tuple[str, bool]:
    """Return the registry of ``key``, and whether ``key`` is a namespace in it."""
    if key == auth_file.DOCKER_HUB_KEY:
        return auth_file.normalize_host(key), False
    host, slash, _ = key.partition("/")
    return host, bool(slash)


@contextmanager
def _edit(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the document of the file, and write it if the block changed it and did not raise."""
    try:
        target = path.resolve()
        _create_private_directory(target.parent)
    except (OSError, RuntimeError) as error:
        raise _create_write_error(path, error) from None
    with _lock(target.parent, path):
        raw = config_file.read(target)
        document = auth_file.parse_json(raw, path) if raw is not None else {}
        before = json.dumps(document)
        yield document
        if json.dumps(document) == before:
            return
        data = json.dumps(document, indent="\t", ensure_ascii=False).encode("utf-8")
        try:
            write_bytes(target, data, mode=0o600)
        except MediumError as error:
            raise _create_write_error(path, error) from None


def _create_private_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    _create_private_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _lock(directory: Path, path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the directory, as Podman and Skopeo do."""
    try:
        opened = Directory.open(directory)
    except BundlerError as error:
        raise _create_write_error(path, error.os_error or error) from None
    with opened:
        file_lock.lock(opened, timeout=LOCK_TIMEOUT)
        yield


def _to_entry(credentials: Credentials) -> dict[str, str]:
    username, token = credentials.username or "", credentials.identity_token
    if token is not None:
        pair = f"{username or auth_file.TOKEN_USER}:"
    else:
        pair = f"{username}:{credentials.password or ''}"
    entry = {"auth": base64.b64encode(pair.encode()).decode("ascii")}
    return entry if token is None else {**entry, "identitytoken": token}


def _create_write_error(path: Path, error: Exception) -> ConfigError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return ConfigError(
        f"{path}: credentials cannot be written: {reason}",
        hint="specify another file with --authfile or REGISTRY_AUTH_FILE",
    )
