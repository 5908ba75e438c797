"""Authenticate a bundle: verify the signatures of ``bundle.json`` before it is parsed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from bundler.bundle.format import trust_chain
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.bundle.format.inventory.read_inventory import read_raw_inventory
from bundler.bundle.format.signatures import bundle_signatures as signing
from bundler.errors import (
    BundlerError,
    ExpiredError,
    IntegrityError,
    InvalidSignatureError,
    LimitError,
    MediumError,
    NotFoundError,
    TrustError,
    TrustFileError,
    UnauthenticatedError,
)
from bundler.oci.json import timestamps
from bundler.trust.bundle_trust import NO_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.trust.bundle_trust import BundleTrust
    from bundler.trust.keys import PublicKey
    from bundler.trust.trust_files.role_check import UnfitKey


@dataclass(frozen=True, slots=True)
class Authentication:
    """The bytes of ``bundle.json``, not parsed, and the result of verifying their signatures."""

    raw: bytes
    signers: tuple[PublicKey, ...]
    """The trusted keys that signed it."""
    trust_error: BundlerError | None
    """The reason why the bundle is not authenticated: a TrustError, or the error that occurred when
    a signature was read; None if it is authenticated."""
    trust: BundleTrust
    """The trust that applies, with the newer versions of the trust file in the bundle."""
    signatures: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The signatures that were read, of any key, by the names of their files."""

    def check_contents(self, contents: Inventory, now: datetime) -> BundlerError | None:
        """Return ``trust_error``, or the reason why the signers may not sign ``contents``."""
        return self.find_accepted(contents, now)[1]

    def find_accepted(
        self, contents: Inventory, now: datetime
    ) -> tuple[tuple[PublicKey, ...], BundlerError | None]:
        """Return the signers that may sign ``contents``, and the error of ``check_contents``."""
        if self.trust_error is None:
            stream, created = contents.stream, contents.created
            try:
                return self.trust.check_bundle(self.signers, stream, created, now), None
            except TrustError as error:
                return (), error
        return (), self.trust_error


@dataclass(frozen=True, slots=True)
class AuthenticatedBundle:
    """The inventory of a bundle that may be imported."""

    raw: bytes
    """The bytes of ``bundle.json``."""
    inventory: Inventory
    signers: tuple[PublicKey, ...]
    """The trusted keys that signed it; fewer than required only if unsigned bundles are allowed."""
    accepted: tuple[PublicKey, ...] = ()
    """Those of ``signers`` that count; none if the bundle is not authenticated."""
    unfit: tuple[UnfitKey, ...] = ()
    """Those of ``signers`` that may not sign it, and the reasons."""
    is_authenticated: bool = True
    """Whether the signatures are those that are required; False only if unsigned bundles are
    allowed."""
    trust: BundleTrust = NO_KEYS
    """The trust that applied; its validity has not ended by the clock."""
    signatures: Mapping[str, bytes] = field(default_factory=dict, hash=False, repr=False)
    """The signatures that were read, of any key, by the names of their files."""
    files: BundleFiles | None = field(default=None, hash=False, repr=False, compare=False)
    """The files of the bundle, which the caller closes; None: its inventory was read from
    elsewhere."""

    def describe_unfit(self) -> dict[str, Any]:
        """Return the member ``notCounted`` of the receipt and the log; absent if all count."""
        problems = {item.key_id: item.problem for item in self.unfit}
        return {"notCounted": problems} if problems else {}


def open_bundle(
    bundle: BundleFiles,
    trust: BundleTrust,
    *,
    signature_files: Sequence[Path] = (),
    allow_unsigned: bool = False,
    allow_expired: bool = False,
    now: datetime | None = None,
    note_fork: Callable[[AuthenticatedBundle], None] | None = None,
) -> AuthenticatedBundle:
    """Authenticate a bundle, then parse its inventory.

    Args:
        bundle: its files.
        trust: the keys to trust.
        signature_files: signatures of the bundle that are stored elsewhere.
        allow_unsigned: accept a bundle that is not signed as ``trust`` requires.
        allow_expired: accept an expired bundle.
        now: the time to compare with; None: the current time.
        note_fork: called before a fork of the trust file is refused, if the bundle is authentic by
            the version of the site.

    Raises:
        InvalidSignatureError: a signature by a trusted key does not verify.
        UnauthenticatedError: not signed as required, and unsigned bundles are not allowed.
        TrustError: the trust file in the bundle does not follow from the site's, or has expired.
        ExpiredError: expired, and expired bundles are not allowed.
        NotFoundError: the directory contains no complete bundle.
        MediumError: it cannot be read.
        MalformedError, LimitError, UnsupportedError: its inventory is not valid.
    """
    now = now or datetime.now(UTC)
    detached = signing.read_signature_files(signature_files)
    authentication = authenticate(bundle, trust, detached)
    error = authentication.trust_error
    if isinstance(error, TrustFileError) and error.problem == "fork" and note_fork is not None:
        with suppress(TrustError, IntegrityError, LimitError):
            note_fork(_open_by_known_version(bundle, authentication, now))
    _check_allowed(bundle.location, error, allow_unsigned=allow_unsigned)
    contents = parse_inventory(authentication.raw)
    accepted, trust_error = authentication.find_accepted(contents, now)
    _check_allowed(bundle.location, trust_error, allow_unsigned=allow_unsigned)
    if contents.expires is not None and contents.is_expired(now) and not allow_expired:
        raise ExpiredError(
            f"{bundle.location}: expired on {timestamps.format_to_minute(contents.expires)}",
            hint="export a newer bundle, or import this one with --allow-expired --reason TEXT",
        )
    return _create_bundle(
        bundle, authentication, contents, accepted, is_authenticated=trust_error is None
    )


