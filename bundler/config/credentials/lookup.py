"""Lookup of the credentials for a repository in authfiles and credential helpers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bundler.config.credentials import auth_file
from bundler.config.registries_conf import AUTH_FILES
from bundler.config.registry_access import ANONYMOUS, Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.config.credentials.auth_file import AuthFile
    from bundler.config.paths import AuthLocation


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

        ``locations`` are the authfiles. ``helpers`` are names in the order of their use;
        ``AUTH_FILES`` means the authfiles.

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
                file = self._files[location.path] = auth_file.read(location)
            helper = file.find_helper(host)
            if helper is not None:
                found = self._run_helper(*helper)
            else:
                found = file.find_credentials(host, path)
                if found.anonymous and file.store is not None:
                    found = self._run_helper(file.store, auth_file.to_server_name(host))
            if not found.anonymous:
                return found
        return ANONYMOUS

    def _run_helper(self, helper: str, server: str) -> Credentials:
        key = (helper, server)
        if key not in self._helper_credentials:
            from bundler.config.credentials import credential_helper  # noqa: PLC0415 - few users have helpers

            self._helper_credentials[key] = credential_helper.get(helper, server, self._environment)
        return self._helper_credentials[key]
