"""Key providers: external programs that wrap and unwrap secrets.

The program reads a JSON request from stdin and prints a JSON response on stdout.

https://github.com/containers/ocicrypt/blob/v1.2.1/docs/keyprovider.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from bundler.config import config_file
from bundler.content.run_program import run_program
from bundler.errors import ConfigError, LimitError, UnsupportedError, UsageError
from bundler.oci.json import strict
from bundler.oci.json.base64_strict import decode, encode
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.cancel import Cancellation

_TIMEOUT = 120


KeyproviderCommand: TypeAlias = tuple[str, ...]
"""The command line of a key provider; empty if the provider is a network service (gRPC)."""


def load_commands(path: Path | None) -> dict[str, KeyproviderCommand]:
    """Read the commands of the key providers in a configuration file, by name.

    The result is empty if ``path`` is None or the file does not exist.

    Raises:
        ConfigError: the file is unreadable or invalid.
    """
    raw = None if path is None else config_file.read(path)
    if path is None or raw is None:
        return {}
    document = config_file.parse_json(raw, path)
    providers = document.table("key-providers")
    commands: dict[str, KeyproviderCommand] = {}
    for name in providers.value:
        command = providers.table(name).optional_table("cmd")
        commands[name] = () if command is None else (command.text("path"), *command.texts("args"))
    return commands


def find_command(name: str, commands: Mapping[str, KeyproviderCommand]) -> KeyproviderCommand:
    """Find the command of the key provider ``name``.

    Raises:
        UsageError: the provider is not configured.
        UnsupportedError: the provider is a network service.
    """
    command = commands.get(name)
    if command is None:
        raise UsageError(
            f"key provider {name!r}: not configured",
            hint="set OCICRYPT_KEYPROVIDER_CONFIG to the file that configures it",
        )
    if not command:
        raise UnsupportedError(f"key provider {name!r}: gRPC is not supported")
    return command


def wrap(
    secret: bytes,
    name: str,
    parameter: str,
    command: KeyproviderCommand,
    cancellation: Cancellation,
) -> bytes:
    """Wrap ``secret`` with a key provider; raises as ``unwrap``."""
    parameters = {name: [encode(parameter.encode())]}
    request = {
        "op": "keywrap",
        "keywrapparams": {
            "ec": {"Parameters": parameters, "DecryptConfig": {"Parameters": None}},
            "optsdata": encode(secret),
        },
        "keyunwrapparams": {"dc": None, "annotation": None},
    }
    return _run(request, name, command, cancellation, part="keywrapresults", key="annotation")


def unwrap(
    packet: bytes,
    name: str,
    parameter: str,
    command: KeyproviderCommand,
    cancellation: Cancellation,
) -> bytes:
    """Unwrap the secret in ``packet`` with a key provider.

    Raises:
        ConfigError: the program cannot be started, or its response is invalid.
        UsageError: the program fails or does not respond in time.
        CancelledError: the run is cancelled.
    """
    parameters = {name: [encode(parameter.encode())]}
    request = {
        "op": "keyunwrap",
        "keywrapparams": {"ec": None, "optsdata": None},
        "keyunwrapparams": {"dc": {"Parameters": parameters}, "annotation": encode(packet)},
    }
    return _run(request, name, command, cancellation, part="keyunwrapresults", key="optsdata")


def _run(
    request: dict[str, Any],
    name: str,
    command: KeyproviderCommand,
    cancellation: Cancellation,
    *,
    part: str,
    key: str,
) -> bytes:
    subject = f"key provider {name!r}"
    try:
        result = run_program(
            command,
            json.dumps(request).encode(),
            cancellation,
            max_output=strict.MAX_DOCUMENT,
            timeout=_TIMEOUT,
            on_terminal=True,
        )
    except OSError as error:
        raise ConfigError(f"{subject}: cannot be started: {error.strerror}") from None
    except LimitError as error:
        program = command[0].rpartition("/")[2]
        raise UsageError(f"{subject}: {error.message_without(f'{program}: ')}") from None
    if result.status:
        raise UsageError(f"{subject}: exit status {result.status}")
    results = Table.parse(result.output, subject).table(part)
    return decode(results.optional_text(key) or "", f"{subject}: {key}", error=ConfigError)
