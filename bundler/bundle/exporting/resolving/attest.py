"""Attest images for an export: add signed statements about their origin as referrers.

An image keeps the attestations of the former bundle that still describe it. A renewal without
changes therefore changes nothing, and a target receives no second statement about the same facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bundler import __version__
from bundler.bundle.format.bundle_source import BundleSource
from bundler.bundle.format.inventory.inventory import Producer
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.format.signatures import attestation
from bundler.bundle.format.signatures.attestation import EntryRecord, ExportStatement, SourceRecord
from bundler.bundle.format.signatures.signature_artifacts import (
    SIGSTORE_BUNDLE,
    may_be_artifact,
    read_artifact,
)
from bundler.errors import IntegrityError, LimitError, NotFoundError, TrustError, UnsupportedError
from bundler.events import Notice
from bundler.oci.digest import Digest
from bundler.ports import RegistryReference
from bundler.transports.memory.transport import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.exporting.export import ExportRequest
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.cancel import Cancellation
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage

_REJECTIONS = (IntegrityError, LimitError, NotFoundError, TrustError, UnsupportedError)


class _Attestation(NamedTuple):
    """An artifact with a signed statement."""

    manifest: bytes
    bundle: bytes


_Kept = Mapping[str, Mapping[ExportStatement, Mapping[str, _Attestation]]]
"""The attestations of the former bundle: by the name of the image, the statement and the key ID."""


def attest(
    images: Sequence[ResolvedImage],
    request: ExportRequest,
    former: AuthenticatedBundle | None,
    serial: int,
    engine: EngineOptions,
) -> list[ResolvedImage]:
    """Return the images with an attestation by each key of the request as further referrers.

    Images that are requested without referrers get none. Without keys, no image gets any, and a
    notice is emitted. ``former`` is the bundle in the same directory, and ``serial`` that of the
    new bundle.

    Raises:
        SignerError: a signer failed.
        CancelledError: the run is cancelled.
    """
    if not request.keys:
        engine.emit(Notice(f"{request.bundle}: not signed, so its images are not attested"))
        return list(images)
    moment = datetime.now(UTC).replace(microsecond=0)
    kept = {} if former is None else _read_former(request, former.inventory, engine.cancellation)
    memory = MemoryStore()
    empty = Digest.of(attestation.EMPTY)
    memory.blobs[empty] = attestation.EMPTY
    source = memory.source()
    attested = []
    for image in images:
        if image.request.signatures == "none":
            attested.append(image)
            continue
        root = image.graph.root
        statement = _create_statement(image, request, serial, moment)
        found = _find_kept(kept, statement, request)
        if not found:
            engine.cancellation.check()
            bundles = [attestation.sign(statement, signer) for signer in request.keys]
            found = [
                _Attestation(attestation.create_manifest(statement, bundle, root), bundle)
                for bundle in bundles
            ]
        referrers = {item.graph.root.digest: item for item in image.referrers}
        added = {empty: source}
        for item in found:
            digest = Digest.of(item.bundle)
            memory.blobs[digest], added[digest] = item.bundle, source
            referrer = attestation.create_referrer(item.manifest, root.digest)
            referrers.setdefault(referrer.graph.root.digest, referrer)
        attested.append(replace(image, referrers=tuple(referrers.values()), added=added))
    return attested


def _create_statement(
    image: ResolvedImage, request: ExportRequest, serial: int, moment: datetime
) -> ExportStatement:
    source, root = image.request.source, image.graph.root.digest
    file, _, line = image.request.origin.rpartition(":")
    digest = request.manifest_files.get(file) if line.isdecimal() else None
    return ExportStatement(
        reference=image.display_name,
        digest=root,
        source=SourceRecord(
            source.transport,
            image.replaces or root,
            str(source) if isinstance(source, RegistryReference) else None,
            image.served_by,
        ),
        stream=request.stream,
        serial=serial,
        exported=moment,
        tool=Producer("airbundle", __version__),
        entry=None if digest is None else EntryRecord(file, int(line), digest),
        platforms=tuple(map(str, image.graph.platforms)),
    )


def _find_kept(
    kept: _Kept, statement: ExportStatement, request: ExportRequest
) -> list[_Attestation]:
    """Return attestations by all keys of the request, of one statement that still holds."""
    for known, by_key in kept.get(statement.reference, {}).items():
        if known.describes_same(statement):
            found = [by_key[key.public.id] for key in request.keys if key.public.id in by_key]
            if len(found) == len(request.keys):
                return found
    return []


def _read_former(request: ExportRequest, former: Inventory, cancellation: Cancellation) -> _Kept:
    """Return the attestations by keys of the request; those that cannot be read are left out."""
    trusted = [key.public for key in request.keys]
    kept: dict[str, dict[ExportStatement, dict[str, _Attestation]]] = {}
    with open_files(request.bundle) as files:
        source = BundleSource(files, former)
        for image in former.images:
            cancellation.check()
            for item in image.referrers:
                if item.subject != image.digest or not may_be_artifact(item.root, SIGSTORE_BUNDLE):
                    continue
                with suppress(*_REJECTIONS):
                    found = read_artifact(source, item.root, SIGSTORE_BUNDLE)
                    if found is None or not attestation.may_contain(found.manifest.annotations):
                        continue
                    key, statement = attestation.verify(found.content, image.digest, trusted)
                    by_key = kept.setdefault(statement.reference, {}).setdefault(statement, {})
                    by_key[key.id] = _Attestation(found.manifest.raw, found.content)
    return kept
