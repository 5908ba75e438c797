"""Wrap and unwrap secrets with OpenPGP keys, using the program gpg.

https://www.rfc-editor.org/rfc/rfc4880#section-5.1
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.content.run_program import Pipe, run_program
from bundler.errors import UnsupportedError, UsageError
from bundler.trust.openpgp.gpg import find_gpg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cancel import Cancellation
    from bundler.content.run_program import ProgramResult

_TIMEOUT = 120
_MAX_SECRET = 64 * 1024
"""Maximum size of a secret in bytes. The packet may contain compressed data."""


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
    command = ("gpg", "--batch", "--no-tty", "--quiet", "--trust-model", "always", "--encrypt")
    try:
        result = subprocess.run(
            [*command, *recipients],
            input=secret,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except FileNotFoundError:
        raise UnsupportedError(
            "pgp: the program gpg is not installed", hint="install gnupg"
        ) from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"gpg: no response within {_TIMEOUT} seconds") from None
    if result.returncode:
        reason = result.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(
            f"gpg: cannot encrypt for {', '.join(names)}: {(reason or ['unknown reason'])[-1]}",
            hint="list the keys with gpg --list-keys",
        )
    return result.stdout


def unwrap(packet: bytes, keys: Sequence[SecretKey], cancellation: Cancellation) -> bytes | None:
    """Decrypt ``packet`` with the first suitable key. None if no key is suitable.

    The keys are imported into a temporary key ring, not into the key ring of the user.

    Raises:
        UnsupportedError: gpg is not installed.
        LimitError: gpg does not respond in time, or decompresses too much.
        CancelledError: the run is cancelled.
    """
    for key in keys:
        with tempfile.TemporaryDirectory(prefix="airbundle-", ignore_cleanup_errors=True) as home:

            def run(*arguments: str | Pipe, data: bytes, home: str = home) -> ProgramResult:
                command = (find_gpg(), "--batch", "--no-tty", "--quiet", "--homedir", home)
                return run_program(
                    (*command, *arguments),
                    data,
                    cancellation,
                    max_output=_MAX_SECRET,
                    timeout=_TIMEOUT,
                )

            passphrase = Pipe((key.password or b"")[:4096] + b"\n")
            options = ("--pinentry-mode", "loopback", "--passphrase-fd", passphrase)
            try:
                if run("--import", data=key.data).status:
                    continue
                decrypted = run(*options, "--decrypt", data=packet)
            finally:
                subprocess.run(
                    ["gpgconf", "--homedir", home, "--kill", "all"],
                    capture_output=True,
                    check=False,
                )
        if decrypted.status == 0:
            return decrypted.output
    return None
