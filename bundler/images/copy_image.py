"""Copy one image, with its referrers and signatures, from a source to a destination."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from bundler import transports
from bundler.copy.convert.options import NO_CONVERSION, ConversionOptions, ManifestFormat
from bundler.copy.engine import EngineOptions, ExecutionResult, execute
from bundler.copy.image import ImageRequest, SignaturePolicy
from bundler.copy.plan import Plan, create_plan
from bundler.copy.planned_image import PlannedImage
from bundler.copy.resolving.platform_selection import EVERYTHING, PlatformSelection
from bundler.copy.resolving.resolve import resolve
from bundler.errors import (
    BundlerError,
    CancelledError,
    DigestConflictError,
    RegistryError,
    UnnamedDestinationError,
)
from bundler.events import ImageDigests, ImageResolved, Notice
from bundler.oci import manifest, media_types
from bundler.oci.manifest import ImageManifest, Index, Visit, walk
from bundler.ports import RepositoryReference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bundler.copy.image import Graph, ResolvedImage
    from bundler.events import TransferTotals
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind
    from bundler.oci.reference import ImageReference
    from bundler.ports import Destination, OpenOptions, Reference
    from bundler.signature_ports import PolicyCheck, SignManifest

_FALLBACK_FORMATS: tuple[ManifestFormat, ...] = ("v2s2", "oci")
_MEDIA_TYPES: Mapping[ManifestFormat, frozenset[str]] = {
    "v2s2": frozenset({media_types.DOCKER_MANIFEST, media_types.DOCKER_LIST}),
    "oci": frozenset({media_types.OCI_MANIFEST, media_types.OCI_INDEX}),
}


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """The parts of an image to copy, and their conversion."""

    selection: PlatformSelection = EVERYTHING
    referrers: bool = False
    conversion: ConversionOptions = NO_CONVERSION
    signatures: SignaturePolicy = "all"
    sign_manifest: SignManifest | None = None
    """Signs the manifests of each copy; None: they are not signed."""
    sign_identity: str | None = None
    """The reference to sign; None: the name of the image at the destination."""

    def create_request(self, source: Reference, *, reads_platform: bool = True) -> ImageRequest:
        """Create the request for the image at ``source``."""
        return ImageRequest(
            source,
            selection=self.selection,
            referrers="all" if self.referrers else "none",
            signatures=self.signatures,
            reads_platform=reads_platform,
        )

    def create_signer(
        self, destination: Reference, target_name: ImageReference | None
    ) -> Callable[[Descriptor, bytes], Sequence[bytes]] | None:
        """Create the function that signs a copy with the name ``target_name`` at ``destination``.

        Raises:
            UnnamedDestinationError: there is no reference to sign.
        """
        if self.sign_manifest is None:
            return None
        if self.sign_identity is not None:
            return partial(self.sign_manifest, self.sign_identity)
        if target_name is None:
            raise UnnamedDestinationError(
                str(destination),
                hint="choose a destination with image names, or name the image with --sign-identity"
                " of copy",
            )
        return partial(self.sign_manifest, str(target_name.with_default_tag()))


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """The image to copy, and its destination."""

    source: Reference
    destination: Reference
    transfer: TransferOptions = field(default_factory=TransferOptions)
    additional_names: tuple[str, ...] = ()
    """Names for the image at the destination, in addition to the one in ``destination``."""

    def with_signer(self, sign_manifest: SignManifest | None) -> Self:
        """Return the request with another signer."""
        return replace(self, transfer=replace(self.transfer, sign_manifest=sign_manifest))


@dataclass(frozen=True, slots=True)
class CopyReport:
    """The result of a copy, or of a dry run."""

    destination: str
    image: ResolvedImage
    totals: TransferTotals
    """The blobs that were transferred; in a dry run, as planned."""
    omitted: int = 0
    """The number of foreign layers that are not copied, because the destination accepts URLs."""

    @property
    def root(self) -> Descriptor:
        """The root at the destination."""
        return self.image.graph.root

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON; sizes are in bytes."""
        return {
            "source": self.image.display_name,
            "destination": self.destination,
            "digest": self.root.digest.text,
            "mediaType": self.root.media_type,
            "replaces": self.image.replaces and self.image.replaces.text,
            "platforms": [str(platform) for platform in self.image.graph.platforms],
            "referrers": [item.graph.root.digest.text for item in self.image.referrers],
            **self.totals.to_json(),
            **({"omittedLayers": self.omitted} if self.omitted else {}),
        }


