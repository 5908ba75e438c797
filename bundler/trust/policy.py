"""Check of images by a policy, as containers-policy.json(5) defines it.

The requirements for an image are those of its narrowest scope in the policy; requirements of wider
scopes do not apply. An image has to meet all requirements. One that cannot be checked is not met.
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
    """Verifies that a signature meets the requirement; raises a TrustError if none does."""


def check(
    policy: Policy, reference: Reference, verify: Verify, *, require_signed: bool = False
) -> None:
    """Check that the policy accepts an image.

    Args:
        policy: the policy.
        reference: the image, as the user specified it.
        verify: called for each signature that the policy requires.
        require_signed: whether the policy must require a signature.

    Raises:
        RejectedByPolicyError: the policy rejects the image, or does not require a signature.
        TrustError: raised by ``verify``.
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
    """Return the requirements for an image, and the part of the policy that contains them."""
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
    """Refuse the requirement, because signatures of images cannot be verified yet.

    Raises:
        RejectedByPolicyError: always.
    """
    kind = "signedBy" if isinstance(requirement, SignedBy) else "sigstoreSigned"
    raise RejectedByPolicyError(
        f"the policy requires a signature ({kind}), which cannot be verified yet",
        rule=kind,
        hint="specify another policy with --policy, or accept all images with --insecure-policy",
    )
