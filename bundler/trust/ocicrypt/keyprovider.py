"""A secret wrapped by somebody else's program, which a configuration names.

The program gets a question in JSON on its standard input and answers on its standard output.

https://github.com/containers/ocicrypt/blob/v1.2.1/docs/keyprovider.md
"""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.errors import ConfigError, UnsupportedError, UsageError
from bundler.oci.json import fields, strict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SECONDS = 120
_MAX_FILE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Command:
    """How to ask a provider; no arguments: it cannot be asked by a program."""

    arguments: tuple[str, ...]


def load_commands(path: Path | None) -> dict[str, Command]:
    """The providers in the configuration at ``path``; none where there is no such file.

    Raises:
        ConfigError: it cannot be read or understood.
    """
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    what = str(path)
    whole = strict.load_object(data, subject=what, limit=_MAX_FILE)
    providers = fields.obj(whole, "key-providers", what) or {}
    return {name: _command(providers, name, what) for name in providers}


def find_command(name: str, commands: Mapping[str, Command]) -> Command:
    """The provider called ``name``.

    Raises:
        UsageError: there is none.
        UnsupportedError: it is a network service.
    """
    command = commands.get(name)
    if command is None:
        raise UsageError(
            f"no key provider is called {name!r}",
            hint="OCICRYPT_KEYPROVIDER_CONFIG names the file that lists them",
        )
    if not command.arguments:
        raise UnsupportedError(
            f"the key provider {name!r} is asked by gRPC, which is not supported"
        )
    return command


def wrap(secret: bytes, name: str, told: str, command: Command) -> bytes:
    """``secret`` as the provider wraps it."""
    parameters = {name: [_text(told.encode())]}
    question = {
        "op": "keywrap",
        "keywrapparams": {
            "ec": {"Parameters": parameters, "DecryptConfig": {"Parameters": None}},
            "optsdata": _text(secret),
        },
        "keyunwrapparams": {"dc": None, "annotation": None},
    }
    return _ask(question, name, command, "keywrapresults", "annotation")


def unwrap(packet: bytes, name: str, told: str, command: Command) -> bytes:
    """The secret in ``packet`` as the provider unwraps it."""
    parameters = {name: [_text(told.encode())]}
    question = {
        "op": "keyunwrap",
        "keywrapparams": {"ec": None, "optsdata": None},
        "keyunwrapparams": {"dc": {"Parameters": parameters}, "annotation": _text(packet)},
    }
    return _ask(question, name, command, "keyunwrapresults", "optsdata")


def _ask(question: dict[str, Any], name: str, command: Command, part: str, key: str) -> bytes:
    what = f"the key provider {name!r}"
    try:
        answer = subprocess.run(
            command.arguments,
            input=json.dumps(question).encode(),
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except OSError as error:
        raise ConfigError(f"{what} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"{what} did not answer for {_SECONDS} seconds") from None
    if answer.returncode:
        raise UsageError(f"{what} failed with status {answer.returncode}")
    results = fields.obj(strict.load_object(answer.stdout, subject=what), part, what) or {}
    try:
        return b64decode(fields.text(results, key, what) or "", validate=True)
    except ValueError:
        raise ConfigError(f"{what} did not answer in base64") from None


def _command(providers: dict[str, Any], name: str, what: str) -> Command:
    provider = fields.obj(providers, name, what) or {}
    command = fields.obj(provider, "cmd", what)
    if command is None:
        return Command(())
    path = fields.text(command, "path", what)
    if path is None:
        raise ConfigError(f"{what}: the key provider {name!r} has no path")
    return Command((path, *fields.texts(command, "args", what)))


def _text(data: bytes) -> str:
    return b64encode(data).decode()
