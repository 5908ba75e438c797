"""``airbundle generate-sigstore-key``: create a key pair for signing images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.commands.credentials.keygen import print_key_pair, warn_about_short_passphrase
from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.runtime.signing import signing_keys

if TYPE_CHECKING:
    from pathlib import Path


@command("generate-sigstore-key", "airbundle generate-sigstore-key --output-prefix images")
@option(
    "--output-prefix",
    "prefix",
    metavar="PREFIX",
    required=True,
    type=common.PATH,
    help="Write PREFIX.private and PREFIX.pub.",
)
@common.passphrase_file("Read the passphrase from the first line of this file.")
@common.as_json
def generate_sigstore_key(prefix: Path, *, passphrase_file: Path | None, as_json: bool) -> None:
    """Create PREFIX.private for signing images and PREFIX.pub for policies.

    The files are those of skopeo generate-sigstore-key; cosign reads them too. The private key is
    always encrypted, but the passphrase in a file may be empty.
    """
    if passphrase_file is not None:
        passphrase = signing_keys.read_passphrase(passphrase_file, may_be_empty=True)
    else:
        passphrase = signing_keys.ask_for_passphrase("New passphrase", twice=True)
    warn_about_short_passphrase(passphrase)
    from bundler.trust import keys  # noqa: PLC0415 - loads cryptography

    pair = keys.generate_key()
    private, public = keys.write_key_pair(
        prefix, pair, passphrase, suffix=".private", label="COSIGN"
    )
    print_key_pair(pair.public, private, public, as_json=as_json)
