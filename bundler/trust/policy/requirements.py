"""Verify that the signatures of an image meet a requirement of policy.json.

A requirement is met by the first signature that is valid, is made by one of its keys, and contains
the digest of the manifest and the name of the image. Signatures of another kind do not count. A
signature that cannot be parsed is never skipped: the image is rejected.

https://github.com/containers/image/blob/v5.36.2/signature/policy_eval_signedby.go
https://github.com/containers/image/blob/v5.36.2/signature/policy_eval_sigstore.go
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, cast

from bundler.config import config_file
from bundler.config.policy_json import Fulcio, Pki, SignedBy, SigstoreSigned
from bundler.errors import (
    BundlerError,
    ConfigError,
    InvalidSignatureError,
    LimitError,
    MalformedError,
    RejectedByPolicyError,
    SigstoreSignatureError,
    TrustError,
    UnsupportedError,
)
from bundler.oci import signature as signatures
from bundler.oci.signature import SIGSTORE_PAYLOAD, SigstoreSignature, SimpleSignature
from bundler.ports import RepositoryReference
from bundler.signature_ports import AcceptedSigner
from bundler.trust.policy.signed_identity import accepts_name

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from types import TracebackType

    from bundler.cancel import Cancellation
    from bundler.config.policy_json import Keys
    from bundler.oci.reference import ImageReference
    from bundler.oci.signature import ImageSignature
    from bundler.ports import Reference
    from bundler.trust.openpgp.keyring import Keyring

MAX_SIGNATURES = 64
"""Maximum number of signatures of an image that are verified for one requirement."""

LoadedT = TypeVar("LoadedT")

_MAX_TIME = 120.0  # seconds, after which no further signature for a requirement is verified
_MAX_REASONS = 4  # in a message; the error has all of them
_REJECTIONS = (ConfigError, LimitError, MalformedError, TrustError, UnsupportedError)


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A manifest to check, with its signatures."""

    reference: Reference
    """The reference by which the user refers to the image."""
    manifest: bytes = field(repr=False)
    read_signatures: Callable[[], Sequence[bytes]] = field(repr=False)
    """Returns the signatures as they are stored."""

    @property
    def image(self) -> ImageReference | None:
        """The name that signatures must contain; None if the image has no name."""
        reference = self.reference
        image = reference.image if isinstance(reference, RepositoryReference) else None
        return None if image is None else image.with_default_tag()


