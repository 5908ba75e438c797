"""Verify or read a simple signature in a file, apart from any image."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.errors import InvalidReferenceError, InvalidSignatureError, UsageError
from bundler.oci.json import timestamps
from bundler.oci.reference import ImageReference
from bundler.trust.openpgp.gpg import open_temporary_keyring, open_user_keyring
from bundler.trust.openpgp.keyring import open_keyring
from bundler.trust.simple_signing import simple_signing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.cancel import Cancellation
    from bundler.oci.digest import Digest

ANY = "any"
"""Accepts all keys of a file, in place of fingerprints."""


@dataclass(frozen=True, slots=True)
class VerificationRequest:
    """A signature, and the statement that it has to make."""

    manifest: bytes = field(repr=False)
    reference: str
    """The name of the image."""
    signature: bytes = field(repr=False)
    fingerprints: tuple[str, ...]
    """The fingerprints of the accepted keys, or ``ANY``."""
    public_keys: bytes | None = field(default=None, repr=False)
    """The keys; None: those in the user's keyring of gpg."""


def verify_manifest_signature(
    request: VerificationRequest, environment: Mapping[str, str], cancellation: Cancellation
) -> tuple[str, Digest]:
    """Verify a signature of a manifest; ``environment`` locates the user's keyring.

    Returns:
        The fingerprint of the accepted key that made it, and the signed digest.

    Raises:
        InvalidSignatureError: the signature does not make the statement, or is not accepted.
        InvalidReferenceError: the name is not valid.
        UsageError: any key is to be accepted, without a file of keys, or from one without a key.
    """
    if request.public_keys is None and request.fingerprints == (ANY,):
        raise UsageError(
            "any key is accepted only from a file", hint="specify the keys with --public-key-file"
        )
    expected = ImageReference.parse(request.reference)
    with (
        nullcontext(open_user_keyring(environment, cancellation))
        if request.public_keys is None
        else open_keyring([request.public_keys], cancellation)
    ) as keyring:
        accepted: Sequence[str] = request.fingerprints
        if request.fingerprints == (ANY,):
            accepted = keyring.fingerprints
            if not accepted:
                raise UsageError(
                    "public keys: no OpenPGP key found in the file",
                    hint="specify a file as gpg --export writes it, with --public-key-file",
                )
        payload, signer = simple_signing.verify_signature(
            request.signature, keyring, request.manifest, accepted
        )
    try:
        signed = ImageReference.parse(payload.reference)
    except InvalidReferenceError:
        signed = None
    if signed != expected:
        raise InvalidSignatureError(
            f"the signature is for another image name: {payload.reference[:200]!r}"
            f" (expected {expected})",
            problem="identity" if signed is not None else "payload",
            value=payload.reference,
        )
    return signer, payload.digest


def read_unverified_signature(message: bytes, cancellation: Cancellation) -> dict[str, str | None]:
    """Return the statements of a signature, of which none is verified, by Skopeo's names for them.

    Raises:
        InvalidSignatureError: the message is not a simple signature.
    """
    with open_temporary_keyring([], cancellation) as keyring:
        content, key_id = keyring.read_unverified(message)
    payload = simple_signing.parse_payload(content)
    created, seconds = None, payload.timestamp
    if seconds is not None:
        try:
            moment = datetime.fromtimestamp(seconds, UTC).astimezone()  # in the local time zone
        except (ValueError, OverflowError, OSError):
            raise InvalidSignatureError(
                f"signed payload: the timestamp {seconds} is out of range", problem="payload"
            ) from None
        created = timestamps.format_with_offset(moment)
    return {
        "UntrustedDockerManifestDigest": payload.digest.text,
        "UntrustedDockerReference": payload.reference,
        "UntrustedCreatorID": payload.creator,
        "UntrustedTimestamp": created,
        "UntrustedShortKeyIdentifier": key_id,
    }
