"""``bundle.json.sigstore.json``: one of the signatures of a bundle again, in the format of cosign.

It never authenticates a bundle. It is compared with the signature that it repeats, so that its
damage is found before somebody verifies the bundle with cosign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.errors import BundlerError, MalformedError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.trust.keys import PublicKey

_NAME = bundle_paths.SIGSTORE_BUNDLE
MAX_COPY = 64 * 1024


def create(public: PublicKey, signature: bytes, inventory: bytes) -> bytes:
    """Return a signature of ``inventory`` as ``cosign verify-blob --bundle`` reads it."""
    from bundler.trust.sigstore import bundle, keys  # noqa: PLC0415 - only to sign

    key = keys.parse_public_key(public.to_pem(), public.id)
    return bundle.create_key_bundle(key, signature, inventory)


def check(
    copy: bytes,
    inventory: bytes,
    signatures: Mapping[str, bytes],
    known: Iterable[PublicKey] = (),
) -> None:
    """Check that a copy repeats one of the ``signatures`` of ``inventory``, by file name.

    The ID of the key in it is compared with those of the ``known`` keys; of any other key, only the
    beginning is known, from the name of its signature. A copy whose signature is not written yet
    is accepted: an interrupted writer leaves it.

    Raises:
        MalformedError: it is damaged.
    """
    from bundler.oci.digest import Digest  # noqa: PLC0415 - not for --help
    from bundler.oci.json.base64_strict import encode  # noqa: PLC0415 - not for --help
    from bundler.trust.sigstore.bundle import parse_bundle  # noqa: PLC0415 - loads cryptography

    try:
        parsed = parse_bundle(copy, _NAME)
        document = Table.parse(copy, _NAME, limit=MAX_COPY)
        key_id = document.table("verificationMaterial").table("publicKey").base64("hint")
        name = bundle_paths.format_signature_name(key_id.hex())
    except BundlerError as error:
        raise MalformedError(error.message) from None
    ids = {bundle_paths.format_signature_name(key.id): key.id for key in known}
    is_known = name in signatures and ids.get(name, key_id.hex()) == key_id.hex()
    if parsed.key_hint != encode(key_id) or (
        not is_known and parsed.signature in signatures.values()
    ):
        raise MalformedError(f"{_NAME}: names another key than its signature")
    expected = {
        "messageDigest": {
            "algorithm": "SHA2_256",
            "digest": encode(bytes.fromhex(Digest.of(inventory).hex)),
        },
        "signature": encode(signatures.get(name, parsed.signature)),
    }
    if document.value["messageSignature"] != expected:
        raise MalformedError(f"{_NAME}: differs from {name} or {bundle_paths.INVENTORY}")
