"""What commands print of that which they did, or would do: lines for people, or one document.

Sizes are in bytes in documents, and in binary units in lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.frontends import frontend
from bundler.cli.output import text

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.exporting.estimate import Estimate
    from bundler.bundle.exporting.export import ExportReport
    from bundler.bundle.importing.report import ImportReport
    from bundler.copy.plan import Action, Plan
    from bundler.images.copy_image import CopyReport
    from bundler.ports import Holdings

_WORDS = {
    "new": "new",
    "same": "already there",
    "replaced": "replaces another",
    "skipped": "left as it was",
    "conflict": "conflict",
    "failed": "failed",
}


def estimated(numbers: Estimate, *, as_json: bool) -> None:
    """Print what an export would do."""
    if numbers.refusal is not None:
        text.note(f"warning: an export would be refused: {numbers.refusal.message}")
        if numbers.refusal.hint:
            text.note(f"hint: {numbers.refusal.hint}")
    if as_json:
        text.document(numbers.to_json())
        return
    rows = [
        (
            image.reference,
            " ".join(image.platforms) or "-",
            text.size(image.size),
            text.size(image.own),
            str(image.referrers),
        )
        for image in numbers.images
    ]
    text.table(("IMAGE", "PLATFORMS", "SIZE", "OWN", "REFERRERS"), rows, right={2, 3, 4})
    for reference, error in numbers.missing.items():
        text.line(f"missing: {error.message_about(reference)}")
    text.line(
        f"{text.count(len(rows), 'image')}, {text.count(numbers.blobs, 'blob')},"
        f" {text.size(numbers.size)}; sharing saves {text.size(numbers.shared)}"
    )
    text.line(
        f"to move: {text.size(numbers.to_move)} in"
        f" {text.count(numbers.requests, 'request')};"
        f" there already: {text.size(numbers.present)}"
    )
    if numbers.foreign:
        text.line(f"left where their URLs say: {text.count(numbers.foreign, 'foreign layer')}")
    if numbers.room is not None:
        room = numbers.room
        verdict = "enough" if room.enough else "not enough"
        text.line(
            f"free: {text.size(room.free)} ({room.file_system or 'disk'}"
            f" at {room.mount_point}), {verdict}"
        )
        if room.too_large:
            text.line(f"a blob is larger than {room.file_system} can hold in one file")


def exported(report: ExportReport, *, as_json: bool) -> None:
    """Print what an export did."""
    from bundler.bundle.media import filesystem  # noqa: PLC0415 - only who writes needs it

    contents, plan, written = report.inventory, report.plan, filesystem.inspect(report.bundle)
    if as_json:
        text.document(report.to_json() | {"medium": written.to_json()})
    else:
        state = "written" if report.changed else "unchanged"
        until = f", until {contents.expires:%Y-%m-%d}" if contents.expires else ""
        text.line(
            f"{report.bundle}: {state}: {contents.stream} {contents.serial},"
            f" {text.count(len(contents.images), 'image')}{until}"
        )
        text.line(f"moved: {_shares(plan)}")
        text.line(f"signed: {' '.join(report.signatures) or 'no'}")
        text.line(f"referrers that travel: {report.referrers}")
        for reference, referrer in report.left_behind:
            text.line(f"left behind: {referrer}, which is about all platforms of {reference}")
        for image in contents.images:
            if image.source:
                text.line(f"pulled from a mirror: {image.reference}: {image.source}")
            if image.replaces:
                text.line(
                    f"new digest, since platforms were left out: {image.reference}: {image.digest}"
                )
        text.line(
            f"medium: {written.device or 'device unknown'} ({written.file_system or 'disk'})"
            f" at {written.mount_point}, {text.size(written.free)} free"
        )
    text.aside(written.farewell)


def farewell(bundle: Path) -> None:
    """Tell whoever carries the bundle that all of it is written."""
    from bundler.bundle.media import filesystem  # noqa: PLC0415 - only who writes needs it

    text.aside(filesystem.inspect(bundle).farewell)


def imported(report: ImportReport, *, as_json: bool, dry_run: bool) -> None:
    """Print what became, or would become, of each image."""
    if as_json:
        text.document(report.to_json() | {"dryRun": dry_run})
        return
    rows = [
        (line.image.reference, line.name, _WORDS[line.action], line.former or "")
        for line in report.lines
    ]
    text.table(("OLD NAME", "NEW NAME", "OUTCOME", "HELD BEFORE"), rows)
    text.line(f"{'to push' if dry_run else 'pushed'}: {_shares(report.plan)}")


def copied(report: CopyReport, *, as_json: bool, dry_run: bool) -> None:
    """Print what a copy did, or would do; nothing where the image itself was printed."""
    if not dry_run and report.destination.partition(":")[2].partition(":")[0] == "/dev/stdout":
        return
    if as_json:
        text.document(report.to_json() | {"dryRun": dry_run})
        return
    if not frontend.current().tells_outcomes:
        return
    text.line(f"{report.destination} {report.root.digest}")
    if dry_run:
        moves, stays = _blobs(report.plan, "push"), _blobs(report.plan, "present")
        text.line(f"{moves}, to move")
        text.line(f"{stays}, there already")


def _shares(plan: Plan[Holdings]) -> str:
    """What moved, or would; what was there; and what a registry takes from its own neighbours."""
    moves = f"{text.size(plan.size('push'))} in {text.count(plan.count('push'), 'blob')}"
    mounted = plan.size("mount")
    within = f"; shared inside the registry: {text.size(mounted)}" if mounted else ""
    return f"{moves}; there already: {text.size(plan.size('present'))}{within}"


def _blobs(plan: Plan[Holdings], action: Action) -> str:
    return f"{text.count(plan.count(action), 'blob')}, {text.size(plan.size(action))}"
