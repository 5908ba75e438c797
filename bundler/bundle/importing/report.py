"""The report of an import, which is also its receipt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bundler.bundle.importing.policy_use import NO_POLICY, PolicyUse
from bundler.errors import PartialError
from bundler.oci.digest import Digest
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.bundle.format.inventory.omissions import Omissions
    from bundler.bundle.format.read_back_record import ReadBackRecord
    from bundler.bundle.importing.comparing.merge_platforms import MergedIndex
    from bundler.bundle.importing.comparing.signatures import UnstoredSignatures
    from bundler.errors import VolumesOwedError
    from bundler.events import BlobTotal, TransferTotals
    from bundler.signature_ports import MetRequirement

ImageState = Literal["new", "same", "replaced", "merged", "skipped", "conflict", "failed"]


@dataclass(frozen=True, slots=True)
class ImageResult:
    """The result of one image."""

    image: BundledImage
    name: str
    """The full target name."""
    state: ImageState
    former: str | None = None
    """The digest that the name pointed to before the import, if it was a different one."""
    merged: MergedIndex | None = None
    """The index that was made of the one in the bundle and the one at the target; None: none."""
    error: str | None = None
    """The reason why the image was not imported; None if it was."""
    signatures: int = 0
    """The number of signature files that the target can store."""
    unstored_signatures: tuple[UnstoredSignatures, ...] = ()
    """The signature files that the target cannot store."""
    refused_referrers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The reasons of the target that refused referrers, by their tag or digest."""
    verdicts: Mapping[Digest, tuple[MetRequirement, ...]] = field(default_factory=dict, hash=False)
    """The requirements of the policy that each manifest meets; empty without a policy."""

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON; members that are unset are absent."""
        value: dict[str, Any] = {
            "reference": str(self.image.reference),
            "name": self.name,
            "digest": self.image.digest.text,
            "action": self.state,
        }
        if self.former:
            value["former"] = self.former
        if self.merged:
            value["merged"] = self.merged.to_json()
        if self.error:
            value["error"] = self.error
        if self.signatures:
            value["signatures"] = self.signatures
        if self.unstored_signatures:
            value["unstoredSignatures"] = [item.to_json() for item in self.unstored_signatures]
        if self.refused_referrers:
            value["refusedReferrers"] = [
                {"referrer": name, "reason": reason}
                for name, reason in self.refused_referrers.items()
            ]
        return value | self.describe_acceptance()

    def describe_acceptance(self) -> dict[str, Any]:
        """Return the member ``accepted``: what each manifest meets; absent without a policy."""
        accepted = [
            {"manifest": digest.text} | item.to_json()
            for digest, met in self.verdicts.items()
            for item in met
        ]
        return {"accepted": accepted} if accepted else {}


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of an import, or of a dry run; times are in UTC."""

    bundle: AuthenticatedBundle
    target: str
    images: tuple[ImageResult, ...]
    totals: TransferTotals
    """The blobs that were transferred; in a dry run, as planned."""
    started: datetime
    ended: datetime
    omissions: Omissions
    """The content of the images that neither the bundle nor the target has."""
    policy: PolicyUse = NO_POLICY
    rules: dict[str, Any] | None = None
    """The rules that the images passed, as the member of the receipt; None: there were no rules."""
    verified_pushed: BlobTotal | None = None
    """The manifests and blobs that were read back from the target; None: none were."""
    owed: VolumesOwedError | None = None
    """The volumes for which other images wait; these are not among ``images``."""
    read_back: ReadBackRecord | None = None
    """The record of the exporting side that it read the bundle again; a claim."""

    @property
    def failed(self) -> tuple[ImageResult, ...]:
        """The images that were not imported."""
        return tuple(result for result in self.images if result.state == "failed")

    def check(self) -> None:
        """Check that every image was imported.

        Raises:
            VolumesOwedError: some images wait for volumes that are missing.
            PartialError: some images failed.
        """
        if self.owed is not None:
            raise self.owed
        if self.failed:
            lines = [f"{result.name}: {result.error}" for result in self.failed]
            raise PartialError("not all images were imported", lines)

    def to_json(self) -> dict[str, Any]:
        """Return the receipt; sizes are in bytes."""
        inventory, trust = self.bundle.inventory, self.bundle.trust
        decision: dict[str, Any] = {
            "authenticated": self.bundle.is_authenticated,
            "accepted": [key.id for key in self.bundle.accepted],
            "threshold": trust.threshold,
            "keys": [key.id for key in trust.bundle_keys],
            **self.bundle.describe_unfit(),
        }
        if trust.digest is not None:
            decision |= {"version": trust.version, "digest": trust.digest.text}
        return {
            "_type": "airbundle/receipt/v1",
            "stream": inventory.stream,
            "serial": inventory.serial,
            "inventory": Digest.of(self.bundle.raw).text,
            "signedBy": [key.id for key in self.bundle.signers],
            "trust": decision,
            "policy": self.policy.to_json(),
            **({} if self.rules is None else {"rules": self.rules}),
            "target": self.target,
            "started": timestamps.format_utc(self.started),
            "ended": timestamps.format_utc(self.ended),
            "complete": inventory.complete
            and not (self.failed or self.owed or self.omissions.layers),
            "bytes": {
                "pushed": self.totals.pushed.size,
                "present": self.totals.present.size,
                "mounted": self.totals.mounted.size,
                "resumed": self.totals.resumed,
            },
            **(
                {}
                if self.verified_pushed is None
                else {"verifiedPushed": self.verified_pushed.to_json()}
            ),
            "images": [result.to_json() for result in self.images],
            **self.omissions.to_json(),
        }
