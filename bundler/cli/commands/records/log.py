"""``airbundle log``: show and verify the log of imports."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.records.log import Entry


@command(
    "log",
    "airbundle log show",
    "airbundle log head",
    "airbundle log verify --head sha256:…",
)
@click.argument("action", type=click.Choice(["show", "head", "verify"]))
@option(
    "--head",
    metavar="DIGEST",
    help="Action verify: a head that was printed before; the log must still contain it.",
)
@records.directory
@common.as_json
@pass_context
def log(
    context: CommandContext,
    action: str,
    *,
    head: str | None,
    records_path: Path | None,
    as_json: bool,
) -> None:
    """Show the log of imports of this site, print its head, or verify it.

    Each entry contains the digest of the entry before it. The head is the digest of the last entry:
    keep it elsewhere, and pass it to `verify` later, to detect entries that were changed or removed
    by somebody who could write to this host. `verify` also compares the receipts with the log.

    The exit status is 4 if the log, the state of the streams or a receipt is not as it was written.
    """
    from bundler.bundle.records import site  # noqa: PLC0415 - not for --help
    from bundler.errors import MalformedError, NotFoundError, UsageError  # noqa: PLC0415 - as above
    from bundler.oci.digest import Digest  # noqa: PLC0415 - as above

    if head is not None and action != "verify":
        raise UsageError("--head: expected the action verify")
    try:
        expected = None if head is None else Digest(head)
    except MalformedError as error:
        raise UsageError(f"--head: {error.message}") from None
    path = records.find_records(records_path, context.environment)
    if not os.path.lexists(path):
        raise NotFoundError(
            f"{path}: no records of imports",
            hint="specify the directory with --records DIRECTORY; the first import creates it",
        )
    found = site.read(path)
    entries = found.log.entries
    if action == "show":
        if as_json:
            text.print_json({"entries": [entry.value for entry in entries]})
        else:
            print_entries(entries, trusted_keys.read_names(context))
        return
    if expected is not None:
        site.find_entry(found, expected)
    last = None if found.log.head is None else found.log.head.text
    value: dict[str, Any] = {"entries": len(entries), "head": last}
    if action == "verify":
        from bundler.bundle.records import receipts  # noqa: PLC0415 - only for this action

        value["absentReceipts"] = receipts.compare_with_log(path / site.RECEIPTS, entries)
    if as_json:
        text.print_json(value)
    elif action == "head":
        text.print_line(last or "empty")
    else:
        text.print_line(f"whole: {text.count(len(entries), 'line')}")
        if absent := value["absentReceipts"]:
            text.print_line(f"not here: {text.count(absent, 'receipt')}")
        text.print_line(f"head: {last or 'empty'}")


def print_entries(entries: tuple[Entry, ...], names: Mapping[str, str]) -> None:
    """Print one line for each entry, with the ``names`` of keys by their IDs."""
    rows = []
    for entry in entries:
        value = entry.value
        notes = [str(value.get("refusal", "")), *map(str, value.get("overrides", ()))]
        notes += ["adopted"] if value.get("adopted") else []
        policy = entry.table.table("policy")
        rows.append(
            (
                str(value["number"]),
                str(value["time"]),
                entry.event,
                str(value.get("stream", "")),
                str(value.get("serial", "")),
                str(value.get("target", "")),
                " ".join(text.format_key_id(key, names) for key in entry.table.texts("signedBy")),
                (policy.optional_text("digest") or policy.optional_text("status") or "")[:19],
                " ".join(filter(None, notes)),
                str(value.get("reason", "")),
            )
        )
    header = (
        *("NUMBER", "TIME", "EVENT", "STREAM", "SERIAL", "TARGET", "SIGNED BY", "POLICY"),
        *("NOTES", "REASON"),
    )
    text.print_table(header, rows, right=(0,))
