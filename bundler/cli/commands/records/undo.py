"""``airbundle undo``: let names point again to what they did before an import."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, registry_access
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@command("undo", "airbundle undo plant-7-1795417200.json --reason 'the new version does not start'")
@click.argument("receipt", type=common.PATH)
@records.reason("The reason for the change; the log contains it.")
@option(
    "--keep-going",
    is_flag=True,
    help="Undo the other names if some have changed since the import.",
)
@common.dry_run("Compare the names with the target; change nothing.")
@registry_access("the target")
@records.directory
@common.jobs()
@common.as_json
@pass_context
def undo(
    context: CommandContext,
    receipt: Path,
    *,
    reason: str | None,
    keep_going: bool,
    dry_run: bool,
    access: AccessOptions,
    records_path: Path | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Undo the import with this RECEIPT: each name points again to its former image.

    Names that did not exist before are deleted, as far as the registry can delete tags. A name that
    has changed since the import is not touched, and without --keep-going, no other is. The serial
    of the stream remains, so a former bundle is still refused without --allow-rollback.

    The receipts of a site are in its records. A receipt that is not as the log of the site states
    is refused. The log gets an entry before the first change, and one after the last.
    """
    if reason is None and not dry_run:
        raise UsageError("no reason given", hint="add --reason TEXT")
    from bundler.bundle.importing import undo as undoing  # noqa: PLC0415 - not for --help
    from bundler.bundle.records import receipts, restore, site  # noqa: PLC0415 - as above
    from bundler.bundle.records.state import streams  # noqa: PLC0415 - as above
    from bundler.content.files.safe_directory import RegularFile  # noqa: PLC0415 - as above
    from bundler.oci.digest import Digest  # noqa: PLC0415 - as above

    with RegularFile.open(receipt) as file:
        raw = file.read(receipts.MAX_RECEIPT + 1)
    record = undoing.ImportRecord.parse(raw, str(receipt))
    path = records.find_records(records_path, context.environment)
    if reason is not None:
        reason = records.check_reason(reason)
    by_host = {}
    if override := access.create_override():
        by_host[record.target.domain] = override
    receipts.check_logged(receipt, raw, restore.list_entries(site.read(path)))
    with context.run(jobs) as run:
        options = run.create_open_options(by_host)
        if not dry_run:
            site.prepare(path)
        results = undoing.compare(record, options, run.create_engine_options())
        if not dry_run:
            if not keep_going:
                undoing.check_unchanged(results)
            members = {
                "target": str(record.target),
                "receipt": {"name": receipt.name, "digest": Digest.of(raw).text},
                "images": len(results),
                "reason": reason,
                "operator": context.environment.describe_operator(),
            }
            site.append(path, streams.UNDO_START, datetime.now(UTC), members)
            results = undoing.change(record, results, options)
            members["failed"] = sum(item.state in ("moved", "failed") for item in results)
            site.append(path, streams.UNDO, datetime.now(UTC), members)
            run.cancellation.check()
    if as_json:
        text.print_json({"dryRun": dry_run, "names": [item.to_json() for item in results]})
    else:
        rows = [
            (str(item.published.name), item.state, str(item.published.former or ""))
            for item in results
        ]
        text.print_table(("NAME", "RESULT", "FORMER DIGEST"), rows)
    undoing.check(results)
