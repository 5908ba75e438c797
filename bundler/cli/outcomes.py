"""What commands print of that which they did, or would do: lines for people, or one document.

Sizes are in bytes in documents, and in binary units in lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli import render, voice

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.exporting import ExportReport, Survey
    from bundler.bundle.receipt import ImportReport
    from bundler.copy.plan import Action, Plan
    from bundler.images.copying import CopyReport

_WORDS = {
    "new": "new",
    "same": "already there",
    "replaced": "replaces another",
    "skipped": "left as it was",
    "conflict": "conflict",
    "failed": "failed",
}


def surveyed(survey: Survey, bundle: Path | None, *, as_json: bool) -> None:
    """Print what an export would do; ``bundle`` is where it would go, if that is said."""
    from bundler.bundle.resolving import why_missing  # noqa: PLC0415
    from bundler.bundle.surveying import estimate  # noqa: PLC0415 - only plans need it

    numbers = estimate(survey, bundle)
    if numbers.refusal is not None:
        render.note(f"warning: an export would be refused: {numbers.refusal.message}")
        if numbers.refusal.hint:
            render.note(f"hint: {numbers.refusal.hint}")
    if as_json:
        render.document(numbers.to_json())
        return
    rows = [
        (
            image.reference,
            " ".join(image.platforms) or "-",
            render.size(image.size),
            render.size(image.own),
            str(image.referrers),
        )
        for image in numbers.images
    ]
    render.table(("IMAGE", "PLATFORMS", "SIZE", "OWN", "REFERRERS"), rows, right={2, 3, 4})
    for reference, error in numbers.missing:
        render.line(f"missing: {why_missing(reference, error)}")
    render.line(
        f"{render.count(len(rows), 'image')}, {render.count(numbers.blobs, 'blob')},"
        f" {render.size(numbers.size)}; sharing saves {render.size(numbers.shared)}"
    )
    render.line(
        f"to move: {render.size(numbers.to_move)} in"
        f" {render.count(numbers.requests, 'request')};"
        f" there already: {render.size(numbers.present)}"
    )
    if numbers.foreign:
        render.line(f"left where their URLs say: {render.count(numbers.foreign, 'foreign layer')}")
    if numbers.room is not None:
        room = numbers.room
        verdict = "enough" if room.enough else "not enough"
        render.line(
            f"free: {render.size(room.free)} ({room.file_system or 'disk'}"
            f" at {room.mount_point}), {verdict}"
        )
        if room.too_large:
            render.line(f"a blob is larger than {room.file_system} can hold in one file")


def exported(report: ExportReport, *, as_json: bool) -> None:
    """Print what an export did."""
    from bundler.bundle import medium  # noqa: PLC0415 - only who writes needs it

    contents, plan, written = report.inventory, report.plan, medium.inspect(report.bundle)
    if as_json:
        render.document(report.to_json() | {"medium": written.to_json()})
    else:
        state = "written" if report.changed else "unchanged"
        until = f", until {contents.expires:%Y-%m-%d}" if contents.expires else ""
        render.line(
            f"{report.bundle}: {state}: {contents.stream} {contents.serial},"
            f" {render.count(len(contents.images), 'image')}{until}"
        )
        render.line(f"moved: {_shares(plan)}")
        render.line(f"signed: {' '.join(report.signatures) or 'no'}")
        render.line(f"referrers that travel: {report.referrers}")
        for reference, referrer in report.left_behind:
            render.line(f"left behind: {referrer}, which is about all platforms of {reference}")
        for image in contents.images:
            if image.source:
                render.line(f"pulled from a mirror: {image.reference}: {image.source}")
            if image.replaces:
                render.line(
                    f"new digest, since platforms were left out: {image.reference}: {image.digest}"
                )
        render.line(
            f"medium: {written.device or 'device unknown'} ({written.file_system or 'disk'})"
            f" at {written.mount_point}, {render.size(written.free)} free"
        )
    render.aside(written.farewell)


def farewell(bundle: Path) -> None:
    """Tell whoever carries the bundle that all of it is written."""
    from bundler.bundle import medium  # noqa: PLC0415 - only who writes needs it

    render.aside(medium.inspect(bundle).farewell)


def imported(report: ImportReport, *, as_json: bool, dry_run: bool) -> None:
    """Print what became, or would become, of each image."""
    if as_json:
        render.document(report.to_json() | {"dryRun": dry_run})
        return
    rows = [
        (line.image.reference, line.name, _WORDS[line.action], line.former or "")
        for line in report.lines
    ]
    render.table(("OLD NAME", "NEW NAME", "OUTCOME", "HELD BEFORE"), rows)
    render.line(f"{'to push' if dry_run else 'pushed'}: {_shares(report.plan)}")


def copied(report: CopyReport, *, as_json: bool, dry_run: bool) -> None:
    """Print what a copy did, or would do; nothing where the image itself was printed."""
    if not dry_run and report.destination.partition(":")[2].partition(":")[0] == "/dev/stdout":
        return
    if as_json:
        render.document(report.to_json() | {"dryRun": dry_run})
        return
    if not voice.current().tells_outcomes:
        return
    render.line(f"{report.destination} {report.root.digest}")
    if dry_run:
        moves, stays = _blobs(report.plan, "push"), _blobs(report.plan, "present")
        render.line(f"{moves}, to move")
        render.line(f"{stays}, there already")


def _shares(plan: Plan) -> str:
    """What moved, or would; what was there; and what a registry takes from its own neighbours."""
    moves = f"{render.size(plan.size('push'))} in {render.count(plan.count('push'), 'blob')}"
    mounted = plan.size("mount")
    within = f"; shared inside the registry: {render.size(mounted)}" if mounted else ""
    return f"{moves}; there already: {render.size(plan.size('present'))}{within}"


def _blobs(plan: Plan, action: Action) -> str:
    return f"{render.count(plan.count(action), 'blob')}, {render.size(plan.size(action))}"
