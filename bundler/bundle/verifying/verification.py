"""The result of verifying a bundle: the findings, the signers, and the verdict on both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bundler.errors import (
    DamagedBundleError,
    InvalidSignatureError,
    TrustError,
    UnreadableBundleError,
    count,
    shortlist,
)
from bundler.events import BlobTotal
from bundler.oci.json import timestamps
from bundler.trust.bundle_trust import signers_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.inventory.omissions import Omissions
    from bundler.bundle.format.read_back_record import ReadBackRecord
    from bundler.trust.keys import PublicKey
    from bundler.trust.trust_files.role_check import UnfitKey

_MAX_NAMED = 3
_MAX_PATHS = 100  # of each list of paths in JSON


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of one file."""

    code: str
    """One of: missing, damaged, size, special, surplus, unreadable, malformed, index."""
    path: str
    text: str
    images: tuple[str, ...] = ()
    """The full names of the images that need the file."""
    expected: str | None = None
    """The expected digest or size; None for other kinds of problems."""
    got: str | None = None

    def __str__(self) -> str:
        problem = self.text
        if self.expected is not None:
            subject = "digest mismatch" if self.code == "damaged" else "wrong size"
            problem = f"{subject} (expected {self.expected}, got {self.got})"
        users = f" (in {shortlist(self.images, _MAX_NAMED)})" if self.images else ""
        return f"{self.path}: {problem}{users}"


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying a bundle."""

    findings: tuple[Finding, ...]
    """Damaged, missing and unexpected files, sorted by path."""
    inventory: Inventory | None
    """None: ``bundle.json`` cannot be read."""
    signers: tuple[PublicKey, ...]
    """The trusted keys that signed the bundle."""
    names: Mapping[str, str]
    """The names that the site gives to keys, by their IDs."""
    unfit: Sequence[UnfitKey]
    """Those of ``signers`` whose signatures do not count, and the reasons."""
    trust_error: TrustError | None
    """The reason why the bundle is not trusted: not authenticated, or expired; None if it is."""
    expired: bool
    files: int
    """The number of files that were hashed."""
    size: int
    """The number of bytes that were hashed; hard links of one file count once."""
    ignored: int
    """The number of files that do not belong to the bundle, such as those of operating systems."""
    unlisted: tuple[str, ...]
    """The paths of content files that are not listed: an interrupted export left them, or somebody
    put them there. No import reads them."""
    foreign: tuple[str, ...]
    """The paths of the first of those files that are ignored, without those of operating systems.
    """
    omissions: Omissions
    """The content of the images that the export left out; its absence is not damage."""
    presupposed: BlobTotal = field(default_factory=BlobTotal)
    """The blobs that are not in the bundle because its target must have them."""
    read_back: ReadBackRecord | None = None
    """The unsigned record that the bundle was read again after writing; None: there is none."""

    @property
    def whole(self) -> bool:
        """Whether no file is damaged, missing or unexpected."""
        return not self.findings

    @property
    def unreadable(self) -> int:
        """The number of files that the medium fails to read."""
        return sum(finding.code == "unreadable" for finding in self.findings)

    def check(self) -> None:
        """Check that the bundle is undamaged, authenticated and not expired.

        Raises:
            InvalidSignatureError: a signature by a trusted key does not verify; the message
                contains the findings too.
            UnreadableBundleError: the medium fails to read files, so their content is unknown.
            DamagedBundleError: it is damaged, whether signed or not.
            TrustError: it is undamaged, but not authenticated, or expired.
        """
        lines = [str(finding) for finding in self.findings]
        if lines and isinstance(self.trust_error, InvalidSignatureError):
            # The findings compare files with an inventory that may be forged.
            raise InvalidSignatureError(
                "\n".join([self.trust_error.message, *lines]),
                key_id=self.trust_error.key_id,
                problem=self.trust_error.problem,
                hint=self.trust_error.hint,
            )
        if self.unreadable:
            raise UnreadableBundleError(
                f"the bundle cannot be read: {count(self.unreadable, 'unreadable file')}",
                lines,
                hint="reconnect or replace the medium, or correct the rights of its files, and"
                " verify it again",
            )
        if lines:
            raise DamagedBundleError(
                f"the bundle is damaged: {count(len(lines), 'finding')}",
                lines,
                hint="copy these files again, or run the export again, which repairs them",
            )
        if self.trust_error is not None:
            raise self.trust_error

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON; sizes are in bytes."""
        known = self.inventory
        return {
            "whole": self.whole,
            "trusted": self.whole and self.trust_error is None,
            "distrust": None if self.trust_error is None else self.trust_error.message,
            "signers": signers_to_json(self.signers, self.names, self.unfit),
            "stream": known and known.stream,
            "serial": known and known.serial,
            "created": known and timestamps.format_utc(known.created),
            "expires": known and known.expires and timestamps.format_utc(known.expires),
            "expired": self.expired,
            "complete": known and known.complete,
            "images": known and len(known.images),
            "readBack": self.read_back and self.read_back.to_json(),
            "files": self.files,
            "size": self.size,
            "ignored": self.ignored,
            "foreignFiles": list(self.foreign[:_MAX_PATHS]),
            "unlisted": len(self.unlisted),
            "unlistedFiles": list(self.unlisted[:_MAX_PATHS]),
            **(
                {"relayed": [item.to_json() for item in known.relayed]}
                if known and known.relayed
                else {}
            ),
            **({"presupposed": self.presupposed.to_json()} if self.presupposed.blobs else {}),
            **self.omissions.to_json(),
            "findings": [
                {
                    "code": finding.code,
                    "path": finding.path,
                    "text": finding.text,
                    "images": list(finding.images),
                }
                for finding in self.findings
            ],
        }
