"""``airbundle trust init``: install the first trust file of a site."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from bundler.cli.commands.trust.show import print_store
from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import ConfigError, TrustFileError, UsageError

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
@option(
    "--replace",
    is_flag=True,
    help="Replace another trust file and its versions, also in the records. Needs --reason.",
)
@records.reason("The reason for --replace; the log contains it.")
@records.directory
@common.as_json
@pass_context
def init(
    context: CommandContext,
    file: Path,
    *,
    fingerprint: str,
    trust_path: Path | None,
    replace: bool,
    reason: str | None,
    records_path: Path | None,
    as_json: bool,
) -> None:
    """Install FILE as the trust file of this site.

    Its own keys must have signed it: the signatures are the files FILE.<16 digits>.sig beside it.
    The fingerprint must come from another source than FILE. Later versions need none.

    --replace begins a new sequence of versions, such as after the loss of keys: the versions that
    earlier imports recorded no longer count.
    """
    from datetime import UTC, datetime  # noqa: PLC0415 - not for --help

    from bundler.bundle.records.record_trust_file import record_first  # noqa: PLC0415 - as above
    from bundler.trust.trust_files import trust_file, trust_store  # noqa: PLC0415 - loads cryptography
    from bundler.trust.trust_files.install_trust_file import install  # noqa: PLC0415 - as above

    try:
        digits = trust_file.parse_fingerprint(fingerprint)
    except ValueError:
        raise UsageError(
            "--fingerprint: expected 64 hexadecimal digits",
            hint="the other side prints them with airbundle trust show FILE",
        ) from None
    record = None
    if replace:
        if reason is None:
            raise UsageError("--replace: no reason given", hint="add --reason TEXT")
        directory = records.find_records(records_path, context.environment)
        record = partial(
            record_first,
            directory,
            moment=datetime.now(UTC),
            reason=records.check_reason(reason),
            operator=context.environment.describe_operator(),
        )
    path = trust_path or context.environment.list_trust_files()[0]
    document = trust_store.read_document(file)
    try:
        store = install(path, document, digits, record=record)
    except TrustFileError as error:
        if error.problem != "format":
            raise
        raise ConfigError(
            error.message,
            path=str(file),
            hint="specify a trust file, as airbundle trust add and trust rotate write it",
        ) from None
    print_store(store, as_json=as_json)
