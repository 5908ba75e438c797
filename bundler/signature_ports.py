"""Interfaces for the signatures of images: their storage, signers and policies.

The protocols of storage are optional protocols of sources and destinations, as those in ``ports``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from bundler.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from bundler.oci.digest import Digest


@runtime_checkable
class HasSignatures(Protocol):
    """A source that stores signatures with its manifests, as ``oci.signature`` encodes them."""

    def signatures(self, manifest: Digest, /) -> list[bytes]:
        """Return the stored signatures of ``manifest``, unverified."""


@runtime_checkable
class StoresSignatures(Protocol):
    """A destination that stores signatures with its manifests, encoded as by ``HasSignatures``."""

    def push_signatures(self, manifest: Digest, signatures: Sequence[bytes], /) -> None:
        """Replace the signatures of ``manifest``; the change takes effect in ``commit``."""


@runtime_checkable
class ChecksSignatures(Protocol):
    """A destination that cannot store signatures of every kind."""

    def check_signatures(self, manifest: Digest, signatures: Sequence[bytes], /) -> None:
        """Raise UnsupportedError if one of the signatures of ``manifest`` cannot be stored."""


@runtime_checkable
class CompletesReferences(Protocol):
    """A source whose references may leave out where it is."""

    def complete(self, name: str | None, /) -> str:
        """Return the reference of ``name`` with the location of the source, for policies."""


SignManifest = Callable[[str, Descriptor, bytes], Sequence[bytes]]
"""Called with (reference to sign, descriptor, bytes) of each final manifest; returns its new
signatures, as ``oci.signature`` encodes them."""


@dataclass(frozen=True, slots=True)
class AcceptedSigner:
    """The signer of an image that a policy accepts: a key, or an identity in a certificate."""

    key: str | None = None
    """The fingerprint of an OpenPGP key, or the ID of a sigstore key."""
    issuer: str | None = None
    """The OIDC provider that vouches for ``identity``; None: an authority of the policy does."""
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class MetRequirement:
    """A requirement of a policy that a manifest meets."""

    scope: str
    """The policy scope with its transport, such as ``docker:registry.corp``, or ``default``."""
    rule: str
    """The type of the requirement in policy.json."""
    signer: AcceptedSigner | None = None
    """The signer of the accepted signature; None: the requirement needs no signature."""

    def to_json(self) -> dict[str, str]:
        """Return the requirement as JSON; members that are unset are absent."""
        members = {"scope": self.scope, "rule": self.rule}
        if (signer := self.signer) is not None:
            known = {"key": signer.key, "issuer": signer.issuer, "identity": signer.identity}
            members |= {name: value for name, value in known.items() if value}
        return members


class PolicyCheck(Protocol):
    """The policy that accepts or rejects images.

    ``check_reference`` is called before anything is parsed. ``check_manifest`` is called for every
    image before its manifest is parsed. An index is parsed to find its images; it is only checked
    itself if it refers to anything else, or to none.
    """

    def check_reference(self, reference: str, /) -> None:
        """Check what the policy decides without regard to signatures.

        Raises:
            TrustError: the policy rejects all images with this reference.
        """

    def expect_signatures(self, reference: str, signatures: Sequence[bytes], /) -> None:
        """Announce signatures of an image before it is checked, so that many are verified together.

        The verdicts are the same as without this call.
        """

    def check_manifest(
        self, reference: str, manifest: bytes, read_signatures: Callable[[], Sequence[bytes]], /
    ) -> tuple[MetRequirement, ...]:
        """Check the manifest of the image that the user calls ``reference``.

        ``read_signatures`` returns its signatures, as ``oci.signature`` encodes them.

        Returns:
            The requirements of the policy, all of which the manifest meets.

        Raises:
            TrustError: the policy rejects the manifest.
        """
