"""Compare the name in a signature with that of the image, as ``signedIdentity`` requires.

A name is compared in its normalized form, in which ``busybox`` is ``docker.io/library/busybox``. No
tag is added to the signed name.

https://github.com/containers/image/blob/v5.36.2/signature/policy_reference_match.go
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.errors import InvalidReferenceError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from bundler.config.policy_json import SignedIdentity


def accepts_name(identity: SignedIdentity, image: ImageReference | None, signed_name: str) -> bool:
    """Return whether a signature with the name ``signed_name`` applies to ``image``.

    ``image`` is the name by which the user refers to the image, with its tag or digest; None if it
    has no such name, as in a directory. Then only a name in the policy itself can match.
    """
    try:
        signed = ImageReference.parse(signed_name)
        match identity.type:
            case "exactReference":
                return signed.version is not None and signed == ImageReference.parse(identity.name)
            case "exactRepository":
                return _is_same_repository(signed, ImageReference.parse(identity.name))
            case _ if image is None:
                return False
            case "matchExact":
                return image.version is not None and signed == image
            case "matchRepository":
                return _is_same_repository(signed, image)
            case "matchRepoDigestOrExact":
                return _matches_or_has_digest(signed, image)
            case "remapIdentity":
                return _matches_or_has_digest(signed, _remap(identity, image))
    except InvalidReferenceError:
        return False


def _is_same_repository(signed: ImageReference, image: ImageReference) -> bool:
    return signed.repository == image.repository


def _matches_or_has_digest(signed: ImageReference, image: ImageReference) -> bool:
    """Compare the names; of an image that is referred to by its digest, only the repository.

    The digest is compared with the signed one anyway, whose algorithm may differ.
    """
    if signed.version is None or image.version is None:
        return False
    if image.tag is None:
        return _is_same_repository(signed, image)
    return signed == image


def _remap(identity: SignedIdentity, image: ImageReference) -> ImageReference:
    """Replace the prefix of the image's repository, if it is that of ``identity``.

    Raises:
        InvalidReferenceError: the result is not a normalized name.
    """
    prefix, repository = identity.prefix, image.repository
    if repository != prefix and not repository.startswith(f"{prefix}/"):
        return image
    text = identity.signed_prefix + repository.removeprefix(prefix)
    found = ImageReference.parse(text)
    if str(found) != text:
        raise InvalidReferenceError(f"{text[:200]!r}: not a normalized name (expected {found})")
    return replace(image, domain=found.domain, path=found.path)
