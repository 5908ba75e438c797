"""The keys that a user trusts to sign bundles, and the number of signatures that they require.

Signatures are counted by distinct keys: neither two signatures by one key nor one key in two files
counts twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bundler.errors import TooFewSignersError, UnauthenticatedError, UsageError, count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import TypeAlias

    from bundler.oci.digest import Digest
    from bundler.trust.keys import PublicKey
    from bundler.trust.trust_files.removed_keys import RemovedKey
    from bundler.trust.trust_files.role_check import UnfitKey

    ReadChain: TypeAlias = Callable[[int], Mapping[int, "SignedDocument"]]
    """Returns the trust files from a version on, by version, unverified."""


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """The bytes of a document, and its signatures by the first 16 digits of the key ID."""

    raw: bytes = field(repr=False)
    signatures: Mapping[str, bytes] = field(repr=False)


class BundleTrust(Protocol):
    """Decides whether the signers of a bundle suffice: before it is parsed, and afterwards."""

    @property
    def keys(self) -> Sequence[PublicKey]:
        """The keys whose signatures are verified."""

    @property
    def bundle_keys(self) -> Sequence[PublicKey]:
        """Those of ``keys`` that may sign bundles."""

    @property
    def version(self) -> int | None:
        """The version of the trust file; None: the keys were specified."""

    @property
    def threshold(self) -> int:
        """The number of keys that must have signed."""

    @property
    def digest(self) -> Digest | None:
        """The SHA-256 of the trust file; None: the keys were specified."""

    @property
    def expires(self) -> datetime | None:
        """The end of the validity of the trust file; None: never."""

    @property
    def names(self) -> Mapping[str, str]:
        """The names that the site gives to keys, such as those of their holders, by key ID."""

    def follow(self, read_chain: ReadChain) -> BundleTrust:
        """Apply the newer versions of the trust file that a bundle contains.

        Raises:
            TrustError: the versions do not follow from this one.
        """

    def follows_on(self, version: int, digest: Digest) -> bool:
        """Whether a trust file with this digest is this one, or a former version of it."""

    def check_signers(self, signers: Sequence[PublicKey], signed_by: Sequence[str]) -> None:
        """Check the keys that signed, before the bundle is parsed.

        Args:
            signers: the keys of ``keys`` whose signatures verified.
            signed_by: the first 16 digits of the ID of each signer, as the bundle states them.

        Raises:
            UnauthenticatedError: they do not suffice.
        """

    def check_bundle(
        self, signers: Sequence[PublicKey], stream: str, created: datetime, now: datetime
    ) -> tuple[PublicKey, ...]:
        """Check that ``signers`` may sign a bundle of ``stream`` that was created at ``created``.

        Returns:
            Those of them that may, at least ``threshold``.

        Raises:
            TrustError: they may not.
        """

    def find_unfit(
        self, signers: Sequence[PublicKey], stream: str, created: datetime
    ) -> Sequence[UnfitKey]:
        """Return those of ``signers`` whose signatures of such a bundle do not count, and why."""

    def find_removed(self) -> Sequence[RemovedKey]:
        """Return the keys that are no longer trusted, as far as they are known."""

    def check_receipt_signers(
        self, keys: Sequence[PublicKey], stream: str, moment: datetime
    ) -> None:
        """Check that ``keys`` may sign a receipt of an import of ``stream`` at ``moment``.

        Raises:
            UnfitSignerError: one of them may not.
        """


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Public keys that may sign every bundle."""

    keys: tuple[PublicKey, ...]
    threshold: int = 1
    """The number of keys that must have signed."""
    version: ClassVar[None] = None
    digest: ClassVar[None] = None

    @classmethod
    def create(cls, keys: Iterable[PublicKey], threshold: int = 1) -> TrustedKeys:
        """Create the trust in ``keys``; equal keys count once.

        Raises:
            UsageError: there are fewer keys than ``threshold``, or ``threshold`` is less than 1.
        """
        distinct = tuple(dict.fromkeys(keys))
        if threshold < 1:
            raise UsageError(f"threshold: invalid (expected at least 1, got {threshold})")
        if threshold > max(len(distinct), 1):
            raise UsageError(
                f"threshold: too few keys (expected {threshold} different ones,"
                f" got {len(distinct)})",
                hint="specify each signer's public key: --key FILE.pub",
            )
        return cls(distinct, threshold)

    @property
    def bundle_keys(self) -> tuple[PublicKey, ...]:
        """All keys."""
        return self.keys

    @property
    def expires(self) -> None:
        """None: keys without a trust file do not expire."""

    @property
    def names(self) -> Mapping[str, str]:
        """No names: only a trust file contains them."""
        return {}

    def follow(self, read_chain: ReadChain) -> TrustedKeys:  # noqa: ARG002 - of the protocol
        """Return the same keys: a bundle cannot change keys of the command line."""
        return self

    def follows_on(self, version: int, digest: Digest) -> bool:  # noqa: ARG002 - of the protocol
        """Return False: keys of the command line are no trust file."""
        return False

    def check_signers(self, signers: Sequence[PublicKey], signed_by: Sequence[str]) -> None:
        """Check that enough keys signed.

        Raises:
            TooFewSignersError: fewer than the threshold.
            UnauthenticatedError: none.
        """
        trusted = [key.id for key in self.keys]
        number = len(set(signers))
        if number >= self.threshold:
            return
        if number:
            raise TooFewSignersError(
                f"signed by {count(number, 'given key')} (expected {self.threshold})",
                trusted=trusted,
                signed_by=signed_by,
                signers=[key.id for key in signers],
                required=self.threshold,
                hint="ask the other holders of keys to sign it: airbundle sign BUNDLE --key"
                " FILE.key",
            )
        if not trusted:
            raise UnauthenticatedError(
                "no key was specified, so the signer of this bundle cannot be verified",
                hint="specify the signer's public key: --key FILE.pub",
            )
        given = ", ".join(key[:16] for key in trusted)
        if not signed_by:
            raise UnauthenticatedError(
                f"the bundle is not signed (expected a signature by {given})",
                trusted=trusted,
                hint="the exporting side signs it: airbundle sign BUNDLE --key FILE.key",
            )
        raise UnauthenticatedError(
            f"signed by {', '.join(sorted(signed_by))}, but not by a given key ({given})",
            trusted=trusted,
            signed_by=signed_by,
            hint="compare the fingerprints, and specify the right public key: --key FILE.pub",
        )

    def check_bundle(
        self,
        signers: Sequence[PublicKey],
        stream: str,  # noqa: ARG002 - of the protocol
        created: datetime,  # noqa: ARG002 - as above
        now: datetime,  # noqa: ARG002 - as above
    ) -> tuple[PublicKey, ...]:
        """Accept every stream and time."""
        return tuple(signers)

    def find_unfit(
        self,
        signers: Sequence[PublicKey],  # noqa: ARG002 - of the protocol
        stream: str,  # noqa: ARG002 - as above
        created: datetime,  # noqa: ARG002 - as above
    ) -> tuple[()]:
        """Return no keys: all that are given count."""
        return ()

    def find_removed(self) -> tuple[()]:
        """Return no keys: those of the command line have no former version."""
        return ()

    def check_receipt_signers(
        self, keys: Sequence[PublicKey], stream: str, moment: datetime
    ) -> None:
        """Accept all keys: only a trust file has roles."""


NO_KEYS = TrustedKeys(())
"""Trust in no key: only unsigned bundles can be read."""


def signers_to_json(
    signers: Iterable[PublicKey], names: Mapping[str, str], unfit: Iterable[UnfitKey] = ()
) -> list[dict[str, Any]]:
    """Return the keys that signed as JSON, with ``names``; those in ``unfit`` have a reason."""
    reasons = {item.key_id: item for item in unfit}
    listed = []
    for key in signers:
        value = {"id": key.id, "algorithm": key.algorithm, "fingerprint": key.fingerprint}
        if key.id in names:
            value["name"] = names[key.id]
        counts: dict[str, Any] = {"counts": True}
        if key.id in reasons:
            reason = reasons[key.id]
            counts = {"counts": False, "problem": reason.problem, "reason": reason.text}
        listed.append(value | counts)
    return listed
