"""``airbundle stream``: show, reset and restore the state of the streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.records.site import Records


@command(
    "stream",
    "airbundle stream show",
    "airbundle stream reset plant-7 --reason 'exported anew after the loss of the key'",
    "airbundle stream restore --reason 'disk replaced'",
)
@click.argument("action", type=click.Choice(["show", "reset", "restore"]))
@click.argument("stream", required=False)
@records.reason("The reason for a change; the log contains it.")
@records.directory
@common.as_json
@pass_context
def stream(
    context: CommandContext,
    action: str,
    stream: str | None,
    *,
    reason: str | None,
    records_path: Path | None,
    as_json: bool,
) -> None:
    """Show the streams that this site imports, forget one, or restore damaged records.

    `reset STREAM` forgets the serial of a stream: the next import of the stream needs --adopt.
    `restore` begins a new log with the highest serials that the damaged files still contain, and
    keeps these files; it names the receipts of streams whose serial they do not contain. Records
    that are whole are not restored. Both need --reason.
    """
    from datetime import UTC, datetime  # noqa: PLC0415 - not for --help

    from bundler.bundle.records import restore as restoring, site  # noqa: PLC0415 - as above

    path = records.find_records(records_path, context.environment)
    if (action == "reset") != (stream is not None) and action != "show":
        expected = "expected the name of a stream" if action == "reset" else "expected no stream"
        raise UsageError(f"{action}: {expected}")
    if action != "show":
        if reason is None:
            raise UsageError(f"{action}: no reason given", hint="add --reason TEXT")
        reason, now = records.check_reason(reason), datetime.now(UTC)
        operator = context.environment.describe_operator()
        if action == "reset":
            found = site.reset(path, now, str(stream), reason, operator)
        else:
            found = restoring.restore(path, now, reason, operator)
            for line in restoring.find_unrecovered(found):
                text.print_note(f"warning: {line}")
    else:
        found = site.read(path)
    print_streams(found, stream if action == "show" else None, as_json=as_json)


def print_streams(found: Records, stream: str | None, *, as_json: bool) -> None:
    """Print the state of one stream, or of all."""
    from bundler.bundle.records import site  # noqa: PLC0415 - not for --help
    from bundler.oci.json import timestamps  # noqa: PLC0415 - as above

    selected = found.streams
    if stream is not None:
        selected = {stream: site.get_stream(found, stream)}
    if as_json:
        text.print_json({"streams": {name: item.to_json() for name, item in selected.items()}})
        return
    rows = [
        (name, str(item.serial), item.inventory.text, timestamps.format_utc(item.seen))
        for name, item in sorted(selected.items())
    ]
    text.print_table(("STREAM", "SERIAL", "INVENTORY", "LAST SEEN"), rows)
