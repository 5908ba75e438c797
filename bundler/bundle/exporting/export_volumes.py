"""Export images to a bundle on several volumes, which are directories on different media.

All content is resolved and planned first. The sealed plan is written to the volumes whose
directories are known, before any content; then these volumes are written one after the other. The
user is asked for the directories of further ones. Each volume has a checksum file of its own, and
the inventory completes the last one. If an export is interrupted, the same export completes it
under the same plan.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bundler.bundle.exporting.export import VolumeQuestion
from bundler.bundle.exporting.report import ExportReport, create_partial_error
from bundler.bundle.exporting.sealing import seal as sealing
from bundler.bundle.exporting.sealing.volume_plan import (
    check_directory,
    check_options,
    plan_volumes,
)
from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.bundle.format.writing import store
from bundler.bundle.media import filesystem
from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory
from bundler.copy.engine import execute
from bundler.copy.plan import create_plan
from bundler.errors import ConflictError, MediumError, VolumesOwedError
from bundler.events import Notice, TransferTotals

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.exporting.export import ExportRequest, ResolvedContent
    from bundler.bundle.exporting.sealing.volume_plan import VolumePlan
    from bundler.bundle.media.filesystem import Medium
    from bundler.copy.engine import EngineOptions
    from bundler.copy.plan import Plan
    from bundler.ports import Destination


def export_volumes(
    request: ExportRequest, content: ResolvedContent, engine: EngineOptions
) -> ExportReport:
    """Write the bundle to the directories ``request.bundle`` and ``request.volumes``.

    Raises:
        NoSpaceError, MediumError: the media are too small or cannot be written; raised before the
            first byte is written if possible.
        ConflictError: a directory contains another bundle.
        UsageError: an option does not apply to volumes, or more directories are needed.
        VolumesOwedError: the user specified no directory for a volume; run the export again.
        PartialError: an image failed; run the export again.
        BundlerError: the first failure; content already written is used by the next run.
    """
    check_options(request)
    paths = (request.bundle, *request.volumes)
    media = {path: filesystem.inspect(path, request.media_profile) for path in paths}
    for path, medium in media.items():
        check_directory(request, path, medium)
    plan = plan_volumes(request, content, media, engine.emit)
    for path in paths[len(plan.numbers) :]:
        engine.emit(Notice(f"{path}: not needed, since the other volumes have enough room"))
    writer = _VolumeWriter(request, content, plan, engine)
    with ExitStack() as stack:  # closed before others are asked for, so that media can be removed
        known = [
            (number, medium, writer.announce(path, stack))
            for number, (path, medium) in zip(plan.numbers, media.items(), strict=False)
        ]
        for number, medium, opened in known:
            writer.write(number, medium, *opened)
    for number in plan.numbers[len(known) :]:
        writer.release_media()
        path, medium = _ask(request, plan, number, writer.written)
        with ExitStack() as stack:
            writer.write(number, medium, *writer.announce(path, stack))
    return writer.create_report()


def _ask(
    request: ExportRequest, plan: VolumePlan, number: int, written: dict[int, str]
) -> tuple[Path, Medium]:
    """Ask for the directory of a volume, until one is accepted.

    Raises:
        VolumesOwedError: the answer is empty.
    """
    needed = plan.sealed.plan.volumes[number - 1].size
    question = VolumeQuestion(number, plan.total, needed)
    while True:
        path = None if request.ask_for_volume is None else request.ask_for_volume(question)
        if path is None:
            inventory = plan.sealed.inventory
            raise VolumesOwedError(
                f"bundle {inventory.stream} {inventory.serial}",
                [item for item in plan.numbers if item not in written],
                plan.total,
                hint="run the same export again: it keeps the volumes that are complete",
            )
        try:
            medium = filesystem.inspect(path, request.media_profile)
            check_directory(request, path, medium)
            plan.check(number, path, medium)
        except (MediumError, ConflictError) as error:
            question = question._replace(problem=error.message)
        else:
            return path, medium


@dataclass(slots=True)
class _VolumeWriter:
    request: ExportRequest
    content: ResolvedContent
    plan: VolumePlan
    engine: EngineOptions
    written: dict[int, str] = field(default_factory=dict)
    """The directories of the volumes that are complete, by number."""
    totals: TransferTotals = field(default_factory=TransferTotals)
    media: list[Medium] = field(default_factory=list)
    """The media that were written, and may still be connected."""
    last: Plan[Destination] | None = None
    """The transfers to the last volume that is complete."""

    def announce(self, path: Path, stack: ExitStack) -> tuple[store.WritableDirectory, Directory]:
        """Lock the directory of a volume, and write the plan to it; ``stack`` closes it."""
        destination = store.open_for_writing(path, "oci", unsealed=True)
        stack.callback(destination.close)
        directory = stack.enter_context(Directory.open(path))
        stack.enter_context(directory.report_disconnection())
        if self.request.trust_chain:
            from bundler.bundle.format import trust_chain  # noqa: PLC0415 - only with a trust file

            trust_chain.write_chain(path, self.request.trust_chain)
        atomic_write.write_files(directory, self.plan.sealed.announcement)
        return destination, directory

    def write(
        self,
        number: int,
        medium: Medium,
        destination: store.WritableDirectory,
        directory: Directory,
    ) -> None:
        """Write the content of a volume, seal it, and read it again if that is requested."""
        request, sealed, engine = self.request, self.plan.sealed, self.engine
        self._transfer(number, destination)
        if self.content.signature_files:
            from bundler.bundle.format.signatures import image_signatures  # noqa: PLC0415 - if there are any

            image_signatures.write_files(directory.path, self.content.signature_files)
        if request.program:
            from bundler.bundle.program import copy_program  # noqa: PLC0415 - on request

            copy_program.copy(request.program, directory, engine.cancellation)
        directory.check_connected()
        present = bundle_files.scan(directory.path).entries
        atomic_write.write_files(directory, sealed.seals[number - 1])
        sealing.prune(directory, present, sealed.paths[number - 1])
        state = "complete"
        if request.reads_back(medium):
            from bundler.bundle.verifying.verify_volumes import read_back_volume  # noqa: PLC0415 - on some media

            read_back_volume(
                directory.path, number, sealed.plan, engine, removable=medium.removable
            )
            state = "complete, and reads as written"
        self.written[number] = str(directory.path)
        self.media.append(medium)
        engine.emit(Notice(f"{directory.path}: volume {number} of {self.plan.total} is {state}"))

    def _transfer(self, number: int, destination: store.WritableDirectory) -> None:
        """Transfer everything except the layers of other volumes, and those of the target."""
        presupposed = self.plan.content.presupposed.keys()
        elsewhere = {digest for digest, at in self.plan.assigned.items() if at != number}
        planned = [
            replace(
                store.create_planned_image(entry, image, destination, "oci"),
                presupposed=elsewhere | presupposed,
            )
            for entry, image in zip(self.content.entries, self.content.images, strict=True)
        ]
        plan = create_plan(planned, self.engine.executor, self.engine.cancellation)
        result = execute(plan, self.engine)
        if result.failed:
            problem = "not completed; run it again"
            raise create_partial_error(self.request.bundle, problem, result.failed)
        self.totals += result.totals
        images = tuple(replace(item, presupposed=presupposed) for item in plan.images)
        self.last = replace(plan, images=images)

    def release_media(self) -> None:
        """Report that the media that were written may be removed, before others are asked for."""
        for message in dict.fromkeys(medium.completion_message for medium in self.media):
            self.engine.emit(Notice(message))
        self.media.clear()

    def create_report(self) -> ExportReport:
        """Return the report of the volumes that were written."""
        assert self.last is not None  # noqa: S101 - for mypy: there is a volume
        sealed = self.plan.sealed
        return ExportReport(
            bundle=self.request.bundle,
            inventory=sealed.inventory,
            signatures=tuple(filter(bundle_paths.parse_signature_name, sealed.seals[-1])),
            changed=True,
            plan=self.last,
            totals=self.totals,
            missing={},
            medium=filesystem.inspect(self.media[0].existing),
            further_media=tuple(self.media[1:]),
            volumes=self.written,
            volume_count=self.plan.total,
        )
