"""Client of credential helpers: the programs ``docker-credential-NAME``.

A helper receives a verb as its argument, and a registry or a JSON document on stdin. It prints a
JSON document or an error message.

https://github.com/docker/docker-credential-helpers#development
"""

from __future__ import annotations

import json
import os
import re
import shutil
from functools import partial
from typing import TYPE_CHECKING

from bundler.cancel import Cancellation
from bundler.config.credentials.auth_file import TOKEN_USER, to_credentials
from bundler.config.registry_access import ANONYMOUS, Credentials
from bundler.content.run_program import run_program
from bundler.errors import BundlerError, ConfigError, CredentialHelperError, LimitError
from bundler.oci.json import strict
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT = 60.0
"""Time limit in seconds, long enough for a user to unlock a keychain."""
MAX_OUTPUT = 1024 * 1024
_PREFIX = "docker-credential-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOT_FOUND = "credentials not found"


def get(
    name: str, server: str, environment: Mapping[str, str], *, timeout: float = TIMEOUT
) -> Credentials:
    """Return the credentials for ``server``, anonymous if the helper has none.

    The helper is the program ``docker-credential-NAME`` on PATH in ``environment``. It is killed
    after ``timeout`` seconds.

    Raises:
        CredentialHelperError: the program does not exist, fails, or prints invalid output.
    """
    output = _run(name, "get", server.encode(), environment, timeout)
    if output is None:
        return ANONYMOUS
    try:
        document = Table.parse(output, name)
        username = document.optional_text("Username")
        secret = document.optional_text("Secret")
    except BundlerError:
        # The output may contain the secret, so the message does not quote it.
        problem = "invalid output (expected JSON with Username and Secret)"
        raise CredentialHelperError(f"{_PREFIX}{name}", "get", problem, status=0) from None
    # For an unknown registry, docker-credential-pass prints an empty name instead of an error.
    return to_credentials(username, secret or "") if username else ANONYMOUS


def store(name: str, server: str, credentials: Credentials, environment: Mapping[str, str]) -> None:
    """Store ``credentials`` for ``server``; arguments as for ``get``.

    Raises:
        CredentialHelperError: the helper fails.
    """
    document = {
        "ServerURL": server,
        "Username": TOKEN_USER if credentials.identity_token else credentials.username,
        "Secret": credentials.identity_token or credentials.password,
    }
    _run(name, "store", json.dumps(document).encode(), environment)


def erase(name: str, server: str, environment: Mapping[str, str]) -> bool:
    """Remove the credentials for ``server``; return whether any existed.

    Raises:
        CredentialHelperError: the helper fails.
    """
    was_stored = not get(name, server, environment).anonymous
    return _run(name, "erase", server.encode(), environment) is not None and was_stored


def list_servers(name: str, environment: Mapping[str, str]) -> list[str]:
    """List the registries for which the helper has credentials.

    Raises:
        CredentialHelperError: the helper fails, or does not print JSON.
    """
    output = _run(name, "list", b"", environment) or b""
    try:
        return list(strict.load_object(output))
    except BundlerError:
        problem = "invalid output (expected JSON)"
        raise CredentialHelperError(f"{_PREFIX}{name}", "list", problem, status=0) from None


def _run(
    name: str, verb: str, data: bytes, environment: Mapping[str, str], timeout: float = TIMEOUT
) -> bytes | None:
    """Return the output of the helper; None if it has no credentials to get or erase."""
    if _NAME.fullmatch(name) is None:
        raise ConfigError(f"credential helper: invalid name {name[:80]!r}")
    program = f"{_PREFIX}{name}"
    fail = partial(CredentialHelperError, program, verb)
    found = shutil.which(program, path=environment.get("PATH", os.defpath))
    if found is None:
        hint = "install it, or remove it from credHelpers, credsStore or credential-helpers"
        raise fail("not found on PATH", hint=hint)
    try:
        result = run_program(
            (found, verb),
            data,
            Cancellation(),
            max_output=MAX_OUTPUT,
            timeout=timeout,
            environment=environment,
            on_terminal=True,
        )
    except OSError as error:
        raise fail(f"cannot be started: {error.strerror}", os_error=error) from None
    except LimitError as error:
        raise fail(error.message_without(f"{program}: ")) from None
    if result.status == 0:
        return result.output
    text = result.output.decode("utf-8", "replace")
    if verb in ("get", "erase") and _NOT_FOUND in text.lower():
        return None
    lines = text.strip().splitlines()
    # Do not quote JSON, which may contain a secret.
    reason = lines[0][:200] if lines and "{" not in lines[0] else f"exit status {result.status}"
    reason = "".join(char for char in reason if char.isprintable())
    raise fail(reason, status=result.status)
