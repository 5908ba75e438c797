"""Output of text and JSON; text from outside is escaped before it reaches a terminal.

Data goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from bundler.errors import (  # re-exported for output
    be as be,  # noqa: PLC0414
    count as count,  # noqa: PLC0414
    escape as escape,  # noqa: PLC0414
    format_size as format_size,  # noqa: PLC0414
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bundler.bundle.audit.packages.package import PackageFinding
    from bundler.bundle.format.inventory.sizes import Sizes
    from bundler.errors import BundlerError
    from bundler.events import BlobTotal, TransferTotals
    from bundler.trust.keys import PublicKey
    from bundler.trust.trust_files.role_check import UnfitKey

INCOMPLETE = "incomplete: the export left out images or layers that it could not read"
"""The note on a bundle whose inventory states that it is incomplete."""


def print_line(text: str = "") -> None:
    """Write one line of data to stdout."""
    sys.stdout.write(escape(text) + "\n")


def print_note(text: str) -> None:
    """Write one message line to stderr."""
    sys.stderr.write(escape(text) + "\n")


def print_error(error: BundlerError) -> None:
    """Write an error to stderr: the problem, each finding on its own line, then the hint."""
    first, *findings = str(error).splitlines() or [type(error).__name__]
    print_note(f"airbundle: error: {first}")
    for finding in (*findings, *getattr(error, "__notes__", ())):
        print_note(f"  {finding}")
    if error.hint:
        print_note(f"hint: {error.hint}")


def print_json(value: dict[str, Any]) -> None:
    """Write a JSON document to stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> None:
    """Write aligned columns to stdout; the columns at the positions ``right`` are right-aligned.

    Columns that are empty in every row are omitted.
    """
    columns = [
        (position in right, [escape(head), *map(escape, column)])
        for position, (head, *column) in enumerate(zip(header, *rows, strict=True))
        if any(column) or not rows
    ]
    aligned = []
    for is_right, column in columns:
        width = max(map(len, column))
        aligned.append([cell.rjust(width) if is_right else cell.ljust(width) for cell in column])
    for row in zip(*aligned, strict=True):
        sys.stdout.write("  ".join(row).rstrip() + "\n")


def print_unread(findings: Iterable[PackageFinding]) -> None:
    """Write a line for each file that should state packages and cannot be read."""
    for item in findings:
        print_line(
            f"  NOT READ, packages may be missing: {item.path}: {item.problem} [{item.code}]"
        )


def print_signers(
    signers: Iterable[PublicKey], names: Mapping[str, str], unfit: Iterable[UnfitKey] = ()
) -> None:
    """Write a line for each key that signed, with its name if ``names`` contains its ID.

    Those of ``unfit`` are marked, with the reason.
    """
    reasons = {item.key_id: f"; does not count: it {item.text}" for item in unfit}
    for key in signers:
        name = f" ({names[key.id]})" if key.id in names else ""
        print_line(f"signed by {key.fingerprint}{name}{reasons.get(key.id, '')}")


def format_key_id(key_id: str, names: Mapping[str, str], problem: str | None = None) -> str:
    """Return the first digits of a key ID, and the name of the key if it is known.

    ``problem`` is the reason why its signature does not count; None: it does.
    """
    name = f" ({names[key_id]})" if key_id in names else ""
    return f"{key_id[:16]}{name}" + (f" (does not count: {problem})" if problem else "")


def print_omitted_layers(number: int) -> None:
    """Write a note on foreign layers that were not copied, if there are any."""
    if number:
        layers = f"{count(number, 'foreign layer')}, of which the destination has only the URLs"
        print_note(f"not copied: {layers}")


def format_duration(seconds: float) -> str:
    """Format a duration: ``2 min 05 s``."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def format_total(total: BlobTotal | Sizes) -> str:
    """Format a total: ``1.6 GiB in 3 blobs``."""
    return f"{format_size(total.size)} in {count(total.blobs, 'blob')}"


def format_transfer(totals: TransferTotals) -> str:
    """Format the totals of a transfer."""
    return f"{format_total(totals.pushed)}{describe_reuse(totals)}"


def describe_reuse(totals: TransferTotals) -> str:
    """Describe the content that needs no transfer, each part after a semicolon."""
    resumed = f"; resumed: {format_size(totals.resumed)}" if totals.resumed else ""
    present = f"; already present: {format_total(totals.present)}" if totals.present.blobs else ""
    mounted = totals.mounted
    return resumed + present + (f"; mounted: {format_total(mounted)}" if mounted.blobs else "")
