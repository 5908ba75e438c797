"""Policies for the engine, without a policy.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import RejectedByPolicyError
from bundler.oci.digest import Digest
from bundler.signature_ports import MetRequirement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


@dataclass
class AcceptsDigests:
    """A ``PolicyCheck`` that accepts manifests by their digests, and records them."""

    accepted: Collection[str] | None = None
    """None: all."""
    references: list[str] = field(default_factory=list)
    """The references that were checked before anything was parsed."""
    checked: list[Digest] = field(default_factory=list)
    signatures: dict[Digest, list[bytes]] = field(default_factory=dict)
    """The signatures of the manifests that were checked."""
    expected: dict[str, list[bytes]] = field(default_factory=dict)
    """The announced signatures, by reference."""

    def check_reference(self, reference: str, /) -> None:
        """Accept every reference."""
        self.references.append(reference)

    def expect_signatures(self, reference: str, signatures: Sequence[bytes], /) -> None:
        """Record the signatures."""
        self.expected.setdefault(reference, []).extend(signatures)

    def check_manifest(
        self, reference: str, manifest: bytes, read_signatures: Callable[[], Sequence[bytes]], /
    ) -> tuple[MetRequirement, ...]:
        """Reject a manifest with another digest."""
        digest = Digest.of(manifest)
        self.checked.append(digest)
        self.signatures[digest] = list(read_signatures())
        if self.accepted is not None and digest.text not in self.accepted:
            raise RejectedByPolicyError("rejected", rule="signedBy", reference=reference)
        return (MetRequirement("default", "signedBy"),)


@dataclass
class RejectsReferences:
    """A ``PolicyCheck`` that rejects everything before a manifest is checked."""

    def check_reference(self, reference: str, /) -> None:
        """Reject the reference."""
        raise RejectedByPolicyError("rejected", rule="reject", reference=reference)

    def expect_signatures(self, reference: str, signatures: Sequence[bytes], /) -> None:
        """Do nothing."""

    def check_manifest(
        self, reference: str, manifest: bytes, read_signatures: Callable[[], Sequence[bytes]], /
    ) -> tuple[MetRequirement, ...]:
        """Never called."""
        raise AssertionError(reference)
