"""Verify an archive that is cut, or of which parts are missing, as far as it is present."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from bundler.bundle.format.archive.part_names import parse_part_path, read_list
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory import presupposed as presupposing
from bundler.bundle.format.plan.authenticate_plan import authenticate_plan
from bundler.bundle.verifying import parallel_hash, stored_graphs
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import read_chunks
from bundler.errors import (
    BundlerError,
    DamagedBundleError,
    DigestMismatchError,
    count,
)
from bundler.events import BlobTotal, Completed, Planned, TransferTotals
from bundler.oci.digest import new_hasher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bundler.bundle.format.archive.archive_files import ArchiveFiles
    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.bundle.format.plan.sealed_plan import SealedPlan
    from bundler.cancel import Cancellation
    from bundler.events import Emit
    from bundler.oci.digest import Digest
    from bundler.trust.bundle_trust import BundleTrust


@dataclass(frozen=True, slots=True)
class PartialVerification:
    """The result of an archive of which a part is present."""

    plan: SealedPlan
    total: BlobTotal
    """The manifests, configs and layers that are whole."""
    planned: int
    """The number of all of them."""
    findings: tuple[str, ...]
    """One line for each damaged blob or part."""
    incomplete: tuple[str, ...]
    """The names of the images that need content which is not present."""
    error: BundlerError
    """The error that states what is missing."""

    def describe(self) -> list[str]:
        """Return the result as lines for people."""
        state = f"damaged ({count(len(self.findings), 'finding')})" if self.findings else "whole"
        blobs = f"{self.total.blobs:,} of {count(self.planned, 'blob')}"
        lines = [f"{self.plan.stream} {self.plan.serial}: {blobs} present: {state}"]
        for image in self.plan.images:
            name = str(image.reference)
            lines.append(f"{name}: {'incomplete' if name in self.incomplete else 'present'}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "stream": self.plan.stream,
            "serial": self.plan.serial,
            "whole": False,
            "present": self.total.to_json(),
            "planned": self.planned,
            "findings": list(self.findings),
            "incomplete": list(self.incomplete),
        }

    def check(self) -> None:
        """Raise the error of damage, or the one that states what is missing."""
        if self.findings:
            raise DamagedBundleError(
                f"bundle {self.plan.stream} {self.plan.serial}: damaged",
                self.findings,
                hint="copy the named part, or the archive, again",
            )
        raise self.error


def verify_partial(
    files: ArchiveFiles,
    trust: BundleTrust,
    now: datetime,
    *,
    threads: int | None,
    cancellation: Cancellation,
    emit: Emit,
) -> PartialVerification:
    """Verify the plan and all content that is whole.

    Raises:
        TrustError, ExpiredError: the plan is not authenticated.
        MalformedError, LimitError, MediumError: it cannot be read.
        CancelledError: ``cancellation`` was requested.
    """
    plan, _ = authenticate_plan(files, trust, now)
    found = files.scan().entries
    expected = {
        path: (digest,) for path in found if (digest := bundle_paths.parse_digest(path)) is not None
    }
    jobs = parallel_hash.create_jobs(expected, found.values(), {})
    totals = TransferTotals(checked=BlobTotal.of([job.size for job in jobs]))
    emit(Planned(totals, "check"))
    faults = parallel_hash.hash_all(files, jobs, threads, cancellation, emit)
    emit(Completed(totals))
    incomplete = tuple(find_incomplete(files, plan.images))
    return PartialVerification(
        plan,
        totals.checked,
        plan.contents.count,
        (*check_parts(files, cancellation), *(str(error) for error in faults.values())),
        incomplete,
        files.create_partial_error(
            f"bundle {plan.stream} {plan.serial}", [f"incomplete: {name}" for name in incomplete]
        ),
    )


def find_incomplete(files: ArchiveFiles, images: Sequence[BundledImage]) -> dict[str, bool]:
    """Return the names of the images of which content is lacking.

    The values state whether all of their manifests and configs are present.
    """
    found = files.scan().entries
    lacking = files.list_lacking()
    held: Mapping[Digest, HeldBlob] = {}
    if files.get_size(bundle_paths.PRESUPPOSED) is not None:
        held = presupposing.parse(files.read(bundle_paths.PRESUPPOSED, presupposing.MAX_FILE))
    incomplete: dict[str, bool] = {}
    for image, graphs in stored_graphs.read_graphs(files, "oci", images).images:
        absent = [
            node
            for node in chain.from_iterable(graphs)
            if node.path not in found
            and (node.required or node.path in lacking)
            and not (node.kind == "layer" and node.descriptor.digest in held)
        ]
        if absent:
            incomplete[str(image.reference)] = all(node.kind == "layer" for node in absent)
    return incomplete


def check_parts(files: ArchiveFiles, cancellation: Cancellation) -> list[str]:
    """Compare the parts of a split archive with the list of their digests, if there is one.

    Raises:
        MalformedError, LimitError, MediumError: the list is not valid, or a part cannot be read.
    """
    listed: dict[str, Digest] = {}
    for path in files.parts.values():
        part = parse_part_path(path)
        listed |= {} if part is None else read_list(part[0])
    lines = []
    for path in files.parts.values():
        digest = listed.get(path.name)
        if digest is None:
            if listed:
                lines.append(f"{path}: not in the list of the parts")
            continue
        hasher = new_hasher("sha256")
        with RegularFile.open(path) as file:
            for chunk in read_chunks(file):
                cancellation.check()
                hasher.update(chunk)
        got = f"sha256:{hasher.hexdigest()}"
        if got != digest.text:
            lines.append(str(DigestMismatchError(str(path), expected=digest.text, got=got)))
    return lines
