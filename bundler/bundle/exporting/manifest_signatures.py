"""A signed manifest, and its signatures as they are found at its source.

They are read from where the source stores them, from cosign's tag, and from referrers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.bundle.format import attached_signatures
from bundler.content.streams import VerifiedReader
from bundler.copy.fetch import fetch, read_signatures
from bundler.errors import (
    BundlerError,
    IntegrityError,
    LimitError,
    MalformedError,
    NotFoundError,
    TrustError,
    UnsupportedError,
)
from bundler.oci import manifest, signature
from bundler.oci.manifest import ImageManifest
from bundler.oci.signature import SIGSTORE_PAYLOAD, SigstoreSignature
from bundler.ports import ListsReferrers, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source
    from bundler.trust.sigstore.bundle import Bundle

MAX_SIGNATURES = 64
"""Maximum number of signatures of a manifest, and of bundles, that are read and verified."""
MAX_BUNDLE = 4 * 1024 * 1024
REJECTIONS = (IntegrityError, LimitError, MalformedError, TrustError, UnsupportedError)
"""The errors of a signature that does not count."""
_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle"


@dataclass(slots=True)
class ManifestSignatures:
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
            except REJECTIONS as error:
                self.problems.append(error)
            self._stored = list(dict.fromkeys(found))
        return self._stored

    def list_attachments(self) -> Iterator[SigstoreSignature]:
        """Yield the sigstore signatures among the stored ones."""
        for raw in self.read_stored()[:MAX_SIGNATURES]:
            if signature.is_sigstore(raw):
                try:
                    parsed = signature.parse(raw)
                except REJECTIONS as error:
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
                except (NotFoundError, *REJECTIONS) as error:
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