def copy_image(
    request: CopyRequest,
    source_options: OpenOptions,
    destination_options: OpenOptions,
    engine: EngineOptions,
    *,
    policy_check: PolicyCheck | None = None,
    dry_run: bool = False,
) -> CopyReport:
    """Copy an image, or with ``dry_run``, only create the plan.

    ``policy_check`` rejects images that the policy does not accept; None: no check.

    Raises:
        BundlerError: the image was not copied, or a name could not be published.
    """
    reference = request.destination
    target_name = reference.image if isinstance(reference, RepositoryReference) else None
    sign = request.transfer.create_signer(reference, target_name)
    with ExitStack() as stack:
        source = transports.open_source(request.source, source_options)
        stack.enter_context(closing(source))
        image = resolve(
            request.transfer.create_request(request.source), source, policy_check, engine.emit
        )
        # In an index.json, only entries that are copied from an index have a platform.
        root = replace(image.graph.root, platform=None)
        image = replace(image, graph=replace(image.graph, root=root))
        destination = transports.open_destination(reference, destination_options)
        stack.enter_context(closing(destination))
        engine.emit(create_resolved_event(image.graph, image.signatures))
        if target_name is not None and target_name.digest not in (None, root.digest):
            raise DigestConflictError(
                str(reference),
                expected=str(target_name.digest),
                got=root.digest.text,
                hint="remove the digest from the destination",
            )
        planned = PlannedImage(
            image,
            destination,
            (*((reference.name,) if reference.name else ()), *request.additional_names),
            options=request.transfer.conversion.for_endpoints(source, target_name),
            sign=sign,
        )
        plan = create_plan([planned], engine.executor, engine.cancellation)
        if dry_run:
            return CopyReport(str(reference), image, plan.totals, len(plan.foreign))
        result = _execute(plan, planned, engine)
    copied = result.published[0].image
    return CopyReport(str(reference), copied, result.totals, len(plan.foreign))


def _execute(
    plan: Plan[Destination], planned: PlannedImage[Destination], engine: EngineOptions
) -> ExecutionResult:
    """Execute ``plan``; if the destination rejects the manifest type, convert the manifest."""
    try:
        return execute(plan, engine)
    except RegistryError as error:
        options = planned.options or NO_CONVERSION
        may_convert = options.fixed_reason is None and options.manifest_format is None
        # Registries report an unsupported media type in one of these ways.
        rejected = error.status == 415 or {"MANIFEST_INVALID", "TAG_INVALID"} & set(error.codes)
        if not may_convert or planned.image.referrers or not rejected:
            raise
        media_type = planned.image.graph.root.media_type
        for manifest_format in _FALLBACK_FORMATS:
            if media_type in _MEDIA_TYPES[manifest_format]:
                continue
            engine.emit(
                Notice(f"the destination rejects {media_type}: converting to {manifest_format}")
            )
            # The layers are not pushed again: they are present when the second plan is created.
            converted = replace(planned, options=replace(options, manifest_format=manifest_format))
            try:
                plan = create_plan([converted], engine.executor, engine.cancellation)
                return execute(plan, engine)
            except CancelledError:
                raise
            except BundlerError:
                continue
        raise


def create_resolved_event(
    graph: Graph, signatures: Mapping[Digest, Sequence[bytes]] | None = None
) -> ImageResolved:
    """Create the event that reports the images and layers of ``graph`` before they are copied.

    The images are in the order of the index. A nested index is replaced by its images.
    ``signatures`` are those that are copied from the source; None: none.
    """
    counts = {digest: len(found) for digest, found in (signatures or {}).items()}
    manifests = {
        item.descriptor.digest: manifest.parse(item.raw, item.descriptor.media_type)
        for item in graph.manifests
    }

    def list_children(visit: Visit) -> Sequence[tuple[Descriptor, Kind]]:
        parsed = manifests.get(visit.descriptor.digest)
        return manifest.list_children(parsed) if isinstance(parsed, Index) else ()

    images = []
    for visit in walk([graph.root], list_children):
        digest = visit.descriptor.digest
        parsed = manifests.get(digest)
        if isinstance(parsed, ImageManifest):
            layers = tuple(layer.digest.text for layer in parsed.layers)
            config = parsed.config.digest.text
            images.append(ImageDigests(digest.text, config, layers, counts.get(digest, 0)))
        elif parsed is not None and not isinstance(parsed, Index):
            layers = tuple(blob.text for blob in parsed.blobs)
            images.append(ImageDigests(digest.text, "", layers, counts.get(digest, 0)))
    root = manifests[graph.root.digest]
    if not isinstance(root, Index):
        return ImageResolved(tuple(images))
    return ImageResolved(tuple(images), len(root.manifests), counts.get(graph.root.digest, 0))
