"""Authenticate a bundle: verify the signatures of ``bundle.json`` before it is parsed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.bundle.format import bundle_paths, inventory, signatures as signing
from bundler.errors import (
    BundlerError,
    ExpiredError,
    IntegrityError,
    InvalidSignatureError,
    LimitError,
    MediumError,
    NotFoundError,
    TrustError,
    UnauthenticatedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory import Inventory
    from bundler.trust.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Authentication:
    """The bytes of ``bundle.json``, not parsed, and the result of verifying their signatures."""

    raw: bytes
    signers: tuple[PublicKey, ...]
    """The given keys that signed it."""
    trust_error: BundlerError | None
    """The reason why the bundle is not authenticated: a TrustError, or the error that occurred when
    a signature was read; None if it is authenticated."""


@dataclass(frozen=True, slots=True)
class AuthenticatedBundle:
    """The inventory of a bundle that may be imported."""

    raw: bytes
    """The bytes of ``bundle.json``."""
    inventory: Inventory
    signers: tuple[PublicKey, ...]
    """The given keys that signed it; empty only if unsigned bundles are allowed."""
    is_authenticated: bool = True
    """Whether the signatures are those that are required; False only if unsigned bundles are
    allowed."""


def open_bundle(
    bundle: Path,
    keys: Sequence[PublicKey],
    *,
    allow_unsigned: bool = False,
    allow_expired: bool = False,
) -> AuthenticatedBundle:
    """Authenticate a bundle, then parse its inventory.

    Raises:
        InvalidSignatureError: a signature by a given key does not verify.
        UnauthenticatedError: not signed by a given key, and unsigned bundles are not allowed.
        ExpiredError: expired, and expired bundles are not allowed.
        NotFoundError: the directory contains no complete bundle.
        MediumError: it cannot be read.
        MalformedError, LimitError, UnsupportedError: its inventory is not valid.
    """
    authentication = authenticate(bundle, keys)
    trust_error = authentication.trust_error
    if isinstance(trust_error, UnauthenticatedError):
        if not allow_unsigned:
            raise UnauthenticatedError(
                f"{bundle}: {trust_error.message}",
                trusted=trust_error.trusted,
                signed_by=trust_error.signed_by,
                hint=f"{trust_error.hint}; or import it without verification with --allow-unsigned",
            )
    elif trust_error is not None:
        raise trust_error
    contents = inventory.parse(authentication.raw)
    if contents.is_expired(datetime.now(UTC)) and not allow_expired:
        raise ExpiredError(
            f"{bundle}: expired on {contents.expires:%Y-%m-%d %H:%M} UTC",
            hint="export a newer bundle, or import this one with --allow-expired",
        )
    return AuthenticatedBundle(
        authentication.raw, contents, authentication.signers, trust_error is None
    )


def authenticate(bundle: Path, keys: Sequence[PublicKey]) -> Authentication:
    """Read ``bundle.json`` and verify its signatures; a trust error is returned, not raised.

    Raises:
        NotFoundError: the directory contains no complete bundle.
        MalformedError, LimitError, MediumError: ``bundle.json`` cannot be read.
    """
    raw = signing.read_raw_inventory(bundle)
    try:
        signers = verify_signatures(raw, signing.read_signatures(bundle), keys)
    except (TrustError, IntegrityError, NotFoundError, LimitError, MediumError) as error:
        return Authentication(raw, (), error)
    return Authentication(raw, signers, None)


def verify_signatures(
    raw: bytes, signatures: Mapping[str, bytes], keys: Sequence[PublicKey]
) -> tuple[PublicKey, ...]:
    """Verify that at least one of ``keys`` signed the bytes ``raw``; return all that did.

    ``signatures`` maps file names to signatures; those by other keys are ignored.

    Raises:
        InvalidSignatureError: a signature with the ID of a given key does not verify, even if other
            signatures do.
        UnauthenticatedError: no signature is by a given key.
    """
    signers: dict[PublicKey, None] = {}
    for name, signature in sorted(signatures.items()):
        for key in keys:
            if bundle_paths.format_signature_name(key.id) != name:
                continue
            try:
                key.verify(signature, raw)
            except InvalidSignatureError as error:
                raise InvalidSignatureError(
                    f"{name}: {error.message}",
                    key_id=key.id,
                    hint="the inventory was changed after it was signed, or the signature is"
                    " damaged: copy the bundle again",
                ) from None
            signers[key] = None
    if signers:
        return tuple(signers)
    if not keys:
        raise UnauthenticatedError(
            "no key was specified, so the signer of this bundle cannot be verified",
            hint="specify the signer's public key: --key FILE.pub",
        )
    given = ", ".join(key.id[:16] for key in keys)
    signed_by = [bundle_paths.parse_signature_name(name) or name for name in signatures]
    if not signed_by:
        raise UnauthenticatedError(
            f"the bundle is not signed (expected a signature by {given})",
            trusted=[key.id for key in keys],
            hint="sign it: airbundle sign BUNDLE --key FILE.key",
        )
    raise UnauthenticatedError(
        f"signed by {', '.join(sorted(signed_by))}, but not by a given key ({given})",
        trusted=[key.id for key in keys],
        signed_by=signed_by,
        hint="compare the fingerprints, and specify the right public key: --key FILE.pub",
    )
