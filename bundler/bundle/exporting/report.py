"""The report of an export, and the error for images that are not in the bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bundler.bundle.exporting.resolving.resolve import verified_to_json
from bundler.errors import BundlerError, PartialError
from bundler.events import BlobTotal
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.inventory.omissions import Omissions
    from bundler.bundle.format.read_back_record import ReadBackRecord
    from bundler.bundle.media.filesystem import Medium
    from bundler.copy.image import ResolvedImage
    from bundler.copy.plan import Plan
    from bundler.events import TransferTotals
    from bundler.ports import Holdings


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The result of an export."""

    bundle: Path
    inventory: Inventory
    signatures: tuple[str, ...]
    changed: bool
    """Whether anything was written; False if the bundle was already up to date."""
    plan: Plan[Holdings]
    totals: TransferTotals
    """The blobs that were transferred, without those that an interrupted export had stored."""
    missing: Mapping[str, BundlerError]
    """The errors of images that are not in the bundle, by reference; empty if none is missing."""
    medium: Medium
    """The medium, with its free space after the export."""
    read_back: ReadBackRecord | None = None
    """The record that the bundle was read again from the medium; None: it was not."""
    further_media: tuple[Medium, ...] = ()
    """The media of further volumes, as before the export."""
    volumes: Mapping[int, str] = field(default_factory=dict, hash=False)
    """The directories of the volumes that were written, by number; empty: there are no volumes."""
    volume_count: int = 0
    """The number of volumes of the bundle."""
    removed_signatures: tuple[str, ...] = ()
    """The names of the signature files of the former bundle that this one does not have."""

    @property
    def referrers(self) -> int:
        """The number of exported signatures, attestations and SBOMs."""
        return sum(len(image.referrers) for image in self.inventory.images)

    @property
    def attested(self) -> int:
        """The number of images with an attestation of this export, or of an earlier one."""
        return sum(bool(image.added) for image in self.images)

    @property
    def omissions(self) -> Omissions:
        """The content of the exported images that is not in the bundle."""
        from bundler.bundle.format.inventory.omissions import Omissions  # noqa: PLC0415 - rare

        return Omissions.of(self.inventory.images)

    @property
    def presupposed(self) -> BlobTotal:
        """The blobs that the bundle lacks, because its target has them."""
        sizes = {
            node.digest: node.size or 0
            for planned in self.plan.images
            for node in planned.image.graph.blobs
            if node.digest in planned.presupposed
        }
        return BlobTotal.of([*sizes.values()])

    @property
    def completion_messages(self) -> list[str]:
        """The last lines that a command prints: one for each medium."""
        media = (self.medium, *self.further_media)
        return [*dict.fromkeys(medium.completion_message for medium in media)]

    @property
    def images(self) -> list[ResolvedImage]:
        """The images at their sources."""
        return [planned.image for planned in self.plan.images]

    def check(self) -> None:
        """Check that the bundle is complete.

        Raises:
            PartialError: images are missing, or foreign layers that the requests do not leave out.
        """
        incomplete = [
            image
            for image in self.images
            if image.missing_layers and image.display_name not in self.missing
        ]
        if self.missing or incomplete:
            kinds = ["images"] * bool(self.missing) + ["foreign layers"] * bool(incomplete)
            problem = f"incomplete bundle; missing {' and '.join(kinds)}"
            raise create_partial_error(self.bundle, problem, self.missing, incomplete)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON; sizes are in bytes."""
        from bundler.bundle.exporting.resolving import missing_platforms  # noqa: PLC0415 - only for JSON

        contents, presupposed = self.inventory, self.presupposed
        return {
            "bundle": str(self.bundle),
            "changed": self.changed,
            "stream": contents.stream,
            "serial": contents.serial,
            "created": timestamps.format_utc(contents.created),
            "expires": contents.expires and timestamps.format_utc(contents.expires),
            "complete": contents.complete,
            "signatures": list(self.signatures),
            "removedSignatures": list(self.removed_signatures),
            **self.totals.to_json(),
            **({"presupposed": presupposed.to_json()} if presupposed.blobs else {}),
            "images": [
                {"reference": str(image.reference), "digest": image.digest.text}
                for image in contents.images
            ],
            "referrers": self.referrers,
            **({"attested": self.attested} if self.attested else {}),
            **({"leftBehind": []} | self.omissions.to_json()),
            **verified_to_json(self.images),
            "missing": [
                {"reference": name, "error": str(error)} for name, error in self.missing.items()
            ],
            **missing_platforms.to_json(self.images),
            "medium": self.medium.to_json(),
            "readBack": self.read_back and self.read_back.to_json(),
            **({"volumes": list(self.volumes.values())} if self.volumes else {}),
        }


def create_partial_error(
    bundle: Path,
    problem: str,
    failures: Mapping[str, BundlerError],
    incomplete: Sequence[ResolvedImage] = (),
) -> PartialError:
    """Create the error for images that failed, and for images with missing layers."""
    lines, hint = [error.message_about(name) for name, error in failures.items()], None
    if incomplete:
        from bundler.bundle.exporting.resolving import foreign_layers  # noqa: PLC0415 - rare

        lines += foreign_layers.describe_missing(incomplete)
        hint = foreign_layers.HINT
    return PartialError(f"{bundle}: {problem}", lines, hint=hint)
