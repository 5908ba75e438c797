"""``airbundle log verify``: check the log, the receipts and the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import MalformedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.records.evidence.check import EvidenceCheck


@command("verify", "airbundle log verify --head sha256:…")
@option(
    "--head",
    metavar="DIGEST",
    help="A head that was printed before; the log must still contain it.",
)
@records.directory
@common.as_json
@pass_context
def verify(
    context: CommandContext, *, head: str | None, records_path: Path | None, as_json: bool
) -> None:
    """Check that the log is whole, and compare the receipts and the evidence with it.

    With --head, entries that were changed or removed are detected even if somebody who could write
    to this host replaced all files.

    The exit status is 4 if the log, the state of the streams or a receipt is not as it was written,
    3 if an object of the evidence is damaged, and 9 if one is missing.
    """
    from bundler.bundle.records import receipts, site  # noqa: PLC0415 - not for --help
    from bundler.bundle.records.evidence.check import check_evidence  # noqa: PLC0415 - as above
    from bundler.oci.digest import Digest  # noqa: PLC0415 - as above

    try:
        expected = None if head is None else Digest(head)
    except MalformedError as error:
        raise UsageError(f"--head: {error.message}") from None
    found = records.read_existing(records_path, context.environment)
    if expected is not None:
        site.find_entry(found, expected)
    entries, last = found.log.entries, found.log.head
    pending = [] if found.pending is None else [found.pending]
    absent = receipts.compare_with_log(found.path / site.RECEIPTS, [*entries, *pending])
    evidence = check_evidence(found)
    if as_json:
        text.print_json(
            {
                "entries": len(entries),
                "head": None if last is None else last.text,
                "absentReceipts": absent,
                "pending": [entry.value for entry in pending],
                "evidence": evidence.to_json(),
            }
        )
    else:
        text.print_line(f"whole: {text.count(len(entries), 'line')}")
        if absent:
            text.print_line(f"not here: {text.count(absent, 'receipt')}")
        for entry in pending:
            name = entry.table.table("receipt").text("name")
            text.print_line(
                f"interrupted: the import with the receipt {name} has no line yet; the next import"
                " adds it"
            )
        _print_evidence(evidence)
        text.print_line(f"head: {last or 'empty'}")
    evidence.check()


def _print_evidence(evidence: EvidenceCheck) -> None:
    if evidence.entries:
        objects = text.count(evidence.objects, "object")
        text.print_line(f"evidence: {objects}, of {text.count(evidence.entries, 'line')}")
    if evidence.unnamed:
        unnamed = text.count(evidence.unnamed, "object")
        text.print_line(f"evidence that no line names: {unnamed}")
    for problem in evidence.problems:
        lines = "line" if len(problem.entries) == 1 else "lines"
        numbers = ", ".join(map(str, problem.entries))
        text.print_line(f"{problem.text} ({lines} {numbers}) [{problem.code}]")
