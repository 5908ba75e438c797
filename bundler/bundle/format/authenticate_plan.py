"""Authenticate the sealed plan of a volume, as ``authenticate`` does with an inventory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.format import bundle_paths, trust_chain
from bundler.bundle.format.authenticate import verify_signatures
from bundler.bundle.format.parse_inventory import MAX_INVENTORY
from bundler.bundle.format.sealed_plan import SealedPlan, parse_sealed_plan
from bundler.bundle.format.signatures.bundle_signatures import MAX_SIGNATURE, MAX_SIGNATURES
from bundler.errors import ExpiredError, LimitError
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.trust.bundle_trust import BundleTrust
    from bundler.trust.keys import PublicKey


def authenticate_plan(
    files: BundleFiles, trust: BundleTrust, now: datetime
) -> tuple[SealedPlan, tuple[PublicKey, ...]]:
    """Verify the signatures of ``plan.json``, then parse it; return it and the accepted signers.

    Raises:
        InvalidSignatureError: a signature by a trusted key does not verify.
        UnauthenticatedError: not signed as ``trust`` requires.
        TrustError: the trust file on the volume does not follow from the site's, or has expired.
        ExpiredError: the bundle has expired.
        NotFoundError, MediumError: it cannot be read.
        MalformedError, LimitError, UnsupportedError: it is not valid.
    """
    raw = files.read(bundle_paths.PLAN, MAX_INVENTORY)
    # Signatures are compared under the names that they would have beside an inventory.
    signatures: dict[str, bytes] = {}
    for name in files.list_names(""):
        key_id = bundle_paths.parse_signature_name(name, bundle_paths.PLAN)
        if key_id is not None:
            own = bundle_paths.format_signature_name(key_id)
            signatures[own] = files.read(name, MAX_SIGNATURE)
        if len(signatures) > MAX_SIGNATURES:
            raise LimitError(
                f"{files.location}: too many signatures (expected at most {MAX_SIGNATURES})"
            )
    trust = trust.follow(partial(trust_chain.read_chain, files))
    signers = verify_signatures(raw, signatures, trust.keys)
    signed_by = [bundle_paths.parse_signature_name(name) or name for name in signatures]
    trust.check_signers(signers, signed_by)
    plan = parse_sealed_plan(raw)
    accepted = trust.check_bundle(signers, plan.stream, plan.created, now)
    if plan.expires is not None and plan.expires <= now:
        raise ExpiredError(
            f"{files.location}: expired on {timestamps.format_to_minute(plan.expires)}",
            hint="export a newer bundle",
        )
    return plan, accepted