def _open_by_known_version(
    bundle: BundleFiles, authentication: Authentication, now: datetime
) -> AuthenticatedBundle:
    """Authenticate a bundle by the trust file of the site, without the versions in the bundle.

    Raises:
        TrustError: it is not signed as the trust file requires.
        IntegrityError, LimitError: its inventory is not valid.
    """
    raw, trust = authentication.raw, authentication.trust
    signers = verify_signatures(raw, authentication.signatures, trust.keys)
    trust.check_signers(signers, list(authentication.signatures))
    contents = parse_inventory(raw)
    accepted = trust.check_bundle(signers, contents.stream, contents.created, now)
    authentication = replace(authentication, signers=signers, trust_error=None)
    return _create_bundle(bundle, authentication, contents, accepted, is_authenticated=True)


def _create_bundle(
    bundle: BundleFiles,
    authentication: Authentication,
    contents: Inventory,
    accepted: tuple[PublicKey, ...],
    *,
    is_authenticated: bool,
) -> AuthenticatedBundle:
    return AuthenticatedBundle(
        raw=authentication.raw,
        inventory=contents,
        signers=authentication.signers,
        accepted=accepted,
        unfit=tuple(
            authentication.trust.find_unfit(
                authentication.signers, contents.stream, contents.created
            )
        ),
        is_authenticated=is_authenticated,
        trust=authentication.trust,
        signatures=authentication.signatures,
        files=bundle,
    )


def _check_allowed(location: str, error: BundlerError | None, *, allow_unsigned: bool) -> None:
    """Raise ``error``, unless it is about missing signers and unsigned bundles are allowed."""
    if error is None or (isinstance(error, UnauthenticatedError) and allow_unsigned):
        return
    if isinstance(error, UnauthenticatedError):
        error.message = f"{location}: {error.message}"
    raise error


def authenticate(
    bundle: BundleFiles, trust: BundleTrust, detached: Mapping[str, bytes] | None = None
) -> Authentication:
    """Read ``bundle.json`` and verify its signatures; a trust error is returned, not raised.

    ``detached`` are the signatures that the user specified, by file name.

    Raises:
        NotFoundError: the directory contains no complete bundle.
        MalformedError, LimitError, MediumError: ``bundle.json`` cannot be read.
    """
    raw = read_raw_inventory(bundle)
    signers: tuple[PublicKey, ...] = ()
    signatures: dict[str, bytes] = {}
    try:
        signatures = signing.read_signatures(bundle)
        trust = trust.follow(partial(trust_chain.read_chain, bundle))
        signers = verify_signatures(raw, signatures, trust.keys, detached)
        signed_by = [bundle_paths.parse_signature_name(name) or name for name in signatures]
        trust.check_signers(signers, signed_by)
    except (TrustError, IntegrityError, NotFoundError, LimitError, MediumError) as error:
        return Authentication(raw, signers, error, trust, {**signatures, **(detached or {})})
    return Authentication(raw, signers, None, trust, {**signatures, **(detached or {})})


def verify_signatures(
    raw: bytes,
    signatures: Mapping[str, bytes],
    keys: Sequence[PublicKey],
    detached: Mapping[str, bytes] | None = None,
    *,
    document: str = bundle_paths.INVENTORY,
) -> tuple[PublicKey, ...]:
    """Verify the signatures of ``raw`` by any of ``keys``; return the keys that signed, each once.

    ``document`` is the name of the file whose content is ``raw``.

    ``signatures`` maps file names to signatures; those by other keys are ignored. ``detached`` are
    signatures that the user specified: each must be by one of ``keys``.

    Raises:
        InvalidSignatureError: a signature with the ID of a given key does not verify, even if other
            signatures do; or one of ``detached`` is by no given key.
    """
    signers: dict[PublicKey, None] = {}
    for name, signature in sorted(signatures.items()):
        for key in keys:
            if bundle_paths.format_signature_name(key.id, document) != name:
                continue
            try:
                key.verify(signature, raw)
            except InvalidSignatureError as error:
                raise InvalidSignatureError(
                    f"{name}: {error.message}",
                    key_id=key.id,
                    hint="the inventory or the signature was changed: copy the bundle again from"
                    " the exporting side; if it is still refused, treat it as an attack",
                ) from None
            signers[key] = None
    for name, signature in (detached or {}).items():
        for key in keys:
            with suppress(InvalidSignatureError):
                key.verify(signature, raw)
                signers[key] = None
                break
        else:
            raise InvalidSignatureError(
                f"{name}: not a signature of this bundle by a trusted key",
                hint="specify the signer's public key: --key FILE.pub",
            )
    return tuple(signers)
