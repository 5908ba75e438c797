"""Signing keys from files, and prompts for their passphrases before the run starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.runtime.prompts import prompt
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.cli.runtime.context import CommandContext
    from bundler.trust.keys import PrivateKey


def read_private_keys(
    context: CommandContext, paths: Sequence[Path], passphrase_file: Path | None
) -> tuple[PrivateKey, ...]:
    """Read private keys; prompt for each passphrase that is not read from a file.

    A signal or ``--command-timeout`` ends the decryption.

    Raises:
        UsageError: if a passphrase is wrong, or cannot be prompted for without a terminal.
    """
    file_passphrase = None if passphrase_file is None else read_passphrase(passphrase_file)
    if not paths:
        return ()
    from bundler.trust import keys  # noqa: PLC0415 - loads cryptography

    files = []
    for path in paths:
        pem = keys.read_key_file(path)
        passphrase = file_passphrase
        if passphrase is None and keys.needs_passphrase(pem):
            passphrase = ask_for_passphrase(f"Passphrase of {path}")
        files.append((pem, passphrase, str(path)))
    with context.run() as run:
        return tuple(keys.parse_private_key(*file, run.cancellation) for file in files)


def read_passphrase(path: Path, *, may_be_empty: bool = False) -> bytes:
    """Read a passphrase from the first line of a file, without the line end."""
    try:
        with path.open("rb") as file:
            line = file.readline(4096).rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", path=str(path), os_error=error) from None
    if not line and not may_be_empty:
        raise ConfigError(f"{path}: first line is empty (expected the passphrase)")
    return line


def ask_for_passphrase(
    subject: str, *, twice: bool = False, option: str = "--passphrase-file FILE"
) -> bytes:
    """Prompt on the terminal, without echo; with ``twice``, require the answer to be repeated.

    ``option`` is the alternative to a prompt, for the hint.

    Raises:
        UsageError: if standard input is not a terminal.
    """
    return prompt(subject, hidden=True, twice=twice, hint=f"use {option}").encode()
