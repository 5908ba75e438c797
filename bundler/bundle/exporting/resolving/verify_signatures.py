"""Verify the signatures that the bundle manifest requires of an image, before it is exported.

A requirement is met if the root of the image at its source is signed, or else each of the images in
the index that are exported. Signatures are read from cosign's tag, from sigstore bundles and
Notation signatures among the referrers, and from where the source stores them. Nothing is requested
from any other service. One valid signature is sufficient; others, whatever their content, do not
count.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from bundler import transports
from bundler.bundle.exporting.resolving.manifest_signatures import REJECTIONS, ManifestSignatures
from bundler.config import config_file, policy_json
from bundler.copy.resolving.fetch import fetch
from bundler.copy.signature_requirements import (
    IdentitySignature,
    KeySignature,
    NotationSignature,
    PolicySignature,
    VerifiedSignature,
)
from bundler.errors import (
    BundlerError,
    CancelledError,
    MissingSignatureError,
    NotFoundError,
    RejectedByPolicyError,
    TrustError,
)
from bundler.events import WarningIssued
from bundler.oci import manifest, media_types
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from bundler.bundle.format.signatures.signature_artifacts import SignatureArtifact
    from bundler.cancel import Cancellation
    from bundler.copy.image import ResolvedImage
    from bundler.copy.signature_requirements import SignatureRequirement
    from bundler.events import Emit
    from bundler.oci.signature import SigstoreSignature
    from bundler.trust.policy.requirements import SignatureVerifier
    from bundler.trust.sigstore.bundle import Bundle
    from bundler.trust.sigstore.keys import VerificationKey

_MAX_REASONS = 3
_POLICY_HINTS = {
    "requireSigned": "accepts this image without a signature: require one there",
    "reject": "rejects this image with any signature: require one there",
}
"""The next step, by the rule of a policy that no signature meets."""

LoadedT = TypeVar("LoadedT")


class SignatureChecker:
    """Checks the signatures of images; the keys of a requirement are read once. Thread-safe.

    ``close`` removes temporary keyrings.
    """

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._lock = threading.RLock()
        self._loaded: dict[Hashable, object] = {}
        self._verifier: SignatureVerifier | None = None

    def close(self) -> None:
        """Remove the temporary keyrings."""
        if self._verifier is not None:
            self._verifier.close()

    def check(self, image: ResolvedImage, emit: Emit) -> ResolvedImage:
        """Return the image with the signatures that meet the requirements of its request.

        If some are not met, ``emit`` receives a warning if the request permits it.

        Raises:
            MissingSignatureError: a requirement is not met.
            ConfigError: the file of a requirement is not valid.
            RegistryError: the signatures cannot be read.
        """
        verified: list[VerifiedSignature] = []
        unmet: dict[SignatureRequirement, list[BundlerError]] = {}
        candidates = _list_candidates(image)
        for requirement in image.request.verify:
            reasons: list[BundlerError] = []
            for group in candidates:
                try:
                    verified += [self._verify(image, requirement, item) for item in group]
                except MissingSignatureError as error:
                    reasons += error.reasons
                else:
                    break
            else:
                unmet[requirement] = reasons
        if not unmet:
            return replace(image, verified=tuple(dict.fromkeys(verified)))
        problems = tuple(_describe(item, reasons) for item, reasons in unmet.items())
        for problem in problems:
            if image.request.on_missing == "warn":
                emit(WarningIssued(f"{image.display_name}: {problem}"))
        if image.request.on_missing == "warn":
            return replace(image, verified=tuple(dict.fromkeys(verified)), unverified=problems)
        raise MissingSignatureError(
            f"{image.display_name}: {'; '.join(problems)}",
            requirements=[str(item) for item in unmet],
            reasons=[reason for reasons in unmet.values() for reason in reasons],
            hint=next(
                (reason.hint for reasons in unmet.values() for reason in reasons if reason.hint),
                "the image was signed by someone else, or not at all; onMissing: warn exports it",
            ),
        )

    def _verify(
        self, image: ResolvedImage, requirement: SignatureRequirement, signed: ManifestSignatures
    ) -> VerifiedSignature:
        """Verify one manifest; raise MissingSignatureError if it does not meet the requirement."""
        if isinstance(requirement, KeySignature):
            attempts = self._list_key_attempts(requirement, signed)
        elif isinstance(requirement, IdentitySignature):
            attempts = self._list_identity_attempts(requirement, signed)
        elif isinstance(requirement, NotationSignature):
            attempts = self._list_notation_attempts(image, requirement, signed)
        else:
            attempts = iter([partial(self._verify_policy, image, requirement, signed)])
        reasons: list[BundlerError] = []
        for attempt in attempts:
            self._cancellation.check()
            try:
                return attempt()
            except CancelledError:
                raise
            except REJECTIONS as error:
                reasons.append(error.without_traceback())
        raise MissingSignatureError(
            f"{signed.digest}: no signature",
            requirements=[str(requirement)],
            reasons=[*reasons, *signed.problems],
        )

    def _list_key_attempts(
        self, requirement: KeySignature, signed: ManifestSignatures
    ) -> Iterator[Callable[[], VerifiedSignature]]:
        from bundler.trust.sigstore import verify_bundle  # noqa: PLC0415 - only to verify
        from bundler.trust.sigstore.attachments import attachment  # noqa: PLC0415 - only to verify
        from bundler.trust.sigstore.keys import parse_public_key  # noqa: PLC0415 - as above

        def load_keys() -> tuple[VerificationKey, ...]:
            return tuple(
                parse_public_key(config_file.read(path, required=True), str(path))
                for path in requirement.files
            )

        keys = self._load(requirement, load_keys)
        trust = attachment.SigstoreKeys(keys)

        def verify_attachment(item: SigstoreSignature) -> VerifiedSignature:
            moment = datetime.now(UTC)
            found = attachment.verify_attachment(item, trust, signed.raw, moment)
            return VerifiedSignature(signed.digest, key=found.key.id)

        def verify_by_key(item: Bundle) -> VerifiedSignature:
            found = verify_bundle.verify_by_key(item, signed.raw, keys)
            return VerifiedSignature(signed.digest, key=found.key.id)

        for item in signed.list_attachments():
            yield partial(verify_attachment, item)
        for bundle in signed.list_bundles():
            yield partial(verify_by_key, bundle)

    def _list_identity_attempts(
        self, requirement: IdentitySignature, signed: ManifestSignatures
    ) -> Iterator[Callable[[], VerifiedSignature]]:
        from bundler.trust.sigstore import verify_bundle  # noqa: PLC0415 - only to verify
        from bundler.trust.sigstore.attachments import attachment_identity  # noqa: PLC0415 - only to verify
        from bundler.trust.sigstore.certificates import OidcIdentity  # noqa: PLC0415 - as above
        from bundler.trust.sigstore.trusted_root import read_trusted_root  # noqa: PLC0415 - as above

        root = self._load(requirement, partial(read_trusted_root, requirement.trusted_root))
        identity = OidcIdentity(requirement.issuer, requirement.identity)

        verified = VerifiedSignature(
            signed.digest, issuer=requirement.issuer, identity=requirement.identity
        )

        def verify_attachment(item: SigstoreSignature) -> VerifiedSignature:
            attachment_identity.verify_attachment_by_identity(item, signed.raw, identity, root)
            return verified

        def verify_by_identity(item: Bundle) -> VerifiedSignature:
            verify_bundle.verify_by_identity(item, signed.raw, identity, root)
            return verified

        for item in signed.list_attachments():
            yield partial(verify_attachment, item)
        for bundle in signed.list_bundles():
            yield partial(verify_by_identity, bundle)

    def _list_notation_attempts(
        self, image: ResolvedImage, requirement: NotationSignature, signed: ManifestSignatures
    ) -> Iterator[Callable[[], VerifiedSignature]]:
        from bundler.trust.notation.trust_policy import read_trust_policy  # noqa: PLC0415 - only to verify
        from bundler.trust.notation.trust_store import read_stores  # noqa: PLC0415 - as above
        from bundler.trust.notation.verify import verify_signature  # noqa: PLC0415 - as above

        def verify(item: SignatureArtifact) -> VerifiedSignature:
            found = verify_signature(
                item.manifest.layers[0].media_type,
                item.content,
                signed.descriptor,
                statement=statement,
                trusted=trusted,
                moment=datetime.now(UTC),
            )
            return VerifiedSignature(
                signed.digest,
                key=found.key_id,
                identity=found.subject,
                policy=policy.digest,
                trust_store=found.store,
            )

        policy = self._load(requirement, partial(read_trust_policy, requirement.policy))
        name = image.request.reference
        try:
            statement = policy.find_statement(name.repository if name else image.display_name)
        except TrustError as error:
            raise MissingSignatureError(
                error.message, requirements=[str(requirement)], reasons=[error]
            ) from None
        load = partial(read_stores, requirement.trust_store, statement.stores)
        trusted = self._load((requirement, statement.name), load)
        for item in signed.list_notation_signatures():
            yield partial(verify, item)

    def _verify_policy(
        self, image: ResolvedImage, requirement: PolicySignature, signed: ManifestSignatures
    ) -> VerifiedSignature:
        from bundler.trust.policy import policy as policies  # noqa: PLC0415 - only to verify
        from bundler.trust.policy.requirements import SignatureVerifier, SignedManifest  # noqa: PLC0415 - as above

        path = requirement.file

        def load_policy() -> tuple[policy_json.Policy, Digest]:
            raw = config_file.read(path, required=True)
            return policy_json.parse(raw, str(path)), Digest.of(raw)

        policy, digest = self._load(requirement, load_policy)
        request = image.request
        reference = transports.parse(request.policy_reference or str(request.source))
        candidate = SignedManifest(reference, signed.raw, signed.read_stored)
        with self._lock:
            if self._verifier is None:
                self._verifier = SignatureVerifier(self._cancellation)
        verify = partial(self._verifier.verify, candidate)
        try:
            policies.check(policy, reference, verify, require_signed=True)
        except RejectedByPolicyError as error:
            hint = _POLICY_HINTS.get(error.rule)
            error.hint = hint and f"{path} {hint}"  # --policy does not apply to this file
            raise
        return VerifiedSignature(signed.digest, policy=digest)

    def _load(self, name: Hashable, load: Callable[[], LoadedT]) -> LoadedT:
        """Return what ``load`` reads from the files of a requirement on the first call."""
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load()
            return cast("LoadedT", self._loaded[name])


def _list_candidates(image: ResolvedImage) -> list[list[ManifestSignatures]]:
    """Return groups of manifests; a requirement is met if all of one group are signed.

    The images of an index do not stand for the index if it contains anything else.
    """
    source, graph = image.source, image.graph
    root = graph.manifests[-1]
    if image.replaces is None:
        first = ManifestSignatures(source, root.descriptor, root.raw)
    else:
        try:
            found = source.resolve(image.replaces.text)
        except NotFoundError:  # the source has names only
            found = source.resolve(image.request.source.name)
        descriptor = replace(found, digest=image.replaces)
        raw = fetch(source, descriptor, image.display_name)
        first = ManifestSignatures(source, descriptor, raw)
    instances = [
        item for item in graph.manifests if item.descriptor.media_type not in media_types.INDEXES
    ]
    parsed = [manifest.parse(item.raw, item.descriptor.media_type) for item in instances]
    covered = {child.digest for item in parsed for child, _ in manifest.list_children(item)}
    if not instances or any(node.digest not in covered for node in graph.blobs):
        return [[first]]
    below = [ManifestSignatures(source, item.descriptor, item.raw) for item in instances]
    return [[first]] if [item.digest for item in below] == [first.digest] else [[first], below]


def _describe(requirement: SignatureRequirement, reasons: Sequence[BundlerError]) -> str:
    """Describe a requirement that is not met, with the first reasons."""
    lines = list(dict.fromkeys(reason.message for reason in reasons))
    if not lines:
        return f"no signature (expected {requirement})"
    more = f"; and {len(lines) - _MAX_REASONS} more" if len(lines) > _MAX_REASONS else ""
    return (
        f"no accepted signature (expected {requirement}): {'; '.join(lines[:_MAX_REASONS])}{more}"
    )
