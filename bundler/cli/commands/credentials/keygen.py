"""``airbundle keygen``: create a key pair for signing bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option, refuse_conflicts
from bundler.cli.output import text
from bundler.cli.runtime.signing import signing_keys
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.trust.keys import PublicKey

_SHORT_PASSPHRASE = 8  # characters; NIST SP 800-63B, section 5.1.1.1


@command("keygen", "airbundle keygen plant")
@click.argument("prefix", type=common.PATH)
@option(
    "--type",
    "key_type",
    type=click.Choice(["ecdsa-p256", "ed25519"]),
    default="ecdsa-p256",
    show_default=True,
    help="Type of the key; ecdsa-p256 is the most widely supported.",
)
@common.passphrase_file("Read the passphrase from the first line of this file.")
@option("--no-passphrase", is_flag=True, help="Do not encrypt the private key.")
@common.as_json
def keygen(
    prefix: Path, *, key_type: str, passphrase_file: Path | None, no_passphrase: bool, as_json: bool
) -> None:
    """Create PREFIX.key for signing and PREFIX.pub for verification.

    Keep the private key outside the air gap. Carry the public key across separately from the
    bundles, and compare its fingerprint there.
    """
    refuse_conflicts({"--passphrase-file": passphrase_file, "--no-passphrase": no_passphrase})
    passphrase = None
    if passphrase_file is not None:
        passphrase = signing_keys.read_passphrase(passphrase_file)
    elif not no_passphrase:
        try:
            passphrase = signing_keys.ask_for_passphrase("New passphrase", twice=True)
        except UsageError as error:
            raise UsageError(
                error.message, hint="use --passphrase-file FILE, or --no-passphrase"
            ) from None
    if passphrase is not None:
        warn_about_short_passphrase(passphrase)
    from bundler.trust import keys as trust  # noqa: PLC0415 - loads cryptography

    pair = trust.generate_key(cast("trust.SigningAlgorithm", key_type))
    private, public = trust.write_key_pair(prefix, pair, passphrase)
    print_key_pair(pair.public, private, public, encrypted=passphrase is not None, as_json=as_json)


def warn_about_short_passphrase(passphrase: bytes) -> None:
    """Print a warning if the passphrase of a new key can be guessed."""
    if len(passphrase) < _SHORT_PASSPHRASE:
        text.print_note(
            f"warning: the passphrase has fewer than {_SHORT_PASSPHRASE} characters; "
            "if the key file is stolen, it can be guessed"
        )


def print_key_pair(
    key: PublicKey, private: Path, public: Path, *, encrypted: bool = True, as_json: bool
) -> None:
    """Print the files and the fingerprint of a new key pair."""
    if as_json:
        text.print_json(
            {
                "privateKey": str(private),
                "publicKey": str(public),
                "algorithm": key.algorithm,
                "id": key.id,
                "fingerprint": key.fingerprint,
            }
        )
        return
    text.print_line(f"private key: {private}{'' if encrypted else ' (not encrypted)'}")
    text.print_line(f"public key:  {public}")
    text.print_line(f"fingerprint: {key.fingerprint}")
