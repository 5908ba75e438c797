"""Finds credentials: through the helpers of registries.conf and the files of credentials."""

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
    """Answers with the first credentials found; reads each file and asks each helper once.

    Safe to use from several threads, which wait for one another while a helper is asked: it
    may be asking the user.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._files: dict[Path, AuthFile] = {}
        self._answers: dict[tuple[str, str], Credentials] = {}

    def find(
        self, host: str, path: str, locations: Sequence[AuthLocation], helpers: Sequence[str]
    ) -> Credentials:
        """The credentials for the repository ``path`` at ``host``; anonymous if there are none.

        Args:
            host: ``host[:port]`` as users write it.
            path: the repository, or empty for the registry itself.
            locations: the files of credentials, in order.
            helpers: names of helpers, in order; ``AUTH_FILES`` stands for the files.

        Raises:
            ConfigError: a file or a helper that has to be asked does not answer properly.
        """
        with self._lock:
            for name in helpers:
                if name == AUTH_FILES:
                    found = self._in_files(host, path, locations)
                else:
                    found = self._ask(name, host)
                if not found.anonymous:
                    return found
        return ANONYMOUS

    def _in_files(self, host: str, path: str, locations: Sequence[AuthLocation]) -> Credentials:
        for location in locations:
            file = self._files.get(location.path)
            if file is None:
                file = self._files[location.path] = auth_file.read(location)
            found = self._in_file(file, host, path)
            if not found.anonymous:
                return found
        return ANONYMOUS

    def _in_file(self, file: AuthFile, host: str, path: str) -> Credentials:
        helper = file.find_helper(host)
        if helper is not None:
            return self._ask(*helper)
        found = file.find_credentials(host, path)
        if found.anonymous and file.store is not None:
            return self._ask(file.store, auth_file.to_server_name(host))
        return found

    def _ask(self, helper: str, server: str) -> Credentials:
        key = (helper, server)
        if key not in self._answers:
            from bundler.config.credentials import credential_helper  # noqa: PLC0415 - few have helpers

            self._answers[key] = credential_helper.get(helper, server, self._environment)
        return self._answers[key]
