"""Wrap and unwrap secrets with OpenPGP keys, by the program gpg.

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
    """An exported secret key and its password."""

    data: bytes = field(repr=False)
    password: bytes | None = field(repr=False)


def wrap(secret: bytes, names: Sequence[str]) -> bytes:
    """Encrypt ``secret`` for the keys with the given names.

    Raises:
        UsageError: a key is not in the key ring of gpg.
        UnsupportedError: gpg is not installed.
    """
    recipients = [argument for name in names for argument in ("--recipient", name)]
    answer = _run_gpg("--trust-model", "always", "--encrypt", *recipients, data=secret)
    if answer.returncode:
        reason = answer.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(
            f"gpg: cannot encrypt for {', '.join(names)}: {(reason or ['unknown reason'])[-1]}",
            hint="gpg --list-keys lists the known keys",
        )
    return answer.stdout


def unwrap(packet: bytes, keys: Sequence[SecretKey]) -> bytes | None:
    """Decrypt ``packet`` with the first suitable key, in a temporary home; None if none fits."""
    for key in keys:
        with tempfile.TemporaryDirectory(prefix="airbundle-", ignore_cleanup_errors=True) as home:
            at_home = ("--homedir", home)
            if _run_gpg(*at_home, "--import", data=key.data).returncode:
                continue
            try:
                secret = _decrypt(packet, at_home, key.password)
            finally:
                _stop_agent(home)
        if secret is not None:
            return secret
    return None


def _decrypt(packet: bytes, at_home: Sequence[str], password: bytes | None) -> bytes | None:
    reading, writing = os.pipe()
    try:
        os.write(writing, (password or b"")[:4096] + b"\n")
        os.close(writing)
        asking = ("--pinentry-mode", "loopback", "--passphrase-fd", str(reading))
        answer = _run_gpg(*at_home, *asking, "--decrypt", data=packet, keep=(reading,))
    finally:
        os.close(reading)
    return None if answer.returncode else answer.stdout


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


def _stop_agent(home: str) -> None:
    subprocess.run(
        ["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True, check=False
    )
