"""``airbundle sign``: add a signature to a finished bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.cli.runtime import signing_keys
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from pathlib import Path


@command("sign", "airbundle sign /media/stick/plant-7 --key second.key")
@click.argument("bundle", type=common.PATH)
@common.private_keys("--key", required=True)
@common.as_json
@pass_context
def sign(
    context: CommandContext,
    bundle: Path,
    *,
    key_files: tuple[Path, ...],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Add a signature to BUNDLE; existing signatures are kept.

    The signature covers the inventory, which lists the digest of every file. The files themselves
    are not read: before you sign a bundle made by others, verify it.
    """
    private = signing_keys.read_private_keys(context, key_files, passphrase_file)
    from bundler.bundle.format.signatures import sign_bundle  # noqa: PLC0415 - not for --help
    from bundler.bundle.media import filesystem  # noqa: PLC0415 - as above

    names = sign_bundle(bundle, private)
    if as_json:
        text.print_json({"bundle": str(bundle), "signatures": names})
    else:
        text.print_line(f"{bundle}: signed: {' '.join(names)}")
    if not context.options.quiet:
        text.print_note(filesystem.inspect(bundle).completion_message)
