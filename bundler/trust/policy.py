"""Policy check of images by the rules of containers-policy.json(5).

Only the requirements of the narrowest matching scope apply to an image, and the image has to meet
all of them. A requirement that cannot be checked is not met.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.config.policy_json import InsecureAcceptAnything, Reject, SignedBy, SigstoreSigned
from bundler.errors import RejectedByPolicyError
from bundler.trust.policy_scopes import list_scopes

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.config.policy_json import Policy, Requirements
    from bundler.ports import Reference

    Signature = SignedBy | SigstoreSigned
    Verify = Callable[[Signature], None]
    """Function that raises a TrustError unless a signature of the image meets the requirement."""


def check(
    policy: Policy, reference: Reference, verify: Verify, *, require_signed: bool = False
) -> None:
    """Check that the policy accepts an image, whose reference is as the user specified it.

    ``verify`` is called for each requirement of a signature. With ``require_signed``, an image of
    which the policy requires no signature is rejected.

    Raises:
        RejectedByPolicyError: the policy rejects the image, or does not require a signature.
        TrustError: no signature of the image meets a requirement.
    """
    where, requirements = find_requirements(policy, reference)
    hint = f"see {policy.origin}, {where}, or specify another file with --policy"
    for requirement in requirements:
        match requirement:
            case InsecureAcceptAnything():
                pass
            case Reject():
                raise RejectedByPolicyError(
                    f"{reference}: rejected by policy",
                    rule="reject",
                    reference=str(reference),
                    hint=hint,
                )
            case SignedBy() | SigstoreSigned():
                verify(requirement)
    signed = any(isinstance(item, SignedBy | SigstoreSigned) for item in requirements)
    if require_signed and not signed:
        raise RejectedByPolicyError(
            f"{reference}: the policy requires no signature for this image",
            rule="requireSigned",
            reference=str(reference),
            hint=hint,
        )


def find_requirements(policy: Policy, reference: Reference) -> tuple[str, Requirements]:
    """Return the policy scope that applies to an image, for messages, and its requirements."""
    known = policy.transports.get(reference.transport, {})
    for scope in (*list_scopes(reference), ""):
        if scope in known:
            where = (
                f"scope {scope!r} of {reference.transport}:"
                if scope
                else f"empty scope of {reference.transport}:"
            )
            return where, known[scope]
    return "default", policy.default


def refuse_signature(requirement: Signature) -> None:
    """Reject an image that needs a signature, because image signatures cannot be verified yet.

    Raises:
        RejectedByPolicyError: always.
    """
    rule = "signedBy" if isinstance(requirement, SignedBy) else "sigstoreSigned"
    raise RejectedByPolicyError(
        f"the policy requires a signature ({rule}), which cannot be verified yet",
        rule=rule,
        hint="specify another policy with --policy, or accept all images with --insecure-policy",
    )
