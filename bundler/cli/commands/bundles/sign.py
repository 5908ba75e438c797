"""``airbundle sign``: add a signature to a finished bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.options.signing.bundle_signers import SignerOptions, bundle_signers
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.signing.bundle_signers import read_signers
from bundler.cli.runtime.trusted_keys import open_store, warn_of_unfit_signers
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@command(
    "sign",
    "airbundle sign /media/stick/plant-7 --key second.key",
    "airbundle sign /mnt/read-only/plant-7 --ssh-key ~/.ssh/id_ecdsa.pub --output review.sig",
)
@click.argument("bundle", type=common.PATH)
@bundle_signers("--key")
@option(
    "--output",
    type=common.PATH,
    metavar="FILE",
    section=common.OUTPUT,
    help="Write the signature to this file, and leave BUNDLE unchanged.",
)
@common.as_json
@pass_context
def sign(
    context: CommandContext,
    bundle: Path,
    *,
    signers: SignerOptions,
    output: Path | None,
    as_json: bool,
) -> None:
    """Add a signature to BUNDLE; existing signatures are kept.

    The signature covers the inventory, which lists the digest of every file. The files themselves
    are not read: before you sign a bundle made by others, verify it.
    """
    if not signers.given:
        raise UsageError(
            "no signing key given", hint="add --key FILE.key, --sign-cmd COMMAND or --ssh-key FILE"
        )
    keys = read_signers(context, signers)
    if output is not None and len(keys) != 1:
        raise UsageError(f"--output: several signers (expected 1, got {len(keys)})")
    from bundler.bundle.format.inventory.read_inventory import read_inventory  # noqa: PLC0415 - not for --help
    from bundler.bundle.format.reading.open_files import open_files  # noqa: PLC0415 - as above
    from bundler.bundle.format.signatures import bundle_signatures  # noqa: PLC0415 - not for --help
    from bundler.bundle.media import filesystem  # noqa: PLC0415 - as above

    if store := open_store(context, None):
        with open_files(bundle) as files:
            _, contents = read_inventory(files)
        warn_of_unfit_signers(store, keys, contents.stream, contents.created)
    with context.run(1):
        if output is not None:
            bundle_signatures.sign_elsewhere(bundle, keys[0], output)
            names = [str(output)]
        else:
            names = bundle_signatures.sign_bundle(bundle, keys)
    if as_json:
        text.print_json({"bundle": str(bundle), "signatures": names})
    else:
        text.print_line(f"{bundle}: signed: {' '.join(names)}")
    if output is None and not context.options.quiet:
        text.print_note(filesystem.inspect(bundle).completion_message)
