"""Authenticate a bundle: verify the signatures of ``bundle.json`` before it is parsed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.bundle.format import inventory, signatures
from bundler.errors import (
    BundlerError,
    ExpiredError,
    IntegrityError,
    LimitError,
    MediumError,
    NotFoundError,
    TrustError,
    UnauthenticatedError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory import Inventory
    from bundler.trust.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Authentication:
    """The bytes of ``bundle.json``, not parsed, and the result of verifying their signatures."""

    raw: bytes
    signers: tuple[PublicKey, ...]
    """The given keys that signed it."""
    refusal: BundlerError | None
    """The reason why it is not authenticated: a TrustError, or the error with which a signature
    could not be read; None if it is authenticated."""


@dataclass(frozen=True, slots=True)
class AuthenticatedBundle:
    """The inventory of a bundle that may be imported."""

    raw: bytes
    """The bytes of ``bundle.json``."""
    inventory: Inventory
    signers: tuple[PublicKey, ...]
    """The given keys that signed it; empty only if unsigned bundles are allowed."""


def authenticate(bundle: Path, keys: Sequence[PublicKey]) -> Authentication:
    """Read ``bundle.json`` and verify its signatures; a refusal is returned, not raised.

    Raises:
        NotFoundError: the directory contains no complete bundle.
        MalformedError, LimitError, MediumError: ``bundle.json`` cannot be read.
    """
    raw = signatures.read_raw_inventory(bundle)
    try:
        check = signatures.authenticate(raw, signatures.read_signatures(bundle), keys)
    except (TrustError, IntegrityError, NotFoundError, LimitError, MediumError) as error:
        return Authentication(raw, (), error)
    return Authentication(raw, check.signers, None)


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
    refusal = authentication.refusal
    if isinstance(refusal, UnauthenticatedError):
        if not allow_unsigned:
            raise UnauthenticatedError(
                f"{bundle}: {refusal.message}",
                hint=f"{refusal.hint}; or import it without verification with --allow-unsigned",
            )
    elif refusal is not None:
        raise refusal
    contents = inventory.parse(authentication.raw)
    if contents.is_expired(datetime.now(UTC)) and not allow_expired:
        raise ExpiredError(
            f"{bundle}: expired on {contents.expires:%Y-%m-%d %H:%M} UTC",
            hint="export a newer bundle, or import this one with --allow-expired",
        )
    return AuthenticatedBundle(authentication.raw, contents, authentication.signers)
