"""Whether a policy lets an image be used.

The requirements for an image are those of the most specific scope that the policy knows, and all
of them must be met; nothing else in the policy counts then. What cannot be checked is not met.

containers-policy.json(5)
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
    """Looks for a signature that meets the requirement; raises a TrustError if there is none."""


def check(
    policy: Policy, reference: Reference, verify: Verify, *, require_signed: bool = False
) -> None:
    """Return if the image that ``reference`` names may be used.

    Args:
        policy: what the user's file says.
        reference: where the image comes from, as its user wrote it.
        verify: called for each signature that is required.
        require_signed: whether one has to be, whatever the policy says.

    Raises:
        RejectedByPolicyError: the policy rejects it, or asks for no signature where one has to be.
        TrustError: what ``verify`` raises.
    """
    where, requirements = find_requirements(policy, reference)
    hint = f"{policy.origin} says so, for {where}; --policy names another file"
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
    """The requirements for an image, and which part of the policy they stand in."""
    known = policy.transports.get(reference.transport, {})
    for scope in (*list_scopes(reference), ""):
        if scope in known:
            where = (
                f"the scope {scope!r} of {reference.transport}:"
                if scope
                else (f"all other images of {reference.transport}:")
            )
            return where, known[scope]
    return "all images that no other part is for", policy.default


def refuse_signature(requirement: Signature) -> None:
    """A ``Verify`` for who has no means to look at signatures: it refuses.

    Raises:
        RejectedByPolicyError: always.
    """
    kind = "signedBy" if isinstance(requirement, SignedBy) else "sigstoreSigned"
    raise RejectedByPolicyError(
        f"the policy requires a signature ({kind}), which this program cannot verify yet",
        rule=kind,
        hint="name another policy with --policy, or trust every image with --insecure-policy",
    )
