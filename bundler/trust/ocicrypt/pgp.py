"""Wrap and unwrap secrets with OpenPGP keys, using the program gpg.

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

_TIMEOUT = 120


@dataclass(frozen=True, slots=True)
class SecretKey:
    """An exported secret key."""

    data: bytes = field(repr=False)
    password: bytes | None = field(repr=False)
    """None if the key is not encrypted."""


def wrap(secret: bytes, names: Sequence[str]) -> bytes:
    """Encrypt ``secret`` for the keys with ``names`` in the key ring of gpg.

    Raises:
        UsageError: a key does not exist or cannot encrypt.
        UnsupportedError: gpg is not installed.
    """
    recipients = [argument for name in names for argument in ("--recipient", name)]
    result = _run_gpg("--trust-model", "always", "--encrypt", *recipients, data=secret)
    if result.returncode:
        reason = result.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(
            f"gpg: cannot encrypt for {', '.join(names)}: {(reason or ['unknown reason'])[-1]}",
            hint="list the keys with gpg --list-keys",
        )
    return result.stdout


def unwrap(packet: bytes, keys: Sequence[SecretKey]) -> bytes | None:
    """Decrypt ``packet`` with the first suitable key. None if no key is suitable.

    The keys are imported into a temporary key ring, not into the key ring of the user.

    Raises:
        UnsupportedError: gpg is not installed.
        UsageError: gpg does not respond in time.
    """
    for key in keys:
        with tempfile.TemporaryDirectory(prefix="airbundle-", ignore_cleanup_errors=True) as home:
            home_options = ("--homedir", home)
            if _run_gpg(*home_options, "--import", data=key.data).returncode:
                continue
            try:
                secret = _decrypt(packet, home_options, key.password)
            finally:
                subprocess.run(
                    ["gpgconf", "--homedir", home, "--kill", "all"],
                    capture_output=True,
                    check=False,
                )
        if secret is not None:
            return secret
    return None


def _decrypt(packet: bytes, home_options: Sequence[str], password: bytes | None) -> bytes | None:
    reading, writing = os.pipe()
    try:
        os.write(writing, (password or b"")[:4096] + b"\n")
        os.close(writing)
        passphrase_options = ("--pinentry-mode", "loopback", "--passphrase-fd", str(reading))
        result = _run_gpg(
            *home_options, *passphrase_options, "--decrypt", data=packet, keep=(reading,)
        )
    finally:
        os.close(reading)
    return None if result.returncode else result.stdout


def _run_gpg(
    *arguments: str, data: bytes, keep: tuple[int, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["gpg", "--batch", "--no-tty", "--quiet", *arguments],
            input=data,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT,
            pass_fds=keep,
        )
    except FileNotFoundError:
        raise UnsupportedError(
            "pgp: the program gpg is not installed", hint="install gnupg"
        ) from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"gpg: no response within {_TIMEOUT} seconds") from None
