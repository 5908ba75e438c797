"""A secret for OpenPGP keys, by the program gpg and the keys that it knows.

https://www.rfc-editor.org/rfc/rfc4880#section-5.1
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 120


@dataclass(frozen=True, slots=True)
class SecretKey:
    """The content of an exported secret key, and its password."""

    data: bytes = field(repr=False)
    password: bytes | None = field(repr=False)


def wrap(secret: bytes, names: Sequence[str]) -> bytes:
    """``secret`` for the owners of the keys called ``names``.

    Raises:
        UsageError: gpg knows no such key.
    """
    wanted = [argument for name in names for argument in ("--recipient", name)]
    answer = _gpg("--trust-model", "always", "--encrypt", *wanted, data=secret)
    if answer.returncode:
        reason = answer.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(
            f"gpg cannot encrypt for {', '.join(names)}: {(reason or ['no reason given'])[-1]}",
            hint="gpg --list-keys tells whose keys there are",
        )
    return answer.stdout


def unwrap(packet: bytes, keys: Sequence[SecretKey]) -> bytes | None:
    """The secret in ``packet``, or None where none of ``keys`` opens it."""
    for key in keys:
        with tempfile.TemporaryDirectory(prefix="airbundle-", ignore_cleanup_errors=True) as home:
            at_home = ("--homedir", home)
            if _gpg(*at_home, "--import", data=key.data).returncode:
                continue
            try:
                opened = _decrypt(packet, at_home, key.password)
            finally:
                _stop_agent(home)
        if opened is not None:
            return opened
    return None


def _decrypt(packet: bytes, at_home: Sequence[str], password: bytes | None) -> bytes | None:
    reading, writing = os.pipe()
    try:
        os.write(writing, (password or b"")[:4096] + b"\n")
        os.close(writing)
        asking = ("--pinentry-mode", "loopback", "--passphrase-fd", str(reading))
        answer = _gpg(*at_home, *asking, "--decrypt", data=packet, keep=(reading,))
    finally:
        os.close(reading)
    return None if answer.returncode else answer.stdout


def _gpg(
    *arguments: str, data: bytes, keep: tuple[int, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["gpg", "--batch", "--no-tty", "--quiet", *arguments],
            input=data,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            pass_fds=keep,
        )
    except FileNotFoundError:
        raise UnsupportedError("pgp needs the program gpg", hint="install gnupg") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"gpg did not answer for {_SECONDS} seconds") from None


def _stop_agent(home: str) -> None:
    subprocess.run(
        ["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True, check=False
    )
