"""What commands print of that which they did, or would do: lines for people, or one document.

Sizes are in bytes in documents, and in binary units in lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.output import text

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.exporting.estimate import Estimate
    from bundler.bundle.exporting.export import ExportReport
    from bundler.bundle.importing.report import ImportReport
    from bundler.copy.plan import Action, Plan
    from bundler.images.copy_image import CopyReport
    from bundler.images.sync.report import SyncReport
    from bundler.ports import Holdings

_WORDS = {
    "new": "new",
    "same": "already there",
    "replaced": "replaces another",
    "skipped": "left as it was",
    "conflict": "conflict",
    "failed": "failed",
}

_STATES = {"new": "to copy", "present": "already there", "copied": "copied", "failed": "failed"}


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
            str(image.reference),
            " ".join(image.platforms) or "-",
            text.size(sizes.size),
            text.size(sizes.unique),
            str(len(image.referrers)),
        )
        for image, sizes in numbers.images
    ]
    text.table(("IMAGE", "PLATFORMS", "SIZE", "OWN", "REFERRERS"), rows, right={2, 3, 4})
    for reference, error in numbers.missing.items():
        text.line(f"missing: {error.message_about(reference)}")
    plan = numbers.plan
    text.line(
        f"{text.count(len(rows), 'image')}, {text.count(len(plan.blobs), 'blob')},"
        f" {text.size(numbers.total.size)}; sharing saves {text.size(numbers.saved)}"
    )
    text.line(
        f"to move: {text.size(plan.size('push'))} in"
        f" {text.count(plan.count('push'), 'request')};"
        f" there already: {text.size(plan.size('present'))}"
    )
    if plan.foreign:
        text.line(f"left where their URLs say: {text.count(len(plan.foreign), 'foreign layer')}")
    medium = numbers.medium
    if medium is not None:
        verdict = "enough" if numbers.enough_space else "not enough"
        text.line(
            f"free: {text.size(medium.free)} ({medium.file_system or 'disk'}"
            f" at {medium.mount_point}), {verdict}"
        )
        if numbers.blob_too_large:
            text.line(f"a blob is larger than {medium.file_system} can hold in one file")


def exported(report: ExportReport, *, as_json: bool, quiet: bool) -> None:
    """Print what an export did; with ``quiet`` nothing on stderr."""
    contents, plan, written = report.inventory, report.plan, report.medium
    if as_json:
        text.document(report.to_json())
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
    text.aside(written.farewell, quiet=quiet)


def farewell(bundle: Path, *, quiet: bool) -> None:
    """Tell whoever carries the bundle that all of it is written."""
    from bundler.bundle.media import filesystem  # noqa: PLC0415 - only who writes needs it

    text.aside(filesystem.inspect(bundle).farewell, quiet=quiet)


def imported(report: ImportReport, *, as_json: bool, dry_run: bool) -> None:
    """Print what became, or would become, of each image."""
    if as_json:
        text.document(report.to_json() | {"dryRun": dry_run})
        return
    rows = [
        (str(line.image.reference), line.name, _WORDS[line.action], line.former or "")
        for line in report.images
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
    text.line(f"{report.destination} {report.root.digest}")
    if dry_run:
        moves, stays = _blobs(report.plan, "push"), _blobs(report.plan, "present")
        text.line(f"{moves}, to move")
        text.line(f"{stays}, there already")


def synced(report: SyncReport, *, as_json: bool, dry_run: bool) -> None:
    """Print what a sync did, or would do."""
    if as_json:
        text.document(report.to_json() | {"dryRun": dry_run})
        return
    rows = [(line.source, line.destination, _STATES[line.state]) for line in report.images]
    text.table(("IMAGE", "DESTINATION", "OUTCOME"), rows)
    if not dry_run:
        moved, present = text.size(report.size("push")), text.size(report.size("present"))
        text.line(f"moved: {moved}; there already: {present}")


def _shares(plan: Plan[Holdings]) -> str:
    """What moved, or would; what was there; and what a registry takes from its own neighbours."""
    moves = f"{text.size(plan.size('push'))} in {text.count(plan.count('push'), 'blob')}"
    mounted = plan.size("mount")
    within = f"; shared inside the registry: {text.size(mounted)}" if mounted else ""
    return f"{moves}; there already: {text.size(plan.size('present'))}{within}"


def _blobs(plan: Plan[Holdings], action: Action) -> str:
    return f"{text.count(plan.count(action), 'blob')}, {text.size(plan.size(action))}"
