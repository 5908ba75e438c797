"""Keys and passphrases, asked for before anything else happens."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bundler.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.trust.keys import PrivateKey, PublicKey


def private_keys(paths: Sequence[Path], passphrase_file: Path | None) -> tuple[PrivateKey, ...]:
    """Read the keys to sign with; on a terminal, ask for each passphrase that is needed.

    Raises:
        UsageError: a passphrase is needed and nobody is there to be asked, or it is wrong.
        NotFoundError, ConfigError, UnsupportedError: a file that holds no such key.
    """
    given = None if passphrase_file is None else first_line(passphrase_file)
    if not paths:
        return ()
    from bundler.trust import keys  # noqa: PLC0415 - loads cryptography

    found = []
    for path in paths:
        pem = keys.read_key_file(path)
        passphrase = given
        if given is None and keys.needs_passphrase(pem):
            passphrase = ask(f"Passphrase of {path}")
        found.append(keys.parse_private_key(pem, passphrase, str(path)))
    return tuple(found)


def public_keys(paths: Sequence[Path]) -> tuple[PublicKey, ...]:
    """Read the keys to trust.

    Raises:
        NotFoundError, ConfigError, UnsupportedError: a file that holds no such key.
    """
    if not paths:
        return ()
    from bundler.trust import keys  # noqa: PLC0415 - loads cryptography

    return tuple(keys.read_public_key(path) for path in paths)


def first_line(path: Path) -> bytes:
    """The passphrase in a file: its first line, without the line's end.

    Raises:
        ConfigError: the file cannot be read, or its first line is empty.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(4096).rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if not line:
        raise ConfigError(f"{path}: its first line, which should be the passphrase, is empty")
    return line


def ask(question: str, *, twice: bool = False) -> bytes:
    """Ask on the terminal, without showing the answer.

    Raises:
        UsageError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question}: there is no terminal to ask on", hint="give --passphrase-file FILE"
        )
    answer: str = click.prompt(question, hide_input=True, confirmation_prompt=twice, err=True)
    return answer.encode()
