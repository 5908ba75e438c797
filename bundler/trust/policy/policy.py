"""Check images by the rules of containers-policy.json(5).

Only the requirements of the narrowest matching scope apply to an image, and the image has to meet
all of them. A requirement that cannot be checked is not met.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bundler.config.policy_json import InsecureAcceptAnything, Reject, SignedBy, SigstoreSigned
from bundler.errors import RejectedByPolicyError
from bundler.ports import RepositoryReference
from bundler.signature_ports import MetRequirement

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.config.policy_json import Policy, Requirements
    from bundler.ports import Reference
    from bundler.signature_ports import AcceptedSigner

    Signature = SignedBy | SigstoreSigned
    Verify = Callable[[Signature], AcceptedSigner]
    """Function that returns the signer of a signature of the image that meets the requirement, and
    raises a TrustError if there is none."""

_RULES: dict[type, str] = {
    InsecureAcceptAnything: "insecureAcceptAnything",
    SignedBy: "signedBy",
    SigstoreSigned: "sigstoreSigned",
}


def check_reference(
    policy: Policy, reference: Reference, *, require_signed: bool = False
) -> tuple[MetRequirement, ...] | None:
    """Check whether the policy accepts an image without regard to its signatures.

    Returns:
        The requirements, if it does; None if the signatures decide, with ``check``.

    Raises:
        RejectedByPolicyError: the policy rejects the image, or does not require a signature.
    """
    _, requirements = find_requirements(policy, reference)
    for requirement in requirements:
        if isinstance(requirement, SignedBy | SigstoreSigned):
            return None
        if isinstance(requirement, Reject):
            break

    def refuse(requirement: Signature) -> AcceptedSigner:
        # Never called, because a requirement of a signature ends the loop above.
        raise AssertionError(requirement)

    return check(policy, reference, refuse, require_signed=require_signed)


def check(
    policy: Policy, reference: Reference, verify: Verify, *, require_signed: bool = False
) -> tuple[MetRequirement, ...]:
    """Check that the policy accepts an image, whose reference is as the user specified it.

    ``verify`` is called for each requirement of a signature, in their order. With
    ``require_signed``, an image is rejected if the policy does not require a signature for it.

    Returns:
        The requirements that apply to the image, with the signers that meet them.

    Raises:
        RejectedByPolicyError: the policy rejects the image, or does not require a signature.
        TrustError: no signature of the image meets a requirement.
    """
    scope, requirements = find_requirements(policy, reference)
    where = "default"
    if scope is not None:
        subject = f"scope {scope!r}" if scope else "empty scope"
        where = f"{subject} of {reference.transport}:"
    hint = f"see {policy.origin}, {where}, which states the images that this site accepts"

    def reject(problem: str, rule: str) -> RejectedByPolicyError:
        narrowest = next(iter(list_scopes(reference)), "")
        error = RejectedByPolicyError(
            f"{reference}: {problem}",
            rule=rule,
            reference=str(reference),
            scope=f"{reference.transport}:{narrowest}",
            hint=hint,
        )
        error.policy = policy.origin
        return error

    label = "default" if scope is None else f"{reference.transport}:{scope}"
    met = []
    for requirement in requirements:
        signer = None
        match requirement:
            case InsecureAcceptAnything():
                pass
            case Reject():
                raise reject("rejected by policy", "reject")
            case SignedBy() | SigstoreSigned():
                try:
                    signer = verify(requirement)
                except RejectedByPolicyError as error:
                    error.hint, error.policy = error.hint or hint, policy.origin
                    raise
        met.append(MetRequirement(label, _RULES[type(requirement)], signer))
    signed = any(isinstance(item, SignedBy | SigstoreSigned) for item in requirements)
    if require_signed and not signed:
        raise reject("the policy requires no signature for this image", "requireSigned")
    return tuple(met)


def find_requirements(policy: Policy, reference: Reference) -> tuple[str | None, Requirements]:
    """Return the scope of its transport that applies to an image, and its requirements.

    The scope is empty if that of all images of the transport applies, and None for the default.
    """
    known = policy.transports.get(reference.transport, {})
    for scope in (*list_scopes(reference), ""):
        if scope in known:
            return scope, known[scope]
    return None, policy.default


def list_scopes(reference: Reference) -> list[str]:
    """Return the policy scopes of ``reference``, narrowest first.

    Symbolic links in paths are resolved. The scope ``""``, which covers all images of a transport,
    is not included. See "Supported transports and their scopes" in containers-policy.json(5).
    """
    rest = str(reference).partition(":")[2]
    match reference.transport:
        case "docker" | "docker-daemon" | "atomic":
            image = reference.image if isinstance(reference, RepositoryReference) else None
            if image is None:
                return []
            image = image.with_default_tag()
            separator = "@" if image.digest is not None else ":"
            above = _list_parents(image.repository)
            labels = above[-1].partition(":")[0].split(".")
            domains = [f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels))]
            return [f"{image.repository}{separator}{image.version}", *above, *domains]
        case "dir" | "sif":
            return _list_path_scopes(os.path.realpath(rest))
        case "oci" | "oci-archive":
            # The manual page also describes the scope path:name, but Skopeo uses the path only.
            return _list_path_scopes(os.path.realpath(rest.partition(":")[0]))
        case "containers-storage":
            # The form is [driver@root+run:options]name@id.
            store, bracket, rest = rest.partition("]")
            if not bracket:
                return []  # an unknown storage; a source states which one it is
            place = store.removeprefix("[").partition("+")[0].partition(":")[0]
            names = [rest]
            image = reference.image if isinstance(reference, RepositoryReference) else None
            if image is not None:
                names.append(str(image))
                if image.tag and image.digest:
                    names.append(f"{image.repository}:{image.tag}")
                names += _list_parents(image.repository)
            scopes = [f"[{place}]{name}" for name in (*names, "")]
            return list(dict.fromkeys([*scopes, f"[{place.rpartition('@')[2]}]"]))
        case _:
            return []


def _list_path_scopes(path: str) -> list[str]:
    """Return the path and all its parents except the root directory."""
    return [scope for scope in _list_parents(path) if scope]


def _list_parents(path: str) -> list[str]:
    """Return ``path`` and its parents."""
    found = [path]
    while "/" in path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found
