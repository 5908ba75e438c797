"""Signers of images with OpenPGP keys, and the environment of gpg."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bundler.cli.runtime.context import CommandContext, CommandRun
    from bundler.cli.runtime.signing.image_signers import CreateSigner
    from bundler.signature_ports import SignManifest


def create_gpg_environment(context: CommandContext) -> dict[str, str]:
    """Return the environment of gpg: that of the user, with the terminal on which to prompt.

    The agent of gpg prompts for passphrases, and does not know the terminal of this process.
    """
    variables = dict(context.environment.variables)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if "GPG_TTY" not in variables and stream is not None and stream.isatty():
            variables["GPG_TTY"] = os.ttyname(stream.fileno())
    return variables


def create_gpg_signer(
    context: CommandContext, key: str, passphrase: bytes | None, *, try_first: bool = True
) -> CreateSigner:
    """Return the function that creates the signer with a key of gpg.

    ``try_first``: a key that cannot sign, and a wrong passphrase, are reported when the signer is
    created, before anything is copied.

    Raises:
        UnsupportedError: gpg is not installed.
    """
    from bundler.trust.openpgp.gpg import find_gpg  # noqa: PLC0415 - not for --help
    from bundler.trust.openpgp.sign import GpgSigner  # noqa: PLC0415 - as above
    from bundler.trust.simple_signing.simple_signing import SimpleSigner  # noqa: PLC0415

    find_gpg()
    environment = create_gpg_environment(context)

    def create(run: CommandRun) -> SignManifest:
        signer = GpgSigner.find(key, environment, run.cancellation, passphrase)
        if try_first:
            signer.sign(b"")
        return SimpleSigner(signer.sign).sign

    return create


def create_sq_signer(
    context: CommandContext, fingerprint: str, passphrase: bytes | None
) -> CreateSigner:
    """Return the function that creates the signer with a key in the key store of sq.

    A key that cannot sign is reported when the signer is created.

    Raises:
        UnsupportedError: sq is not installed.
    """
    from bundler.trust.openpgp.sign import SqSigner, find_sq  # noqa: PLC0415 - not for --help
    from bundler.trust.simple_signing.simple_signing import SimpleSigner  # noqa: PLC0415 - as above

    find_sq()
    environment = dict(context.environment.variables)

    def create(run: CommandRun) -> SignManifest:
        signer = SqSigner(fingerprint, environment, run.cancellation, passphrase)
        signer.sign(b"")
        return SimpleSigner(signer.sign).sign

    return create
