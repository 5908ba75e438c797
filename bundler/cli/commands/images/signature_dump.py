"""``airbundle untrusted-signature-dump-without-verification``: print what a signature states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.input_files import read_input

if TYPE_CHECKING:
    from pathlib import Path


@command(
    "untrusted-signature-dump-without-verification",
    "airbundle untrusted-signature-dump-without-verification app.signature",
)
@click.argument("signature", type=common.PATH)
@pass_context
def signature_dump(context: CommandContext, signature: Path) -> None:
    """Print the statements of a simple signature as JSON.

    Nothing of it is verified: anyone can have written it.
    """
    text.print_json(read_signature(context, signature))


def read_signature(context: CommandContext, path: Path) -> dict[str, str | None]:
    """Return the statements of the simple signature in a file, unverified."""
    from bundler.images.standalone_signing import read_unverified_signature  # noqa: PLC0415 - not for --help
    from bundler.oci.signature import MAX_SIGNATURE  # noqa: PLC0415 - as above

    message, _ = read_input(path, "signature", MAX_SIGNATURE)
    with context.run() as run:
        return read_unverified_signature(message, run.cancellation)
