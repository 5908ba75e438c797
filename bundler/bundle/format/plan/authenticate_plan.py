"""Authenticate the sealed plan of a bundle, as ``authenticate`` does with an inventory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.format import trust_chain
from bundler.bundle.format.authenticate import AuthenticatedBundle, verify_signatures
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY
from bundler.bundle.format.plan.sealed_plan import SealedPlan, parse_sealed_plan
from bundler.bundle.format.signatures.bundle_signatures import MAX_SIGNATURE, MAX_SIGNATURES
from bundler.errors import ExpiredError, LimitError, UnauthenticatedError
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.trust.bundle_trust import BundleTrust
    from bundler.trust.keys import PublicKey


def open_plan(
    files: BundleFiles, trust: BundleTrust, now: datetime, *, allow_unsigned: bool = False
) -> tuple[SealedPlan, AuthenticatedBundle]:
    """Verify the signatures of ``plan.json``, then parse it; its expiry is not checked.

    Returns the plan, and the bundle that it announces, whose bytes and signatures are those of the
    plan.

    Raises:
        InvalidSignatureError: a signature by a trusted key does not verify.
        UnauthenticatedError: not signed as ``trust`` requires, and unsigned bundles are not
            allowed.
        TrustError: the trust file of the bundle does not follow from the site's, or has expired.
        NotFoundError, MediumError: it cannot be read.
        MalformedError, LimitError, UnsupportedError: it is not valid.
    """
    raw = files.read(bundle_paths.PLAN, MAX_INVENTORY)
    signatures: dict[str, bytes] = {}
    signed_by = []
    for name in files.list_names(""):
        key_id = bundle_paths.parse_signature_name(name, bundle_paths.PLAN)
        if key_id is not None:
            signatures[name] = files.read(name, MAX_SIGNATURE)
            signed_by.append(key_id)
        if len(signatures) > MAX_SIGNATURES:
            raise LimitError(
                f"{files.location}: too many signatures (expected at most {MAX_SIGNATURES})"
            )
    trust = trust.follow(partial(trust_chain.read_chain, files))
    signers = verify_signatures(raw, signatures, trust.keys, document=bundle_paths.PLAN)
    accepted: tuple[PublicKey, ...] = ()
    authenticated = False
    try:
        trust.check_signers(signers, signed_by)
        plan = parse_sealed_plan(raw)
        accepted = trust.check_bundle(signers, plan.stream, plan.created, now)
        authenticated = True
    except UnauthenticatedError as error:
        if not allow_unsigned:
            error.message = f"{files.location}: {error.message}"
            raise
        plan = parse_sealed_plan(raw)
    return plan, AuthenticatedBundle(
        raw=raw,
        inventory=plan.announce_inventory(),
        signers=signers,
        accepted=accepted,
        is_authenticated=authenticated,
        trust=trust,
        signatures=signatures,
        files=files,
    )


def authenticate_plan(
    files: BundleFiles, trust: BundleTrust, now: datetime
) -> tuple[SealedPlan, tuple[PublicKey, ...]]:
    """Verify the signatures of ``plan.json``, then parse it; return it and the accepted signers.

    Raises:
        ExpiredError: the bundle has expired.
        BundlerError: as ``open_plan``.
    """
    plan, announced = open_plan(files, trust, now)
    if plan.expires is not None and plan.expires <= now:
        raise ExpiredError(
            f"{files.location}: expired on {timestamps.format_to_minute(plan.expires)}",
            hint="export a newer bundle",
        )
    return plan, announced.accepted
