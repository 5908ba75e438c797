"""``airbundle trust init``: install the first trust file of a site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.commands.trust.show import print_store
from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@command(
    "init",
    'airbundle trust init 1.trust.json --fingerprint "8c5f 0a11 … 77d2"',
)
@click.argument("file", type=common.PATH)
@option(
    "--fingerprint",
    required=True,
    metavar="HEX",
    help="The fingerprint of FILE, from paper or by telephone; spaces are ignored.",
)
@option(
    "--trust",
    "trust_path",
    type=common.PATH,
    metavar="PATH",
    help="Install it as this file (default: in the user's configuration).",
)
@option("--replace", is_flag=True, help="Replace another trust file and its versions.")
@common.as_json
@pass_context
def init(
    context: CommandContext,
    file: Path,
    *,
    fingerprint: str,
    trust_path: Path | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Install FILE as the trust file of this site.

    Its own keys must have signed it: the signatures are the files FILE.<16 digits>.sig beside it.
    The fingerprint must come from another source than FILE. Later versions need none.
    """
    from bundler.trust import trust_file, trust_store  # noqa: PLC0415 - loads cryptography

    try:
        digits = trust_file.parse_fingerprint(fingerprint)
    except ValueError:
        raise UsageError(
            "--fingerprint: expected 64 hexadecimal digits",
            hint="the other side prints them with airbundle trust show FILE",
        ) from None
    path = trust_path or context.environment.list_trust_files()[0]
    document = trust_store.read_document(file)
    store = trust_store.install(path, document, digits, replace=replace)
    print_store(store, as_json=as_json)
