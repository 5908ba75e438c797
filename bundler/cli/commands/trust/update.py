"""``airbundle trust update``: apply newer versions of the trust file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from bundler.cli.commands.trust.show import print_store
from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.trusted_keys import open_store
from bundler.errors import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path


@command(
    "update",
    "airbundle trust update /media/stick/plant-7",
    "airbundle trust update 2.trust.json",
)
@click.argument("source", type=common.PATH)
@option(
    "--trust",
    "trust_path",
    type=common.PATH,
    metavar="FILE",
    help="Update this trust file (default: that of the site).",
)
@records.directory
@common.as_json
@pass_context
def update(
    context: CommandContext,
    source: Path,
    *,
    trust_path: Path | None,
    records_path: Path | None,
    as_json: bool,
) -> None:
    """Apply the newer versions of the trust file in SOURCE, a bundle or a trust file.

    Each version must be signed by enough keys of the former one and of its own. An import does the
    same with the versions in its bundle. The records of the site remember the newest version: from
    then on, imports refuse a former one.
    """
    from bundler.bundle.records.record_trust_file import record_update  # noqa: PLC0415 - not for --help

    site = records.find_records(records_path, context.environment)
    operator = context.environment.describe_operator()
    record = partial(record_update, site, operator=operator)
    store = open_store(context, trust_path, record=record)
    if store is None:
        raise NotFoundError(
            "this site has no trust file", hint="install one: airbundle trust init FILE"
        )
    from bundler.bundle.format import trust_chain  # noqa: PLC0415 - not for --help
    from bundler.bundle.format.reading.open_files import is_bundle, open_files  # noqa: PLC0415 - as above
    from bundler.trust.trust_files import trust_store  # noqa: PLC0415 - loads cryptography

    if is_bundle(source):
        with open_files(source) as files:
            updated = store.follow(partial(trust_chain.read_chain, files))
    else:
        document = trust_store.read_document(source)
        version = trust_store.load(source, installed=False).version
        updated = store.follow(lambda _: {version: document})
    if updated.version == store.version and not context.options.quiet:
        text.print_note(f"{source}: contains no version after {store.version}; nothing changed")
    print_store(updated, as_json=as_json)
