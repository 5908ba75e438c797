"""Client of credential helpers: the programs ``docker-credential-NAME``.

A helper receives a verb as its argument, and a registry or a JSON document on stdin. It prints a
JSON document or an error message.

https://github.com/docker/docker-credential-helpers#development
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import subprocess
import time
from functools import partial
from typing import IO, TYPE_CHECKING, cast

from bundler.config.credentials.auth_file import TOKEN_USER, to_credentials
from bundler.config.registry_access import ANONYMOUS, Credentials
from bundler.errors import BundlerError, ConfigError, CredentialHelperError
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
    deadline = time.monotonic() + timeout
    try:
        process = subprocess.Popen(
            [found, verb],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=dict(environment),
        )
    except OSError as error:
        raise fail(f"cannot be started: {error.strerror}", os_error=error) from None
    with process:
        try:
            output = _communicate(process, data, deadline)
            if len(output) > MAX_OUTPUT:
                raise fail(f"printed more than {MAX_OUTPUT:,} bytes")
            status = process.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise fail(f"no response within {timeout:g} seconds") from None
        finally:
            process.kill()
    if status == 0:
        return output
    text = output.decode("utf-8", "replace")
    if verb in ("get", "erase") and _NOT_FOUND in text.lower():
        return None
    lines = text.strip().splitlines()
    # Do not quote JSON, which may contain a secret.
    reason = lines[0][:200] if lines and "{" not in lines[0] else f"exit status {status}"
    reason = "".join(char for char in reason if char.isprintable())
    raise fail(reason, status=status)


def _communicate(process: subprocess.Popen[bytes], data: bytes, deadline: float) -> bytes:
    """Write ``data`` and read the output at the same time, until ``deadline``.

    The helper may print its output or exit before it has read its input, and a background process
    that it started may keep the pipe open.
    """
    stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    os.set_blocking(stdin.fileno(), False)
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdin, selectors.EVENT_WRITE)
        selector.register(stdout, selectors.EVENT_READ)
        while len(output) <= MAX_OUTPUT:
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if key.fileobj is stdout:
                    chunk = os.read(stdout.fileno(), 64 * 1024)
                    if not chunk:
                        return output
                    output += chunk
                else:
                    try:
                        data = data[os.write(stdin.fileno(), data) :]
                    except BrokenPipeError:
                        data = b""
                    if not data:
                        selector.unregister(stdin)
                        stdin.close()
    return output
