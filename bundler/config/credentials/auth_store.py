"""Store and remove credentials, in an authfile or in the credential helper that it configures.

An authfile is replaced atomically. The new file is readable only by its owner and keeps unknown
members. If the path is a symbolic link, its target is replaced. Every change
first removes unfinished files, which contain credentials if a process was killed.
"""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bundler.config import config_file
from bundler.config.credentials import auth_file, credential_helper
from bundler.content.files import part_files
from bundler.content.files.atomic_write import write_bytes
from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_lock import hold
from bundler.errors import BundlerError, ConfigError, MediumError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bundler.config.credentials.auth_file import AuthFile
    from bundler.config.registry_access import Credentials

LOCK_TIMEOUT = 10.0
"""Timeout in seconds for locking the directory."""


def store(path: Path, key: str, credentials: Credentials, environment: Mapping[str, str]) -> str:
    """Store ``credentials`` for ``key``; return where they are stored, for messages.

    The authfile ``path`` and its directory are created if necessary. ``key`` is ``host[:port]``,
    ``host[:port]/namespace``, or Docker's URL for Docker Hub. Helpers receive ``environment``.

    Raises:
        ConfigError: the file is invalid or cannot be written, or the helper fails.
        LockedError: another process holds the lock of the directory.
    """
    host, namespaced = _split_key(key)
    with _edit(path) as file:
        helper = file.find_helper(host)
        if helper is None and file.store is not None and not namespaced:
            helper = (file.store, auth_file.to_server_name(host))
            # Like Docker, mark with an empty entry that the helper has the credentials.
            _set_entry(file, helper[1], {})
        elif helper is None:
            token, more = credentials.identity_token, {}
            pair = f"{credentials.username or ''}:{credentials.password or ''}"
            if token is not None:
                pair = f"{credentials.username or auth_file.TOKEN_USER}:"
                more = {"identitytoken": token}
            auth = base64.b64encode(pair.encode()).decode("ascii")
            _set_entry(file, key, {"auth": auth, **more})
            return str(path)
        name, server = helper
        if namespaced:
            raise ConfigError(
                f"{path}: the credential helper {name} stores credentials for registries only, "
                "not for namespaces",
                path=str(path),
                hint=f"log in to {host}, or specify another file with --authfile",
            )
        credential_helper.store(name, server, credentials, environment)
        return f"credential helper {name}"


def remove(path: Path, key: str, environment: Mapping[str, str]) -> bool:
    """Remove the credentials for ``key``; return whether any existed. Raises like ``store``."""
    if config_file.read(path) is None:
        _remove_unfinished(path)
        return False
    host, namespaced = _split_key(key)
    with _edit(path) as file:
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
    """Remove all credentials from the file and its helpers. Raises like ``store``."""
    if config_file.read(path) is None:
        _remove_unfinished(path)
        return
    with _edit(path) as file:
        for server, name in file.helpers.items():
            credential_helper.erase(name, server, environment)
        if file.store is not None:
            for server in credential_helper.list_servers(file.store, environment):
                credential_helper.erase(file.store, server, environment)
        file.document["auths"] = {}


def _set_entry(file: AuthFile, key: str, entry: dict[str, str]) -> None:
    """Set an entry, and remove entries for the same registry under other keys."""
    host, namespaced = _split_key(key)
    for name in file.find_keys(host):
        if name != key and not namespaced:
            del file.entries[name]
    file.entries[key] = entry
    file.document["auths"] = file.entries


def _split_key(key: str) -> tuple[str, bool]:
    """Return the registry of ``key``, and whether ``key`` is a namespace in it."""
    if key == auth_file.DOCKER_HUB_KEY:
        return auth_file.normalize_host(key), False
    host, slash, _ = key.partition("/")
    return host, bool(slash)


@contextmanager
def _edit(path: Path) -> Iterator[AuthFile]:
    """Yield the file for editing; afterwards, write it if it was changed.

    Its directory is locked exclusively, as in Podman and Skopeo.
    """
    try:
        target = path.resolve()
        _create_private_directory(target.parent)
        directory = Directory.open(target.parent)
    except (OSError, RuntimeError, BundlerError) as error:
        raise _create_write_error(path, error) from None
    with directory, hold(directory, timeout=LOCK_TIMEOUT):
        part_files.remove_stale_parts(directory)
        raw = config_file.read(target)
        file = auth_file.parse(b"{}" if raw is None else raw, path)
        before = json.dumps(file.document)
        yield file
        if json.dumps(file.document) == before:
            return
        data = json.dumps(file.document, indent="\t", ensure_ascii=False).encode("utf-8")
        try:
            write_bytes(target, data, mode=0o600)
        except MediumError as error:
            raise _create_write_error(path, error) from None


def _remove_unfinished(path: Path) -> None:
    """Remove the credentials that a killed process left beside an authfile that does not exist."""
    with (
        suppress(NotFoundError),
        Directory.open(path.resolve().parent) as directory,
        hold(directory, timeout=LOCK_TIMEOUT),
    ):
        part_files.remove_stale_parts(directory)


def _create_private_directory(directory: Path) -> None:
    if not directory.is_dir():
        _create_private_directory(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def _create_write_error(path: Path, error: Exception) -> ConfigError:
    if isinstance(error, BundlerError):
        error = error.os_error or error
    os_error = error if isinstance(error, OSError) else None
    reason = (os_error and os_error.strerror) or error
    return ConfigError(
        f"{path}: credentials cannot be written: {reason}",
        path=str(path),
        os_error=os_error,
        hint="specify another file with --authfile or REGISTRY_AUTH_FILE",
    )
