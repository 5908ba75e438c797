"""``airbundle keygen``: a pair of keys to sign bundles with."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options import common
from bundler.cli.output import text
from bundler.cli.runtime import signing_keys
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@common.command("keygen", "airbundle keygen plant")
@click.argument("prefix", type=common.PATH)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["ecdsa-p256", "ed25519"]),
    default="ecdsa-p256",
    show_default=True,
    help="The first is understood everywhere.",
)
@common.passphrase_file("Its first line is the passphrase.")
@click.option("--no-passphrase", is_flag=True, help="Leave the private key unencrypted.")
@common.as_json
def keygen(
    prefix: Path,
    *,
    kind: str,
    passphrase_file: Path | None,
    no_passphrase: bool,
    as_json: bool,
) -> None:
    """Make PREFIX.key, to sign with, and PREFIX.pub, to verify with.

    Keep the first to yourself. Carry the second inside by a way of its own, and compare the
    fingerprint there.
    """
    passphrase = _passphrase(passphrase_file, no_passphrase=no_passphrase)
    from bundler.trust import keys as trust  # noqa: PLC0415 - loads cryptography

    pair = trust.generate(cast("trust.Kind", kind))
    private, public = trust.write_pair(prefix, pair, passphrase)
    if as_json:
        text.document(
            {
                "privateKey": str(private),
                "publicKey": str(public),
                "algorithm": pair.public.algorithm,
                "id": pair.public.id,
                "fingerprint": pair.public.fingerprint,
            }
        )
        return
    text.line(f"private key: {private}{' (not encrypted)' if passphrase is None else ''}")
    text.line(f"public key:  {public}")
    text.line(f"fingerprint: {pair.public.fingerprint}")


def _passphrase(file: Path | None, *, no_passphrase: bool) -> bytes | None:
    if no_passphrase:
        if file is not None:
            raise UsageError("--passphrase-file and --no-passphrase exclude one another")
        return None
    if file is not None:
        return signing_keys.first_line(file)
    try:
        return signing_keys.ask("New passphrase", twice=True)
    except UsageError as error:
        raise UsageError(
            error.message, hint="give --passphrase-file FILE, or say --no-passphrase"
        ) from None
