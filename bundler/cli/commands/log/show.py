"""``airbundle log show``: list the entries of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.records.log.log import Entry
    from bundler.cli.options.records import Period


@command("show", "airbundle log show", "airbundle log show --since 2026-11-01 --until 2026-11-30")
@records.period
@records.directory
@common.as_json
@pass_context
def show(
    context: CommandContext, *, period: Period, records_path: Path | None, as_json: bool
) -> None:
    """List the imports, audits, refused bundles and changes of this site, the oldest first."""
    from bundler.bundle.records.evidence.answer import Query  # noqa: PLC0415 - not for --help

    query = Query(since=period.since, until=period.until)
    found = records.read_existing(records_path, context.environment)
    entries = [entry for entry in found.log.entries if query.contains(entry.time)]
    if as_json:
        text.print_json({"entries": [entry.value for entry in entries]})
    else:
        print_entries(entries, trusted_keys.read_names(context))


def print_entries(entries: Sequence[Entry], names: Mapping[str, str]) -> None:
    """Print one line for each entry, with the ``names`` of keys by their IDs.

    The location is the target of an import, or the bundle or image of an audit.
    """
    from bundler.bundle.records.state import streams  # noqa: PLC0415 - not for --help

    rows = []
    for entry in entries:
        value = entry.value
        notes = [str(value.get("refusal", "")), *map(str, value.get("overrides", ()))]
        notes += ["adopted"] if value.get("adopted") else []
        notes += ["recorded after an interruption"] if "recovered" in value else []
        if entry.event in (streams.TRUST, streams.TRUST_UPDATE):
            notes += [f"version {entry.table.table('trustFile').integer('version')}"]
        if "passed" in value:
            notes += ["passed" if value["passed"] else "does not pass"]
        policy, problems = entry.table.table("policy"), entry.table.text_map("notCounted")
        rows.append(
            (
                str(value["number"]),
                str(value["time"]),
                entry.event,
                str(value.get("stream", "")),
                str(value.get("serial", "")),
                str(value.get("target") or value.get("location") or ""),
                " ".join(
                    text.format_key_id(key, names, problems.get(key))
                    for key in entry.table.texts("signedBy")
                ),
                entry.table.table("operator").optional_text("user") or "",
                (policy.optional_text("digest") or policy.optional_text("status") or "")[:19],
                " ".join(filter(None, notes)),
                str(value.get("reason", "")),
            )
        )
    header = (
        *("NUMBER", "TIME", "EVENT", "STREAM", "SERIAL", "LOCATION", "SIGNED BY"),
        *("OPERATOR", "POLICY", "NOTES", "REASON"),
    )
    text.print_table(header, rows, right=(0,))
