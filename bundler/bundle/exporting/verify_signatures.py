"""Verify the signatures that the bundle manifest requires of an image, before it is exported.

A requirement is met if the root of the image at its source is signed, or else each of the images in
the index that are exported. Signatures are read from cosign's tag, from sigstore bundles among the
referrers, and from where the source stores them. Nothing is requested from any other service. One
valid signature is sufficient; others, whatever their content, do not count.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from bundler import transports
from bundler.bundle.format import attached_signatures
from bundler.config import config_file, policy_json
from bundler.content.streams import VerifiedReader
from bundler.copy.fetch import fetch, read_signatures
from bundler.copy.signature_requirements import (
    IdentitySignature,
    KeySignature,
    PolicySignature,
    VerifiedSignature,
)
from bundler.errors import (
    BundlerError,
    CancelledError,
    IntegrityError,
    LimitError,
    MalformedError,
    MissingSignatureError,
    NotFoundError,
    TrustError,
    UnsupportedError,
)
from bundler.events import WarningIssued
from bundler.oci import manifest, media_types, signature
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest
from bundler.oci.signature import SIGSTORE_PAYLOAD, SigstoreSignature
from bundler.ports import ListsReferrers, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.copy.image import ResolvedImage
    from bundler.copy.signature_requirements import SignatureRequirement
    from bundler.events import Emit
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Source
    from bundler.trust.requirements import SignatureVerifier
    from bundler.trust.sigstore.bundle import Bundle
    from bundler.trust.sigstore.keys import VerificationKey
    from bundler.trust.sigstore.trusted_root import TrustedRoot

MAX_SIGNATURES = 64
"""Maximum number of signatures of a manifest, and of bundles, that are read and verified."""
MAX_BUNDLE = 4 * 1024 * 1024
_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle"
_MAX_REASONS = 3
_REJECTIONS = (IntegrityError, LimitError, MalformedError, TrustError, UnsupportedError)

LoadedT = TypeVar("LoadedT")


@dataclass(slots=True)
class _SignedManifest:
    """A manifest and its signatures, which are read when they are first needed."""

    source: Source
    digest: Digest
    raw: bytes
    problems: list[BundlerError] = field(default_factory=list)
    """The errors of signatures that cannot be read."""
    _stored: list[bytes] | None = None
    _bundles: list[Bundle] | None = None

    def read_stored(self) -> list[bytes]:
        """Return simple signatures and attachments, as ``oci.signature`` encodes them."""
        if self._stored is None:
            found = list(read_signatures(self.source, self.digest))
            tag = f"{self.digest.algorithm}-{self.digest.hex}.sig"
            try:
                found += attached_signatures.read(self.source, [self.source.resolve(tag)])
            except NotFoundError:
                pass
            except _REJECTIONS as error:
                self.problems.append(error)
            self._stored = list(dict.fromkeys(found))
        return self._stored

    def list_attachments(self) -> Iterator[SigstoreSignature]:
        """Yield the sigstore signatures among the stored ones."""
        for raw in self.read_stored()[:MAX_SIGNATURES]:
            if signature.is_sigstore(raw):
                try:
                    parsed = signature.parse(raw)
                except _REJECTIONS as error:
                    self.problems.append(error)
                    continue
                if isinstance(parsed, SigstoreSignature) and parsed.media_type == SIGSTORE_PAYLOAD:
                    yield parsed

    def list_bundles(self) -> list[Bundle]:
        """Return the sigstore bundles among the referrers."""
        if self._bundles is None:
            self._bundles = []
            listed = (
                self.source.referrers(self.digest)
                if isinstance(self.source, ListsReferrers)
                else ()
            )
            bundles = [
                item
                for item in listed
                if item.artifact_type is None or item.artifact_type.startswith(_BUNDLE_TYPE)
            ]
            for item in bundles[:MAX_SIGNATURES]:
                try:
                    self._bundles += self._read_bundles(item)
                except (NotFoundError, *_REJECTIONS) as error:
                    self.problems.append(error)
            if len(bundles) > MAX_SIGNATURES:
                problem = f"too many bundles (only the first {MAX_SIGNATURES} were verified)"
                self.problems.append(LimitError(problem))
        return self._bundles

    def _read_bundles(self, item: Descriptor) -> Iterator[Bundle]:
        from bundler.trust.sigstore.bundle import parse_bundle  # noqa: PLC0415 - only to verify

        subject = f"bundle {item.digest}"
        raw = fetch(self.source, item, subject)
        parsed = manifest.parse(raw, item.media_type, subject=subject)
        if not (manifest.get_artifact_type(parsed) or "").startswith(_BUNDLE_TYPE):
            return  # the source did not state its type
        if not isinstance(parsed, ImageManifest) or len(parsed.layers) != 1:
            raise MalformedError(f"{subject}: not the manifest of a bundle")
        (layer,) = parsed.layers
        if not 0 <= layer.size <= MAX_BUNDLE:
            raise LimitError(f"{subject}: too large (expected at most {MAX_BUNDLE:,} bytes)")
        with self.source.open(Node.of(layer, "layer")) as stream:
            content = VerifiedReader(stream, subject, digest=layer.digest, size=layer.size).read()
        yield parse_bundle(content, subject)


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
            hint="the image was signed by someone else, or not at all; onMissing: warn exports it",
        )

    def _verify(
        self, image: ResolvedImage, requirement: SignatureRequirement, signed: _SignedManifest
    ) -> VerifiedSignature:
        """Verify one manifest; raise MissingSignatureError if it does not meet the requirement."""
        if isinstance(requirement, KeySignature):
            attempts = self._list_key_attempts(requirement, signed)
        elif isinstance(requirement, IdentitySignature):
            attempts = self._list_identity_attempts(requirement, signed)
        else:
            attempts = iter([partial(self._verify_policy, image, requirement, signed)])
        reasons: list[BundlerError] = []
        for attempt in attempts:
            self._cancellation.check()
            try:
                return attempt()
            except CancelledError:
                raise
            except _REJECTIONS as error:
                reasons.append(error)
        raise MissingSignatureError(
            f"{signed.digest}: no signature",
            requirements=[str(requirement)],
            reasons=[*reasons, *signed.problems],
        )

    def _list_key_attempts(
        self, requirement: KeySignature, signed: _SignedManifest
    ) -> Iterator[Callable[[], VerifiedSignature]]:
        from bundler.trust.sigstore import attachment, verify_bundle  # noqa: PLC0415 - only to verify

        keys = self._load(requirement, partial(_load_keys, requirement.files))
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
        self, requirement: IdentitySignature, signed: _SignedManifest
    ) -> Iterator[Callable[[], VerifiedSignature]]:
        from bundler.trust.sigstore import attachment_identity, verify_bundle  # noqa: PLC0415 - only to verify
        from bundler.trust.sigstore.certificates import OidcIdentity  # noqa: PLC0415 - as above

        root = self._load(requirement, partial(_load_root, requirement.trusted_root))
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

    def _verify_policy(
        self, image: ResolvedImage, requirement: PolicySignature, signed: _SignedManifest
    ) -> VerifiedSignature:
        from bundler.trust import policy as policies  # noqa: PLC0415 - only to verify
        from bundler.trust.requirements import SignedManifest  # noqa: PLC0415 - as above

        path = requirement.file
        policy, digest = self._load(requirement, partial(_load_policy, path))
        request = image.request
        reference = transports.parse(request.policy_reference or str(request.source))
        candidate = SignedManifest(reference, signed.raw, signed.read_stored)
        verify = partial(self._open_verifier().verify, candidate)
        policies.check(policy, reference, verify, require_signed=True)
        return VerifiedSignature(signed.digest, policy=digest)

    def _open_verifier(self) -> SignatureVerifier:
        from bundler.trust.requirements import SignatureVerifier  # noqa: PLC0415 - only to verify

        with self._lock:
            if self._verifier is None:
                self._verifier = SignatureVerifier(self._cancellation)
            return self._verifier

    def _load(self, name: Hashable, load: Callable[[], LoadedT]) -> LoadedT:
        """Return what ``load`` reads from the files of a requirement on the first call."""
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load()
            return cast("LoadedT", self._loaded[name])


def _list_candidates(image: ResolvedImage) -> list[list[_SignedManifest]]:
    """Return groups of manifests; a requirement is met if all of one group are signed.

    The images of an index do not stand for the index if it contains anything else.
    """
    source, graph = image.source, image.graph
    root = graph.manifests[-1]
    if image.replaces is None:
        first = _SignedManifest(source, root.descriptor.digest, root.raw)
    else:
        try:
            found = source.resolve(image.replaces.text)
        except NotFoundError:  # the source has names only
            found = source.resolve(image.request.source.name)
        raw = fetch(source, replace(found, digest=image.replaces), image.display_name)
        first = _SignedManifest(source, image.replaces, raw)
    instances = [
        item for item in graph.manifests if item.descriptor.media_type not in media_types.INDEXES
    ]
    parsed = [manifest.parse(item.raw, item.descriptor.media_type) for item in instances]
    covered = {child.digest for item in parsed for child, _ in manifest.list_children(item)}
    if not instances or any(node.digest not in covered for node in graph.blobs):
        return [[first]]
    below = [_SignedManifest(source, item.descriptor.digest, item.raw) for item in instances]
    return [[first]] if [item.digest for item in below] == [first.digest] else [[first], below]


def _load_keys(files: Sequence[Path]) -> tuple[VerificationKey, ...]:
    from bundler.trust.sigstore.keys import parse_public_key  # noqa: PLC0415 - only to verify

    return tuple(
        parse_public_key(config_file.read(path, required=True), str(path)) for path in files
    )


def _load_root(path: Path) -> TrustedRoot:
    from bundler.trust.sigstore.trusted_root import read_trusted_root  # noqa: PLC0415 - as above

    return read_trusted_root(path)


def _load_policy(path: Path) -> tuple[policy_json.Policy, Digest]:
    raw = config_file.read(path, required=True)
    return policy_json.parse(raw, str(path)), Digest.of(raw)


def _describe(requirement: SignatureRequirement, reasons: Sequence[BundlerError]) -> str:
    """Describe a requirement that is not met, with the first reasons."""
    lines = list(dict.fromkeys(reason.message for reason in reasons))
    if not lines:
        return f"no signature (expected {requirement})"
    more = f"; and {len(lines) - _MAX_REASONS} more" if len(lines) > _MAX_REASONS else ""
    return (
        f"no accepted signature (expected {requirement}): {'; '.join(lines[:_MAX_REASONS])}{more}"
    )
