"""Writes credentials to a file of them, or has the helper keep them that the file names.

A file is replaced as a whole, readable by its owner only, with everything in it kept that is not
ours. A path that is a link stays one: the file that it leads to is replaced.
"""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bundler.config import bounded_read
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
"""Seconds to wait for another process that writes in the same directory."""


def store(path: Path, key: str, credentials: Credentials, environment: Mapping[str, str]) -> str:
    """Keep ``credentials`` for ``key``; where they are kept now, for a person to read.

    Args:
        path: the file; it and its directory are made if need be.
        key: ``host[:port]``, ``host[:port]/namespace``, or docker's URL for its hub.
        credentials: a user's name and password, or an identity token.
        environment: for helpers.

    Raises:
        ConfigError: the file is not in order or cannot be written, or the helper refuses.
        LockedError: another process holds its directory.
    """
    host, namespaced = _host(key)
    with _edited(path) as document:
        file = auth_file.from_document(document, path)
        helper = file.find_helper(host)
        if helper is None and file.store is not None and not namespaced:
            helper = (file.store, auth_file.to_server_name(host))
            _enter(document, file, helper[1], {})  # docker's mark
        elif helper is None:
            _enter(document, file, key, _entry(credentials))
            return str(path)
        name, server = helper
        if namespaced:
            raise ConfigError(
                f"{path}: the credential helper {name} keeps registries, not namespaces",
                hint=f"log in to {host}, or name another file with --authfile",
            )
        credential_helper.store(name, server, credentials, environment)
        return f"credential helper {name}"


def remove(path: Path, key: str, environment: Mapping[str, str]) -> bool:
    """Forget ``key`` in the file and its helpers; whether it was known.

    Raises:
        ConfigError, LockedError: as ``store``.
    """
    if bounded_read.read(path) is None:
        return False
    host, namespaced = _host(key)
    with _edited(path) as document:
        file = auth_file.from_document(document, path)
        names = {key} if namespaced else {key, *file.find_keys(host)}
        gone = [file.entries.pop(name) for name in names & file.entries.keys()]
        known = any(gone)
        if namespaced:
            return known
        helper = file.find_helper(host)
        if helper is None and file.store is not None:
            helper = (file.store, auth_file.to_server_name(host))
        return (helper is not None and credential_helper.erase(*helper, environment)) or known


def remove_all(path: Path, environment: Mapping[str, str]) -> None:
    """Forget every registry in the file and its helpers.

    Raises:
        ConfigError, LockedError: as ``store``.
    """
    if bounded_read.read(path) is None:
        return
    with _edited(path) as document:
        file = auth_file.from_document(document, path)
        for server, name in file.helpers.items():
            credential_helper.erase(name, server, environment)
        if file.store is not None:
            for server in credential_helper.list_servers(file.store, environment):
                credential_helper.erase(file.store, server, environment)
        document["auths"] = {}


def _enter(document: dict[str, Any], file: AuthFile, key: str, entry: dict[str, str]) -> None:
    """Set an entry; other spellings of the same registry go, which might be read before it."""
    host, namespaced = _host(key)
    for name in file.find_keys(host):
        if name != key and not namespaced:
            del file.entries[name]
    file.entries[key] = entry
    document["auths"] = file.entries


def _host(key: str) -> tuple[str, bool]:
    """The registry that ``key`` is for, and whether it is for a namespace in it."""
    if key == auth_file.DOCKER_HUB_KEY:
        return auth_file.normalize_host(key), False
    host, slash, _ = key.partition("/")
    return host, bool(slash)


@contextmanager
def _edited(path: Path) -> Iterator[dict[str, Any]]:
    """The file's document; written back at the end if it was changed and nothing was raised."""
    try:
        target = path.resolve()
        _make_private(target.parent)
    except (OSError, RuntimeError) as error:
        raise _unwritable(path, error) from None
    with _locked(target.parent, path):
        raw = bounded_read.read(target)
        document = auth_file.load_document(raw, path) if raw is not None else {}
        before = json.dumps(document)
        yield document
        if json.dumps(document) == before:
            return
        data = json.dumps(document, indent="\t", ensure_ascii=False).encode("utf-8")
        try:
            write_bytes(target, data, mode=0o600)
        except MediumError as error:
            raise _unwritable(path, error) from None


def _make_private(directory: Path) -> None:
    if directory.is_dir():
        return
    _make_private(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _locked(directory: Path, path: Path) -> Iterator[None]:
    """Exclude other processes that write credentials in ``directory``."""
    try:
        opened = Directory.open(directory)
    except BundlerError as error:
        raise _unwritable(path, error.os_error or error) from None
    with opened:
        file_lock.lock(opened, timeout=LOCK_TIMEOUT)
        yield


def _entry(credentials: Credentials) -> dict[str, str]:
    username = credentials.username or ""
    if credentials.identity_token is not None:
        return {
            "auth": _encoded(username or auth_file.TOKEN_USER, ""),
            "identitytoken": credentials.identity_token,
        }
    return {"auth": _encoded(username, credentials.password or "")}


def _encoded(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def _unwritable(path: Path, error: Exception) -> ConfigError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return ConfigError(
        f"{path}: credentials cannot be written there: {reason}",
        hint="name another file with --authfile, or set REGISTRY_AUTH_FILE",
    )
