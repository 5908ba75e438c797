"""``airbundle sign``: add a signature to a bundle that is finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.output import reports, text
from bundler.cli.runtime import signing_keys

if TYPE_CHECKING:
    from pathlib import Path


@common.command("sign", "airbundle sign /media/stick/plant-7 --key second.key")
@click.argument("bundle", type=common.PATH)
@click.option(
    "--key",
    "key_files",
    multiple=True,
    required=True,
    type=common.PATH,
    help="Private key to sign with.",
)
@common.passphrase_file("Its first line is the keys' passphrase.")
@common.as_json
def sign(
    bundle: Path, *, key_files: tuple[Path, ...], passphrase_file: Path | None, as_json: bool
) -> None:
    """Add a signature to BUNDLE; those that are there stay.

    What is signed is its inventory, which names the digest of every file. The files themselves
    are not read: verify a bundle that came from elsewhere before signing it.
    """
    private = signing_keys.private_keys(key_files, passphrase_file)
    from bundler.bundle.format.signatures import sign_bundle  # noqa: PLC0415 - not for --help

    names = sign_bundle(bundle, private)
    if as_json:
        text.document({"bundle": str(bundle), "signatures": names})
    else:
        text.line(f"{bundle}: signed: {' '.join(names)}")
    reports.farewell(bundle)
