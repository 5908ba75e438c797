"""Signatures that a request demands of an image, and those that were verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class KeySignature:
    """A sigstore signature by one of the keys in ``files``, as an attachment or a bundle."""

    files: tuple[Path, ...]

    def __str__(self) -> str:
        return f"key {' or '.join(map(str, self.files))}"


@dataclass(frozen=True, slots=True)
class IdentitySignature:
    """A sigstore signature by an OIDC identity, verified by a trusted root, in either form."""

    issuer: str
    identity: str
    trusted_root: Path

    def __str__(self) -> str:
        return f"identity {self.identity} of {self.issuer}"


@dataclass(frozen=True, slots=True)
class NotationSignature:
    """A Notation signature that a trust policy accepts."""

    policy: Path
    """A file in the format of ``trustpolicy.json``."""
    trust_store: Path
    """The directory with the trust stores, which contains ``x509``."""

    def __str__(self) -> str:
        return f"Notation signature by {self.policy}"


@dataclass(frozen=True, slots=True)
class PolicySignature:
    """Signatures that a file in the format of policy.json requires."""

    file: Path

    def __str__(self) -> str:
        return f"policy {self.file}"


SignatureRequirement = KeySignature | IdentitySignature | NotationSignature | PolicySignature

MissingSignatureAction = Literal["fail", "warn"]
"""The action if an image does not have a required signature."""


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A requirement that a manifest of an image met when it was exported."""

    manifest: Digest
    key: str | None = None
    """The ID of the key that made the signature; None if the requirement does not determine one."""
    issuer: str | None = None
    identity: str | None = None
    """With ``issuer``, an OIDC identity; with ``trust_store``, the subject of a certificate."""
    policy: Digest | None = None
    """The digest of the policy file."""
    trust_store: str | None = None
    """The trust store of Notation that has a certificate of the signer's chain, ``type:name``."""

    def to_json(self) -> dict[str, str]:
        """Return the members of the entry in an inventory or a report."""
        members = {
            "manifest": self.manifest.text,
            "key": self.key,
            "issuer": self.issuer,
            "identity": self.identity,
            "policy": None if self.policy is None else self.policy.text,
            "trustStore": self.trust_store,
        }
        return {name: value for name, value in members.items() if value is not None}

    @property
    def label(self) -> str:
        """The key, identity or policy in a short form, for tables."""
        if self.trust_store is not None:
            return str(self.identity)
        if self.policy is not None:
            return f"policy {self.policy.hex[:12]}"
        return self.key[:16] if self.key else str(self.identity)

    def __str__(self) -> str:
        if self.trust_store is not None:
            return f"Notation identity {self.identity} of {self.trust_store}"
        if self.policy is not None:
            return f"policy {self.policy}"
        return f"key {self.key}" if self.key else f"identity {self.identity} of {self.issuer}"