class SignatureVerifier:
    """Verifies signatures; the keys of a requirement are read once. Thread-safe.

    It is a context manager, which removes temporary keyrings.
    """

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._resources = ExitStack()
        self._lock = threading.Lock()
        self._loaded: dict[Hashable, object] = {}
        self._expected: dict[Keys, list[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary keyrings."""
        self._resources.close()

    def expect(self, requirement: SignedBy, stored: Sequence[bytes]) -> None:
        """Announce signatures that ``verify`` may verify for ``requirement``, to save time.

        Call it before ``verify``. Signatures that cannot be parsed are ignored here.
        """
        expected = self._expected.setdefault(requirement.keys, [])
        for raw in stored:
            with suppress(LimitError, MalformedError):
                signature = signatures.parse(raw)
                if isinstance(signature, SimpleSignature):
                    expected.append(signature.message)

    def verify(
        self, signed: SignedManifest, requirement: SignedBy | SigstoreSigned
    ) -> AcceptedSigner:
        """Verify that a signature of the manifest meets ``requirement``; return its signer.

        Raises:
            RejectedByPolicyError: none does, or a signature cannot be parsed.
            CancelledError: the run is cancelled.
        """
        is_simple = isinstance(requirement, SignedBy)
        rule = "signedBy" if is_simple else "sigstoreSigned"
        try:
            found = [
                signatures.parse(raw, f"signature {number}")
                for number, raw in enumerate(signed.read_signatures(), 1)
            ]
        except _REJECTIONS as error:
            raise _create_error(signed, rule, [error]) from None
        simple = [item for item in found if isinstance(item, SimpleSignature)]
        attachments = [item for item in found if isinstance(item, SigstoreSignature)]
        sigstore = [item for item in attachments if item.media_type == SIGSTORE_PAYLOAD]
        candidates: Sequence[ImageSignature] = simple if is_simple else sigstore
        reasons: list[BundlerError] = []
        deadline = time.monotonic() + _MAX_TIME
        for candidate in candidates[:MAX_SIGNATURES]:
            if reasons and time.monotonic() > deadline:
                break
            try:
                if isinstance(requirement, SignedBy):
                    return self._verify_simple(requirement, signed, candidate)
                return self._verify_sigstore(requirement, signed, candidate)
            except _REJECTIONS as error:
                reasons.append(error.without_traceback())
        if len(candidates) > len(reasons):
            limit = f"{MAX_SIGNATURES} in {_MAX_TIME:g} seconds"
            problem = f"too many signatures (expected at most {limit}, verified {len(reasons)})"
            reasons.append(LimitError(problem))
        ignored = (0, 0) if is_simple else (len(simple), len(attachments) - len(sigstore))
        raise _create_error(signed, rule, reasons, ignored)

    def _verify_simple(
        self, requirement: SignedBy, signed: SignedManifest, signature: ImageSignature
    ) -> AcceptedSigner:
        assert isinstance(signature, SimpleSignature)  # noqa: S101 - selected by ``verify``
        from bundler.trust.simple_signing.simple_signing import verify_signature  # noqa: PLC0415 - as needed

        if requirement.key_type != "GPGKeys":
            raise InvalidSignatureError(
                f"keyType {requirement.key_type} is not supported",
                problem="unsupported",
                value=requirement.key_type,
            )
        keyring = self._load(requirement.keys, lambda: self._open_keyring(requirement.keys))
        payload, signer = verify_signature(
            signature.message, keyring, signed.manifest, keyring.fingerprints
        )
        name = payload.reference
        if not accepts_name(requirement.identity, signed.image, name):
            raise InvalidSignatureError(
                _describe_name(name), key_id=signer, problem="identity", value=name
            )
        return AcceptedSigner(key=signer)

    def _verify_sigstore(
        self, requirement: SigstoreSigned, signed: SignedManifest, signature: ImageSignature
    ) -> AcceptedSigner:
        assert isinstance(signature, SigstoreSignature)  # noqa: S101 - selected by ``verify``
        from bundler.trust.sigstore.attachments import attachment, policy_trust  # noqa: PLC0415 - as needed

        trust = self._load(
            (requirement.signer, requirement.rekor), lambda: policy_trust.load_trust(requirement)
        )
        verified = attachment.verify_attachment(
            signature, trust, signed.manifest, datetime.now(UTC)
        )
        name = verified.payload.reference
        if not accepts_name(requirement.identity, signed.image, name):
            raise SigstoreSignatureError(_describe_name(name), problem="identity", value=name)
        signer = requirement.signer
        if isinstance(signer, Fulcio):  # a key of its own for each signature
            return AcceptedSigner(issuer=signer.oidc_issuer, identity=signer.subject_email)
        identity = (
            signer.subject_email or signer.subject_hostname if isinstance(signer, Pki) else None
        )
        return AcceptedSigner(key=verified.key.id, identity=identity)

    def _open_keyring(self, keys: Keys) -> Keyring:
        from bundler.trust.openpgp.keyring import open_keyring  # noqa: PLC0415 - as needed

        files = [config_file.read(Path(path), required=True) for path in keys.paths]
        opened = open_keyring([*files, *keys.data], self._cancellation)
        keyring = self._resources.enter_context(opened)
        if not keyring.fingerprints:
            raise InvalidSignatureError("the policy names no usable public key", problem="keys")
        keyring.expect(self._expected.pop(keys, ()))
        return keyring

    def _load(self, keys: Hashable, load: Callable[[], LoadedT]) -> LoadedT:
        """Return the keys that ``load`` reads; the result or the error of the first call."""
        with self._lock:
            if keys not in self._loaded:
                try:
                    self._loaded[keys] = load()
                except _REJECTIONS as error:
                    self._loaded[keys] = error
            loaded = self._loaded[keys]
        if isinstance(loaded, BundlerError):
            raise loaded.with_traceback(None)
        return cast("LoadedT", loaded)


def _describe_name(name: str) -> str:
    return f"the signature is for another image name: {name[:200]!r}"


def _create_error(
    signed: SignedManifest,
    rule: str,
    reasons: Sequence[BundlerError],
    ignored: tuple[int, int] = (0, 0),
) -> RejectedByPolicyError:
    problem = f"the policy requires a signature ({rule}), but "
    if not reasons:
        problem += "no signature exists"
        if any(ignored):
            simple, other = ignored
            problem += f" ({simple} simple signatures and {other} other attachments do not count)"
    else:
        problem += "none is accepted: " if len(reasons) > 1 else "it is not accepted: "
        problem += "; ".join(reason.message for reason in reasons[:_MAX_REASONS])
        if len(reasons) > _MAX_REASONS:
            problem += f"; and {len(reasons) - _MAX_REASONS} more"
    return RejectedByPolicyError(
        f"{signed.reference}: {problem}",
        rule=rule,
        reference=str(signed.reference),
        reasons=reasons,
        ignored=ignored,
        hint=next((reason.hint for reason in reasons if reason.hint), None),
    )
