"""The report of an export as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.output import text
from bundler.oci.json.timestamps import format_to_minute

if TYPE_CHECKING:
    from bundler.bundle.exporting.report import ExportReport


def print_report(report: ExportReport) -> None:
    """Print the report of an export as text."""
    contents, written = report.inventory, report.medium
    state = "written" if report.changed else "unchanged"
    until = f", expires {format_to_minute(contents.expires)}" if contents.expires else ""
    text.print_line(
        f"{report.bundle}: {state}: {contents.stream} {contents.serial},"
        f" {text.count(len(contents.images), 'image')}{until}"
    )
    for number, path in report.volumes.items():
        text.print_line(f"volume {number} of {report.volume_count}: {path}")
    held = report.presupposed
    left_out = f"; left out, at the target: {text.format_total(held)}" if held.blobs else ""
    text.print_line(f"transferred: {text.format_transfer(report.totals)}{left_out}")
    text.print_line(f"signed: {' '.join(report.signatures) or 'no'}")
    text.print_line(f"referrers: {report.referrers}")
    _print_additions(report)
    for resolved in report.images:
        for item in resolved.verified:
            text.print_line(f"signature verified: {resolved.display_name}: {item}")
        for problem in resolved.unverified:
            text.print_line(f"signature not verified: {resolved.display_name}: {problem}")
    if any(image.missing_platforms for image in report.images):
        from bundler.bundle.exporting.resolving import missing_platforms  # noqa: PLC0415 - rare

        for line in missing_platforms.describe(report.images):
            text.print_line(line)
    if any(image.is_partial for image in contents.images):
        for line in report.omissions.describe():
            text.print_line(line)
    for image in filter(lambda image: image.source, contents.images):
        text.print_line(f"pulled from a mirror: {image.reference}: {image.source}")
    for image in filter(lambda image: image.replaces, contents.images):
        text.print_line(
            f"new digest because platforms were removed: {image.reference}: {image.digest}"
        )
    if report.read_back is not None:
        size, how = text.format_size(report.read_back.size), report.read_back.how
        files = text.count(report.read_back.files, "file")
        text.print_line(f"read back: {files}, {size}, {how}: as written")
    place = (
        f"{written.device or 'device unknown'} ({written.file_system or 'disk'})"
        f" at {written.mount_point}, {text.format_size(written.free)} free"
    )
    text.print_line(f"medium: {'a pipe' if str(report.bundle) == '-' else place}")


def _print_additions(report: ExportReport) -> None:
    """Print what an export added to the content of the images."""
    contents = report.inventory
    if report.attested:
        text.print_line(f"attested: {text.count(report.attested, 'image')}")
    if number := sum(len(image.signatures) for image in contents.images):
        text.print_line(f"signature files: {number}")
    if contents.recovery is not None:
        record = contents.recovery
        text.print_line(
            f"recovery data: {record.recovery_slices} of each {record.data_slices} +"
            f" {record.recovery_slices} slices of {text.format_size(record.slice_size)} may be lost"
        )
