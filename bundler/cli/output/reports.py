"""Reports of commands, as text or as one JSON document.

Sizes are bytes in JSON, and binary units in text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.output import text

if TYPE_CHECKING:
    from bundler.bundle.exporting.estimate import Estimate
    from bundler.bundle.exporting.export import ExportReport
    from bundler.bundle.importing.report import ImportReport
    from bundler.copy.plan import Plan
    from bundler.ports import Holdings

_WORDS = {
    "new": "new",
    "same": "already present",
    "replaced": "replaced",
    "skipped": "skipped",
    "conflict": "conflict",
    "failed": "failed",
}


def print_estimate(numbers: Estimate, *, as_json: bool) -> None:
    """Print the estimate of an export."""
    if numbers.refusal is not None:
        text.print_note(f"warning: an export would be refused: {numbers.refusal.message}")
        if numbers.refusal.hint:
            text.print_note(f"hint: {numbers.refusal.hint}")
    if as_json:
        text.print_json(numbers.to_json())
        return
    rows = [
        (
            str(image.reference),
            " ".join(image.platforms) or "-",
            text.format_size(sizes.size),
            text.format_size(sizes.unique),
            str(len(image.referrers)),
        )
        for image, sizes in numbers.images
    ]
    text.print_table(("IMAGE", "PLATFORMS", "SIZE", "OWN", "REFERRERS"), rows, right={2, 3, 4})
    for reference, error in numbers.missing.items():
        text.print_line(f"missing: {error.message_about(reference)}")
    plan = numbers.plan
    text.print_line(
        f"{text.count(len(rows), 'image')}, {text.count(len(plan.blobs), 'blob')},"
        f" {text.format_size(numbers.total.size)}; sharing saves {text.format_size(numbers.saved)}"
    )
    text.print_line(
        f"to transfer: {text.format_size(plan.size('push'))} in"
        f" {text.count(plan.count('push'), 'request')};"
        f" already present: {text.format_size(plan.size('present'))}"
    )
    if plan.foreign:
        text.print_line(
            f"not fetched, since they are foreign: {text.count(len(plan.foreign), 'layer')}"
        )
    medium = numbers.medium
    if medium is not None:
        verdict = "enough" if numbers.enough_space else "not enough"
        text.print_line(
            f"free: {text.format_size(medium.free)} ({medium.file_system or 'disk'}"
            f" at {medium.mount_point}), {verdict}"
        )
        if numbers.blob_too_large:
            text.print_line(f"a blob is larger than the largest file on {medium.file_system}")


def print_export_report(report: ExportReport) -> None:
    """Print the report of an export as text."""
    contents, plan, written = report.inventory, report.plan, report.medium
    state = "written" if report.changed else "unchanged"
    until = f", until {contents.expires:%Y-%m-%d}" if contents.expires else ""
    text.print_line(
        f"{report.bundle}: {state}: {contents.stream} {contents.serial},"
        f" {text.count(len(contents.images), 'image')}{until}"
    )
    text.print_line(f"transferred: {_format_transfer(plan)}")
    text.print_line(f"signed: {' '.join(report.signatures) or 'no'}")
    text.print_line(f"referrers: {report.referrers}")
    for reference, referrer in report.left_behind:
        text.print_line(f"not exported: {referrer}, which refers to all platforms of {reference}")
    for image in contents.images:
        if image.source:
            text.print_line(f"pulled from a mirror: {image.reference}: {image.source}")
        if image.replaces:
            text.print_line(
                f"new digest, since platforms were removed: {image.reference}: {image.digest}"
            )
    text.print_line(
        f"medium: {written.device or 'device unknown'} ({written.file_system or 'disk'})"
        f" at {written.mount_point}, {text.format_size(written.free)} free"
    )


def print_import_report(report: ImportReport, *, as_json: bool, dry_run: bool) -> None:
    """Print the result, or in a dry run the expected result, of each image."""
    if as_json:
        text.print_json(report.to_json() | {"dryRun": dry_run})
        return
    rows = [
        (str(line.image.reference), line.name, _WORDS[line.action], line.former or "")
        for line in report.images
    ]
    text.print_table(("OLD NAME", "NEW NAME", "OUTCOME", "FORMER DIGEST"), rows)
    text.print_line(f"{'to push' if dry_run else 'pushed'}: {_format_transfer(report.plan)}")


def _format_transfer(plan: Plan[Holdings]) -> str:
    """Format the bytes transferred, those already present, and those mounted in the registry."""
    moves = f"{text.format_size(plan.size('push'))} in {text.count(plan.count('push'), 'blob')}"
    mounted = plan.size("mount")
    within = f"; mounted in the registry: {text.format_size(mounted)}" if mounted else ""
    return f"{moves}; already present: {text.format_size(plan.size('present'))}{within}"
