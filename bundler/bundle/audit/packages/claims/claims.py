"""Find the SBOMs and attestations that came with an image, and compare them with its packages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.packages.claims.documents import (
    MAX_DOCUMENT,
    Document,
    DocumentError,
    parse_document,
)
from bundler.bundle.audit.packages.purl import parse_purl
from bundler.content.streams import VerifiedReader
from bundler.oci import manifest
from bundler.oci.manifest import ImageManifest, Index
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from bundler.bundle.audit.packages.claims.vex_signers import VexSigner
    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.copy.image import ResolvedImage
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest

_MEDIA_TYPES = ("cyclonedx", "openvex", "spdx", "in-toto", "dsse", "sigstore.bundle")
MAX_DOCUMENTS = 100
MAX_TOTAL = 128 * 1024 * 1024
"""The maximum number and total size in bytes of the documents about one image that are read."""
_ABOUT = "vnd.docker.reference.digest"
"""The annotation of BuildKit's attestations in an index: the manifest that they are about."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A document that came with an image."""

    digest: Digest
    """The digest of the document."""
    media_type: str
    document: Document | None
    """The content; None: it cannot be read."""
    problem: str
    """Why the document cannot be read, or empty."""
    is_about: bool
    """False: it is a statement about other content than this image."""
    not_found: tuple[str, ...]
    """Package URLs that it states and that were not found in the image."""
    not_claimed: tuple[str, ...]
    """Package URLs that were found and that it does not state; empty if it is no SBOM."""
    signer: str = ""
    """The trusted signer of its statements about vulnerabilities; empty: none, or its signature
    was not verified."""

    def to_json(self) -> dict[str, Any]:
        """Return the claim as JSON."""
        value: dict[str, Any] = {"digest": self.digest.text, "mediaType": self.media_type}
        if self.document is None:
            return value | {"problem": self.problem}
        value |= {"type": self.document.type, "isAboutImage": self.is_about}
        if self.signer:
            value["signer"] = self.signer
        if self.document.packages is not None:
            value["packages"] = len(self.document.packages)
            value["notFound"] = list(self.not_found)
            value["notClaimed"] = list(self.not_claimed)
        return value


def read_claims(
    resolved: ResolvedImage, found: ImagePackages, signers: Sequence[VexSigner] = ()
) -> list[Claim]:
    """Read the documents about an image, and compare SBOMs with the packages that were found.

    ``signers`` are those whose statements about vulnerabilities are verified. Other signatures are
    not verified.

    Raises:
        BundlerError: a document is missing or damaged.
    """
    own = {"sha256:" + found.image.digest.hex, resolved.graph.root.digest.text}
    packages = {parse_purl(package.purl): package.purl for package in found.packages}
    claims: dict[Digest, Claim] = {}
    total = 0
    for about, descriptor in list_documents(resolved):
        if about not in own or descriptor.digest in claims:
            continue
        document, problem, signer = None, "", ""
        total += max(0, descriptor.size)
        if len(claims) >= MAX_DOCUMENTS or total > MAX_TOTAL:
            problem = "not read, because the image has too many documents"
        else:
            try:
                raw = read_document(resolved, descriptor)
                document = parse_document(raw)
                if document.statements and signers:
                    document, signer = _verify(raw, document, signers, resolved, own)
            except DocumentError as error:
                problem = str(error)
        stated = (document and document.packages) or {}
        subjects = document.subjects if document is not None else None
        compared = document is not None and document.packages is not None
        claims[descriptor.digest] = Claim(
            digest=descriptor.digest,
            media_type=descriptor.media_type,
            document=document,
            problem=problem,
            is_about=subjects is None or any(f"sha256:{item}" in own for item in subjects),
            not_found=tuple(sorted(stated[key] for key in stated.keys() - packages.keys())),
            not_claimed=tuple(sorted(packages[key] for key in packages.keys() - stated.keys()))
            if compared
            else (),
            signer=signer,
        )
    return list(claims.values())


def _verify(
    raw: bytes,
    document: Document,
    signers: Sequence[VexSigner],
    resolved: ResolvedImage,
    own: Collection[str],
) -> tuple[Document, str]:
    """Return the document as it was signed, with its signer; or ``document``, and an empty text."""
    manifests = [item for item in resolved.graph.manifests if item.descriptor.digest.text in own]
    for signer in signers:
        for item in manifests:
            payload = signer.verify(raw, item.raw)
            if payload is not None:
                signed = parse_document(payload)
                statements = [one for one in signed.statements if not one.is_about_other_image(own)]
                return replace(signed, statements=tuple(statements)), signer.label
    return document, ""


def list_documents(resolved: ResolvedImage) -> Iterator[tuple[str, Descriptor]]:
    """Yield the documents of referrers, and of attestations in the index.

    Each comes with the digest of the manifest that it is about, as text.
    """
    for referrer in resolved.referrers:
        for item in referrer.graph.manifests:
            found = manifest.parse(item.raw, item.descriptor.media_type)
            if isinstance(found, ImageManifest):
                for layer in filter(_is_document, found.layers):
                    yield referrer.subject.text, layer
    parsed = {
        item.descriptor.digest: manifest.parse(item.raw, item.descriptor.media_type)
        for item in resolved.graph.manifests
    }
    for index in parsed.values():
        for entry in index.manifests if isinstance(index, Index) else ():
            attestation, subject = parsed.get(entry.digest), entry.annotations.get(_ABOUT)
            if subject and isinstance(attestation, ImageManifest):
                for layer in filter(_is_document, attestation.layers):
                    yield subject, layer


def read_document(resolved: ResolvedImage, descriptor: Descriptor) -> bytes:
    """Read a document that ``list_documents`` yields, and verify it.

    Raises:
        DocumentError: it is too large.
        BundlerError: it is missing or damaged.
    """
    if not 0 <= descriptor.size <= MAX_DOCUMENT:
        raise DocumentError(f"too large ({descriptor.size:,} bytes, at most {MAX_DOCUMENT:,})")
    with resolved.source.open(Node.of(descriptor, "layer")) as stream:
        subject = f"{resolved.display_name}: document {descriptor.digest}"
        reader = VerifiedReader(stream, subject, digest=descriptor.digest, size=descriptor.size)
        return reader.read()


def _is_document(descriptor: Descriptor) -> bool:
    return any(name in descriptor.media_type for name in _MEDIA_TYPES)
