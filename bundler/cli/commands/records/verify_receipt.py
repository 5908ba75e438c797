"""``airbundle verify-receipt``: check the signature of a receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import text

if TYPE_CHECKING:
    from pathlib import Path


@command("verify-receipt", "airbundle verify-receipt plant-7-1795417200.json --key site.pub")
@click.argument("receipt", type=common.PATH)
@option(
    "--key",
    "key_files",
    multiple=True,
    required=True,
    type=common.PATH,
    help="Trust the signatures of this public key; one signature suffices. May be repeated.",
)
@common.as_json
def verify_receipt(receipt: Path, *, key_files: tuple[Path, ...], as_json: bool) -> None:
    """Check that a given key signed RECEIPT, and print its content.

    The signature is a file beside the receipt, with `.sig` at the end of its name. The exit status
    is 4 if no given key signed the receipt.
    """
    from bundler.bundle.records import receipts  # noqa: PLC0415 - not for --help
    from bundler.trust import keys  # noqa: PLC0415 - loads cryptography

    table, signers = receipts.verify(receipt, [keys.read_public_key(path) for path in key_files])
    if as_json:
        text.print_json(dict(table.value))
        return
    images = table.tables("images")
    text.print_line(
        f"{table.text('stream')} {table.integer('serial')}:"
        f" {text.count(len(images), 'image')} to {table.text('target')} at {table.text('ended')}"
    )
    for image in images:
        text.print_line(f"  {image.text('name')}: {image.text('action')} {image.text('digest')}")
    for option_name in table.texts("overrides"):
        text.print_line(f"override: {option_name}: {table.optional_text('reason') or 'no reason'}")
    for key in signers:
        text.print_line(f"signed by {key.fingerprint}")
