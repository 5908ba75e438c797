"""Describe an image for the evidence: its content, its packages, and the claims about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.packages.claims.claims import list_documents, read_document
from bundler.bundle.audit.packages.claims.documents import DocumentError, parse_document
from bundler.bundle.records.evidence import package_lists
from bundler.bundle.records.evidence.objects import encode
from bundler.errors import IntegrityError, LimitError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedPlatform
    from bundler.bundle.records.evidence.objects import ObjectStore
    from bundler.copy.image import ResolvedImage
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest

_OF_IMAGE = ("name", "digest", "platform", "findings")
"""Members of the vulnerabilities of an image that other parts of the evidence have."""


def describe_image(
    image: AuditedImage, store: ObjectStore, max_claims: int, database: Mapping[str, Any]
) -> tuple[dict[str, Any], int]:
    """Return the entry of an image in the document, and the size of its claims in bytes.

    Objects are added to ``store``. ``max_claims`` is the size of the claims that may be kept, and
    ``database`` describes the database of vulnerabilities.

    Raises:
        DamagedEvidenceError, NoSpaceError, MediumError: an object cannot be written.
    """
    value: dict[str, Any] = {"reference": image.name}
    if image.digest is not None:
        value["digest"] = image.digest.text
    if image.unreadable is not None:
        value["problem"] = image.unreadable
    if image.is_artifact:
        value["artifact"] = True
    if image.platforms:
        value["platforms"] = [_describe_platform(item, store, database) for item in image.platforms]
    resolved = image.resolved
    if resolved is None:
        return value, 0
    contents: list[tuple[str, Digest | None, int | None]] = []
    for graph in resolved.graphs:
        kind = "manifest" if graph is resolved.graph else "referrer"
        contents += [
            (kind, item.descriptor.digest, item.descriptor.size) for item in graph.manifests
        ]
        contents += [(node.kind, node.digest, node.size) for node in graph.blobs]
    members = [
        {"kind": kind, "digest": digest.text, "size": max(size or 0, 0)}
        for kind, digest, size in contents
        if digest is not None
    ]
    value["contents"] = store.add(encode({"contents": members})).text
    accepted = [
        {"manifest": digest.text} | item.to_json()
        for digest, met in resolved.verdicts.items()
        for item in met
    ]
    if accepted:
        value["accepted"] = accepted
    claims, size = [], 0
    for subject, descriptor in dict.fromkeys(list_documents(resolved)):
        claim, read = _describe_claim(resolved, descriptor, store, max_claims - size)
        claims.append({"subject": subject} | claim)
        size += read
    if claims:
        value["claims"] = claims
    return value, size


def _describe_platform(
    platform: AuditedPlatform, store: ObjectStore, database: Mapping[str, Any]
) -> dict[str, Any]:
    value: dict[str, Any] = {"platform": platform.name, "digest": platform.image.digest.text}
    if platform.unreadable is not None:
        value["problem"] = platform.unreadable
    if platform.contents is None:
        return value
    packages = package_lists.describe_packages(platform.contents.packages)
    found = platform.contents.vulnerabilities
    try:
        value["packages"] = store.add(encode(packages)).text
        if packages["findings"]:
            value["unreadable"] = len(packages["findings"])
        if found is not None:
            described = {key: item for key, item in found.to_json().items() if key not in _OF_IMAGE}
            value["vulnerabilities"] = store.add(encode(described | {"database": database})).text
            value["complete"] = found.is_complete
    except LimitError as error:
        value["problem"] = error.message
    return value


def _describe_claim(
    resolved: ResolvedImage, descriptor: Descriptor, store: ObjectStore, limit: int
) -> tuple[dict[str, Any], int]:
    """Keep a document and the packages that it claims; return its entry and its size.

    A document that cannot be read or kept has a problem instead.
    """
    value: dict[str, Any] = {"digest": descriptor.digest.text, "mediaType": descriptor.media_type}
    if descriptor.size > limit:
        return value | {"problem": "the claims are too large to be kept"}, 0
    try:
        raw = read_document(resolved, descriptor)
    except (DocumentError, IntegrityError, LimitError, NotFoundError) as error:
        return value | {"problem": str(error)}, 0
    value["document"] = store.add(raw).text
    try:
        document = parse_document(raw)
    except DocumentError as error:
        return value | {"problem": str(error)}, len(raw)
    value["type"] = document.type
    if document.packages is not None:
        packages = package_lists.describe_claimed(document.packages)
        value["packages"] = store.add(encode(packages)).text
    return value, len(raw)
