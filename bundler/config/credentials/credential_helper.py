"""Speaks with ``docker-credential-NAME`` programs, which keep secrets in somebody's keychain.

https://github.com/docker/docker-credential-helpers#development: the verb is the argument, the
registry or a JSON document goes in, a JSON document or an error text comes out.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import subprocess
import time
from typing import IO, TYPE_CHECKING, cast

from bundler.config.credentials.auth_file import TOKEN_USER, to_credentials
from bundler.config.registry_access import ANONYMOUS, Credentials
from bundler.errors import BundlerError, ConfigError
from bundler.oci.json import fields, strict

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT = 60.0
"""Seconds; long enough for somebody to unlock a keychain."""
MAX_ANSWER = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOT_FOUND = "credentials not found"


def get(
    name: str, server: str, environment: Mapping[str, str], *, timeout: float = TIMEOUT
) -> Credentials:
    """What the helper ``name`` keeps for ``server``; anonymous if it keeps nothing.

    Args:
        name: what follows ``docker-credential-``.
        server: the registry by the name that the helper knows.
        environment: the program's variables; it is looked for on their PATH.
        timeout: seconds until it is stopped.

    Raises:
        ConfigError: there is no such program, it fails, or its answer is not understood.
    """
    status, answer = _run(name, "get", server.encode(), environment, timeout)
    if status != 0:
        if _NOT_FOUND in answer.decode("utf-8", "replace").lower():
            return ANONYMOUS
        raise _failed(name, "get", status, answer)
    try:
        document = strict.load_object(answer)
        username = fields.text(document, "Username", "it")
        secret = fields.text(document, "Secret", "it")
    except BundlerError:
        # The answer may hold the secret, so nothing of it is shown.
        raise ConfigError(
            f"docker-credential-{name} get: expected JSON with Username and Secret, got other text"
        ) from None
    # docker-credential-pass says an empty name, and no error, for a registry it does not know.
    return to_credentials(username, secret or "") if username else ANONYMOUS


def store(
    name: str,
    server: str,
    credentials: Credentials,
    environment: Mapping[str, str],
    *,
    timeout: float = TIMEOUT,
) -> None:
    """Have the helper ``name`` keep ``credentials`` for ``server``.

    Raises:
        ConfigError: it does not.
    """
    document = {
        "ServerURL": server,
        "Username": TOKEN_USER if credentials.identity_token else credentials.username,
        "Secret": credentials.identity_token or credentials.password,
    }
    status, answer = _run(name, "store", json.dumps(document).encode(), environment, timeout)
    if status != 0:
        raise _failed(name, "store", status, answer)


def erase(
    name: str, server: str, environment: Mapping[str, str], *, timeout: float = TIMEOUT
) -> bool:
    """Have the helper ``name`` forget ``server``; whether it knew it.

    Raises:
        ConfigError: it fails for another reason.
    """
    known = not get(name, server, environment, timeout=timeout).anonymous
    status, answer = _run(name, "erase", server.encode(), environment, timeout)
    if status != 0:
        if _NOT_FOUND in answer.decode("utf-8", "replace").lower():
            return False
        raise _failed(name, "erase", status, answer)
    return known


def list_servers(
    name: str, environment: Mapping[str, str], *, timeout: float = TIMEOUT
) -> list[str]:
    """The registries that the helper ``name`` keeps credentials for.

    Raises:
        ConfigError: it does not say.
    """
    status, answer = _run(name, "list", b"", environment, timeout)
    if status != 0:
        raise _failed(name, "list", status, answer)
    try:
        return list(strict.load_object(answer))
    except BundlerError:
        raise ConfigError(f"docker-credential-{name} list: its answer is not JSON") from None


def _run(
    name: str, verb: str, given: bytes, environment: Mapping[str, str], timeout: float
) -> tuple[int, bytes]:
    program = f"docker-credential-{name}"
    if _NAME.fullmatch(name) is None:
        raise ConfigError(f"{name[:80]!r} cannot be the name of a credential helper")
    found = shutil.which(program, path=environment.get("PATH", os.defpath))
    if found is None:
        raise ConfigError(
            f"{program}: a file of credentials or registries.conf names it, but it is not on PATH",
            hint="install it, or take credHelpers, credsStore or credential-helpers out",
        )
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
        raise ConfigError(f"{program}: cannot be started: {error.strerror}") from None
    with process:
        try:
            answer = _exchange(process, given, deadline)
            if len(answer) > MAX_ANSWER:
                raise ConfigError(f"{program} {verb}: answers more than {MAX_ANSWER:,} bytes")
            return process.wait(max(0.0, deadline - time.monotonic())), answer
        except (TimeoutError, subprocess.TimeoutExpired):
            raise ConfigError(f"{program} {verb}: no answer within {timeout:g} seconds") from None
        finally:
            process.kill()


def _exchange(process: subprocess.Popen[bytes], given: bytes, deadline: float) -> bytes:
    """Write and read at once: a helper may answer, or leave, without reading what it is given.

    The end of its output is waited for no longer than ``deadline``: a process that the helper
    left behind may hold the pipe open.
    """
    stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    os.set_blocking(stdin.fileno(), False)
    answer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdin, selectors.EVENT_WRITE)
        selector.register(stdout, selectors.EVENT_READ)
        while len(answer) <= MAX_ANSWER:
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if key.fileobj is stdout:
                    chunk = os.read(stdout.fileno(), 64 * 1024)
                    if not chunk:
                        return answer
                    answer += chunk
                else:
                    given = _write(stdin.fileno(), given)
                    if not given:
                        selector.unregister(stdin)
                        stdin.close()
    return answer


def _write(descriptor: int, data: bytes) -> bytes:
    """What is left to write; nothing where nobody reads any more."""
    try:
        return data[os.write(descriptor, data) :]
    except BrokenPipeError:
        return b""


def _failed(name: str, verb: str, status: int, answer: bytes) -> ConfigError:
    lines = answer.decode("utf-8", "replace").strip().splitlines()
    text = lines[0][:200] if lines and "{" not in lines[0] else f"exit status {status}"
    shown = "".join(char for char in text if char.isprintable())
    return ConfigError(f"docker-credential-{name} {verb}: {shown}")
