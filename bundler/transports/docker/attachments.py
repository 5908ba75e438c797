"""Sigstore signatures that are attached to an image: the layers of another manifest.

Its tag is ``sha256-HEX.sig``. New signatures are added to its layers, because other programs store
their signatures in the same manifest.

https://github.com/containers/image/blob/v5.36.2/docker/docker_image_dest.go
https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

from bundler.content.streams import VerifiedReader
from bundler.errors import LimitError, MalformedError, NotFoundError
from bundler.gocompat import json_encoding
from bundler.oci import manifest as manifests, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.manifest import ImageManifest
from bundler.oci.signature import MAX_SIGNATURE, SigstoreSignature
from bundler.transports.docker.lookaside import MAX_SIGNATURES, MAX_TOTAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.registry.repository import Repository
    from bundler.registry.uploads import Uploads

# The config and the manifest as Skopeo creates them; members that are unknown here are kept.
_EMPTY_CONFIG = {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers"}}


def to_attachment_tag(manifest: Digest) -> str:
    """Return the tag of the signatures of ``manifest``."""
    return f"{manifest.algorithm}-{manifest.hex}.sig"


def read_attachments(repository: Repository, manifest: Digest) -> list[SigstoreSignature]:
    """Return the attached signatures of a manifest, unverified.

    The layers are not filtered by type: the verification skips attachments of other kinds.

    Raises:
        LimitError: there are too many attachments, or they are too large.
        MalformedError: the tag points to something else.
        IntegrityError: an attachment does not match its digest.
    """
    present = _read_manifest(repository, manifest)
    if present is None:
        return []
    payloads: dict[Digest, bytes] = {}
    for layer in present.layers:
        if layer.digest not in payloads:
            payloads[layer.digest] = repository.get_blob(layer, MAX_SIGNATURE)
    return [
        SigstoreSignature(layer.media_type, payloads[layer.digest], layer.annotations)
        for layer in present.layers
    ]


def add_attachments(
    repository: Repository,
    uploads: Uploads,
    manifest: Digest,
    signatures: Sequence[SigstoreSignature],
) -> None:
    """Attach the signatures that are not attached yet; the present ones are kept.

    Raises:
        LimitError: there would be too many attachments.
        MalformedError: the tag points to something else.
        RegistryError: the registry refuses a request.
    """
    present = _read_manifest(repository, manifest)
    layers = [] if present is None else [_get_identity(layer) for layer in present.layers]
    new: list[Descriptor] = []
    for item in signatures:
        digest, size = Digest.of(item.payload), len(item.payload)
        layer = Descriptor(item.media_type, digest, size, annotations=item.annotations)
        if _get_identity(layer) not in layers:
            layers.append(_get_identity(layer))
            new.append(layer)
            _upload(repository, uploads, item.payload)
    if not new:
        return
    if len(layers) > MAX_SIGNATURES:
        raise LimitError(
            f"{repository.name}@{manifest}: too many attached signatures"
            f" (expected at most {MAX_SIGNATURES})"
        )
    config = _extend_config(repository, None if present is None else present.config, new)
    _upload(repository, uploads, config)
    document = {} if present is None else json.loads(present.raw)
    value = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        **document,
        "config": Descriptor(media_types.OCI_CONFIG, Digest.of(config), len(config)).to_json(),
        "layers": [*document.get("layers", ()), *(layer.to_json() for layer in new)],
    }
    repository.put_manifest(
        to_attachment_tag(manifest), media_types.OCI_MANIFEST, json_encoding.dumps(value)
    )


def _read_manifest(repository: Repository, manifest: Digest) -> ImageManifest | None:
    """Return the manifest of the attachments; None if it does not exist."""
    tag = to_attachment_tag(manifest)
    try:
        descriptor, raw = repository.get_manifest(tag)
    except NotFoundError:
        return None
    subject = f"{repository.name}:{tag}"
    parsed = manifests.parse(raw, descriptor.media_type, subject=subject)
    if not isinstance(parsed, ImageManifest) or parsed.media_type != media_types.OCI_MANIFEST:
        raise MalformedError(
            f"{subject}: not a manifest of signatures"
            f" (expected {media_types.OCI_MANIFEST}, got {descriptor.media_type})"
        )
    if len(parsed.layers) > MAX_SIGNATURES:
        raise LimitError(
            f"{subject}: too many signatures"
            f" (expected at most {MAX_SIGNATURES}, got {len(parsed.layers):,})"
        )
    if sum(layer.size for layer in parsed.layers) > MAX_TOTAL:
        raise LimitError(
            f"{subject}: signatures too large in total (expected at most {MAX_TOTAL:,} bytes)"
        )
    return parsed


def _get_identity(layer: Descriptor) -> tuple[object, ...]:
    """Return the properties that are equal for equal signatures."""
    return layer.media_type, layer.digest, layer.size, layer.annotations


def _extend_config(
    repository: Repository, present: Descriptor | None, new: Sequence[Descriptor]
) -> bytes:
    """Return the config with the digests of the new layers."""
    config: dict[str, Any] = dict(_EMPTY_CONFIG)
    if present is not None:
        raw = repository.get_blob(present, strict.MAX_DOCUMENT)
        config |= strict.load_object(raw, subject=f"{repository.name}@{present.digest}")
    root = config.get("rootfs")
    root = root if isinstance(root, dict) else {}
    diff_ids = root.get("diff_ids")
    diff_ids = diff_ids if isinstance(diff_ids, list) else []
    digests = [layer.digest.text for layer in new]
    config["rootfs"] = {**root, "diff_ids": [*diff_ids, *digests]}
    return json_encoding.dumps(config)


def _upload(repository: Repository, uploads: Uploads, data: bytes) -> None:
    digest = Digest.of(data)
    if repository.has_blob(digest, len(data)):
        return
    subject = f"{repository.name}@{digest}"
    uploads.push(digest, VerifiedReader(BytesIO(data), subject, digest=digest, size=len(data)))
