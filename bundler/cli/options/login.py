"""The credentials file of ``login`` and ``logout``, and the steps of a login."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING

from bundler.cli.options.common import PATH
from bundler.cli.options.option import Decorated, option_group, refuse_conflicts, spec
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.cli.runtime.context import CommandContext
    from bundler.config.registry_access import Credentials, RegistryOverride
    from bundler.images.login import CredentialScope, CredentialStore

_MAX_PASSWORD = 64 * 1024  # bytes; longer than any token


def credential_store(function: Decorated) -> Decorated:
    """Add the options that select the credentials file, passed as ``store``."""

    def select(authfile: Path | None, compat_auth_file: Path | None) -> CredentialStore:
        from bundler.images.login import CredentialStore  # noqa: PLC0415 - not for --help

        refuse_conflicts({"--authfile": authfile, "--compat-auth-file": compat_auth_file})
        return CredentialStore(authfile or compat_auth_file, compat_auth_file is not None)

    options = {
        "authfile": spec("--authfile", type=PATH, help="Use this authfile for the credentials."),
        "compat_auth_file": spec(
            "--compat-auth-file",
            type=PATH,
            help="Use this file for the credentials, in the format of Docker's config.json.",
        ),
    }
    return option_group(select, "store", "Credentials", options)(function)


def complete_credentials(
    stored: Credentials,
    username: str | None,
    password: str | None,
    *,
    from_stdin: bool,
    ask_username: Callable[[], str],
    ask_password: Callable[[str], str],
) -> Credentials | None:
    """Return the credentials to store; None to check those ``stored`` again.

    Missing parts are read from standard input or prompted for.

    Raises:
        UsageError: if the password on standard input is too long.
    """
    from bundler.config.registry_access import Credentials  # noqa: PLC0415 - not for --help

    if username is None and password is None and not from_stdin and not stored.anonymous:
        return None
    if from_stdin:
        raw = sys.stdin.buffer.read(_MAX_PASSWORD + 1)
        if len(raw) > _MAX_PASSWORD:
            raise UsageError(f"the password is longer than {_MAX_PASSWORD:,} bytes")
        password = os.fsdecode(raw).rstrip("\r\n")
    username = ask_username() if username is None else username
    password = ask_password(username) if password is None else password
    return Credentials(username=username, password=password)


def run_login(
    context: CommandContext,
    registry: CredentialScope,
    credentials: Credentials | None,
    *,
    stored: Credentials,
    override: RegistryOverride,
    store: CredentialStore,
) -> str | None:
    """Check ``credentials`` with the registry and store them; if None, check those ``stored``.

    Returns:
        The file or helper in which the credentials were stored; None if none were stored.
    """
    from bundler.images import login  # noqa: PLC0415 - not for --help

    settings = context.settings
    with context.run() as run:
        check_access = functools.partial(login.ping, cancellation=run.cancellation, emit=run.emit)
        if credentials is None:
            login.check_credentials(registry, stored, settings, check_access, override=override)
            return None
        return login.store_login(
            registry, credentials, settings, check_access, override=override, store=store
        )
