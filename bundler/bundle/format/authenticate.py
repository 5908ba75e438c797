"""Open a bundle to be used: its inventory is authenticated as bytes, and only then parsed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.bundle.format import inventory, signatures
from bundler.errors import ExpiredError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory import Inventory
    from bundler.trust.keys import PublicKey


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A bundle that was authenticated, as far as was asked for."""

    raw: bytes
    """The bytes of ``bundle.json``."""
    contents: Inventory
    signers: tuple[PublicKey, ...]
    """The given keys that signed it; empty only where that was allowed."""


def open_bundle(
    bundle: Path,
    keys: Sequence[PublicKey],
    *,
    allow_unsigned: bool = False,
    allow_expired: bool = False,
) -> OpenedBundle:
    """Read the inventory, and decide whether it may be believed.

    Raises:
        InvalidSignatureError: a signature by a given key does not verify.
        UnauthenticatedError: not signed by a given key, and that was not allowed.
        ExpiredError: past its date, and that was not allowed.
        NotFoundError: there is no finished bundle.
        MediumError: it cannot be read.
        MalformedError, LimitError, UnsupportedError: as ``inventory.parse``.
    """
    raw = signatures.read_raw_inventory(bundle)
    signers: tuple[PublicKey, ...] = ()
    try:
        signers = signatures.authenticate(raw, signatures.read_signatures(bundle), keys).signers
    except UnauthenticatedError as error:
        if not allow_unsigned:
            raise UnauthenticatedError(
                f"{bundle}: {error.message}",
                hint=f"{error.hint}; or take it as it is with --allow-unsigned",
            ) from None
    contents = inventory.parse(raw)
    if contents.expired(datetime.now(UTC)) and not allow_expired:
        raise ExpiredError(
            f"{bundle}: expired on {contents.expires:%Y-%m-%d %H:%M} UTC",
            hint="have a newer bundle made, or take this one with --allow-expired",
        )
    return OpenedBundle(raw, contents, signers)
