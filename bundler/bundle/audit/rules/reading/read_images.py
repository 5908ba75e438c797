"""Read of images what rules need: nothing, manifests and configs, or also layers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.image_properties import read_properties
from bundler.bundle.audit.platforms import list_platforms
from bundler.bundle.audit.rules.audited import (
    UNREADABLE,
    AuditedImage,
    AuditedLocation,
    AuditedPlatform,
)
from bundler.bundle.audit.rules.reading.read_directory import add_unlisted
from bundler.copy.image import find_unique_blobs
from bundler.copy.parallel import run_all
from bundler.errors import NotFoundError
from bundler.oci import manifest
from bundler.oci.manifest import get_artifact_type
from bundler.ports import RepositoryReference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from bundler.bundle.audit.images import ImageAtLocation, OpenImages
    from bundler.bundle.audit.layers.contents_cache import ContentsCache
    from bundler.bundle.audit.packages.claims.vex_signers import VexSigner
    from bundler.bundle.audit.rules.audited import Depth, Extra
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.cancel import Cancellation
    from bundler.copy.image import ResolvedImage
    from bundler.events import Emit
    from bundler.oci.reference import ImageReference
    from bundler.ports import Reference


def read_location(
    images: OpenImages,
    depth: Depth,
    executor: Executor,
    cancellation: Cancellation,
    *,
    emit: Emit,
    now: datetime,
    extras: frozenset[Extra] = frozenset(),
    signers: Sequence[VexSigner] = (),
    cache: ContentsCache | None = None,
) -> AuditedLocation:
    """Read the images of a location as deep as rules need, and the ``extras``.

    ``signers`` are those whose statements about vulnerabilities count.
    ``cache`` has contents of layers that were read before; None: nothing is kept.

    An image whose manifests or configs are missing or malformed states this.

    Raises:
        IntegrityError: content does not match its digest.
        BundlerError: a source cannot be read.
    """
    if depth == "names":
        found = tuple(_create_image(image) for image in images.images)
        audited = AuditedLocation(
            images.location, now, found, images.inventory, images.is_authenticated
        )
        return add_unlisted(audited, images.files) if "directory" in extras else audited
    tasks = [partial(_resolve_and_read, image, emit) for image in images.images]
    pairs = run_all(executor, tasks, cancellation)
    read = tuple(image for image, _ in pairs)
    resolved = [item for _, item in pairs if item is not None]
    if depth == "contents":
        from bundler.bundle.audit.layers.layer_reader import LayerReader  # noqa: PLC0415 - only here
        from bundler.bundle.audit.rules.reading.read_layers import read_contents  # noqa: PLC0415 - only here

        sources = [image.source for image in images.images]
        with_sources = list(zip(sources, read, strict=True))
        with LayerReader(cancellation, cache) as reader:
            read = read_contents(
                with_sources, reader, with_claims="claims" in extras, signers=signers
            )
    audited = AuditedLocation(
        images.location,
        now,
        read,
        images.inventory,
        images.is_authenticated,
        total_size=compute_total_size(resolved) if len(resolved) == len(read) else None,
    )
    return add_unlisted(audited, images.files) if "directory" in extras else audited


def _resolve_and_read(
    image: ImageAtLocation, emit: Emit
) -> tuple[AuditedImage, ResolvedImage | None]:
    """Read the manifests and configs of an image; without manifests, state why."""
    try:
        resolved = image.resolve(emit, referrers=True)
    except UNREADABLE as error:
        if isinstance(error, NotFoundError) and image.listed is None:
            raise  # the location itself does not exist
        return replace(_create_image(image), unreadable=error.message), None
    return read_image(image.name, image.listed, resolved), resolved


def read_selected(
    bundle: AuthenticatedBundle,
    selected: Sequence[BundledImage],
    images: Sequence[ResolvedImage],
    executor: Executor,
    cancellation: Cancellation,
    *,
    extras: frozenset[Extra] = frozenset(),
) -> AuditedLocation:
    """Read the configs of the images of an import, each in a task of its own.

    Raises:
        IntegrityError: a config does not match its digest.
    """
    readers = [
        partial(read_image, str(listed.reference), listed, image)
        for listed, image in zip(selected, images, strict=True)
    ]
    audited = AuditedLocation(
        location=bundle.inventory.stream,
        now=datetime.now(UTC),
        images=tuple(run_all(executor, readers, cancellation)),
        inventory=bundle.inventory,
        is_authenticated=bundle.is_authenticated,
        total_size=compute_total_size(images),
    )
    return add_unlisted(audited, bundle.files) if "directory" in extras else audited


def compute_total_size(images: Sequence[ResolvedImage]) -> int | None:
    """Return the size of the distinct blobs of images and referrers in bytes; None: unknown."""
    total = 0
    for node in find_unique_blobs(images).values():
        if node.size is None or node.size < 0:
            return None
        total += node.size
    return total


def read_image(name: str, listed: BundledImage | None, resolved: ResolvedImage) -> AuditedImage:
    """Read the configs of an image whose manifests were read.

    ``listed`` is its entry in the inventory; None: it is not part of a bundle.

    Raises:
        IntegrityError: a config does not match its digest.
    """
    parsed = [
        manifest.parse(item.raw, item.descriptor.media_type) for item in resolved.graph.manifests
    ]
    artifacts = [
        get_artifact_type(item) or ""
        for item in parsed
        if isinstance(item, manifest.ImageManifest) and item.is_artifact
    ]
    platforms, unreadable = [], None
    try:
        for found in list_platforms(resolved):
            properties = read_properties(name, resolved.source, found)
            platforms.append(AuditedPlatform(found, properties))
    except UNREADABLE as error:
        unreadable = None if artifacts and not platforms else error.message
    roots = [referrer.graph.manifests[-1] for referrer in resolved.referrers]
    referrer_types = {
        get_artifact_type(manifest.parse(root.raw, root.descriptor.media_type)) or ""
        for root in roots
    }
    return AuditedImage(
        name=name,
        reference=_find_reference(listed, resolved.request.source),
        listed=listed,
        digest=resolved.graph.root.digest,
        artifact_types=tuple(sorted(set(artifacts))),
        platforms=tuple(platforms),
        referrer_types=tuple(sorted(referrer_types)),
        unreadable=unreadable,
        resolved=resolved,
    )


def _create_image(image: ImageAtLocation) -> AuditedImage:
    """Create an image of which nothing was read."""
    reference = _find_reference(image.listed, image.request.source)
    digest = image.listed.digest if image.listed is not None else None
    return AuditedImage(image.name, reference, image.listed, digest)


def _find_reference(listed: BundledImage | None, source: Reference) -> ImageReference | None:
    """Return the name of an image in a registry; None if it has none."""
    if listed is not None:
        return listed.reference
    return source.image if isinstance(source, RepositoryReference) else None
