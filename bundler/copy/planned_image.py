"""One image of a plan: its destination, its names and signatures there, and its conversion."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from bundler.errors import CannotConvertError, SignaturesUnsupportedError
from bundler.oci import media_types
from bundler.ports import Holdings, Node, Publication, Source
from bundler.signature_ports import ChecksSignatures, StoresSignatures

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from bundler.copy.convert.conversion_plan import ConversionPlan, LayerChange
    from bundler.copy.convert.options import ConversionOptions
    from bundler.copy.image import Referrer, ResolvedImage
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest

HoldingsT_co = TypeVar("HoldingsT_co", bound=Holdings, covariant=True)


@dataclass(frozen=True, slots=True)
class PlannedImage(Generic[HoldingsT_co]):
    """One resolved image, its destination, and its names there."""

    image: ResolvedImage
    destination: HoldingsT_co
    names: tuple[str, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Annotations that are published with the names."""
    referrer_names: Mapping[Digest, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Names of referrers by the digest of their root; by default, a referrer keeps its tag."""
    options: ConversionOptions | None = None
    """The requested conversion; None: only what the destination requires."""
    fixed_reason: str | None = None
    """The reason why no digest may change, regardless of ``options``; None: digests may change."""
    presupposed: Collection[Digest] = frozenset()
    """The blobs that are not transferred, because the destination of the images has them."""
    conversion: ConversionPlan | None = None
    """The conversion, set by ``create_plan``; None: the image is copied unchanged."""
    sign: Callable[[Descriptor, bytes], Sequence[bytes]] | None = None
    """Returns new signatures of a manifest of the image; None: no manifest is signed."""

    def decide_conversion(self) -> ConversionPlan | None:
        """Decide how to convert the image; the configs that this requires are not read yet.

        Raises:
            CannotConvertError: the image needs a conversion that is impossible or not allowed.
            SignaturesUnsupportedError: the destination cannot store the signatures of the image.
        """
        image, options, reason = self.image, self.options, self.fixed_reason
        destination: Holdings = self.destination
        capabilities = destination.capabilities
        stores_signatures = isinstance(destination, StoresSignatures)
        if self.sign is not None and not stores_signatures:
            raise SignaturesUnsupportedError(
                f"{image.display_name}: the destination cannot store signatures",
                reason="signing",
                hint="copy the image without signing it",
            )
        if image.signatures:
            if not stores_signatures:
                raise SignaturesUnsupportedError(
                    f"{image.display_name}: the destination cannot store the signatures of"
                    " the image",
                    reason="signed",
                    hint="copy the image without its signatures: --remove-signatures",
                )
            if isinstance(destination, ChecksSignatures):
                for digest, signatures in image.signatures.items():
                    destination.check_signatures(digest, signatures)
            reason = reason or "it is signed; remove the signatures with --remove-signatures"
        types = {item.descriptor.media_type for item in image.graph.manifests}
        supported = media_types.BY_DIGEST if capabilities.indexes else media_types.IMAGE_MANIFESTS
        if capabilities.manifests is not None:
            supported &= capabilities.manifests
        any_layers = capabilities.layers != "uncompressed" and not capabilities.only_tar_layers
        is_accepted = types <= supported and any_layers
        if is_accepted and (options is None or not options.changes_images):
            return None
        from bundler.copy.convert.decide import decide_conversion  # noqa: PLC0415 - rarely needed
        from bundler.copy.convert.options import NO_CONVERSION  # noqa: PLC0415 - as above

        options = options or NO_CONVERSION
        options = replace(options, fixed_reason=options.fixed_reason or reason)
        conversion = decide_conversion(image.graph, capabilities, options, image.display_name)
        if conversion is not None and image.referrers:
            raise CannotConvertError(
                f"{image.display_name}: its digest would change",
                reason="its referrers refer to the current digest",
                hint="copy it without referrers, or without conversion",
            )
        return conversion

    def list_names(self, referrer: Referrer) -> tuple[str, ...]:
        """Return the names to publish for a referrer."""
        tags = (referrer.tag,) if referrer.tag else ()
        return self.referrer_names.get(referrer.graph.root.digest, tags)

    def list_signatures(self) -> Iterator[tuple[Digest, tuple[bytes, ...]]]:
        """Yield the signatures to store for each manifest: those of the source, then new ones."""
        for item in self.image.graph.manifests:
            descriptor = item.descriptor
            signatures = self.image.signatures.get(descriptor.digest, ())
            if self.sign is not None:
                signatures += tuple(self.sign(descriptor, item.raw))
            if signatures:
                yield descriptor.digest, signatures

    def list_publications(self) -> Iterator[Publication]:
        """Yield the roots and names to commit: the image, then its referrers."""
        yield Publication(self.image.graph.root, self.names, self.annotations)
        for referrer in self.image.referrers:
            names = self.list_names(referrer)
            yield Publication(referrer.graph.root, names, is_referrer=True)

    def find_source(self, node: Node) -> Source | None:
        """Return the source of a blob; None: it is a foreign layer that is not copied."""
        image = self.image
        if not node.urls:
            return image.get_source(node.digest)
        if image.foreign_sources is not None and node.digest is not None:
            return image.foreign_sources.get(node.digest)
        destination: Holdings = self.destination
        return None if destination.capabilities.omits_foreign_layers else image.source

    def list_blobs(self) -> Iterator[tuple[Node, LayerChange | None]]:
        """Yield each blob to copy, with its conversion; configs that are rewritten are omitted."""
        replaced: set[Digest | None] = {*self.presupposed}
        if self.conversion is not None:
            for image in self.conversion.images.values():
                if image.config is not None and image.changes_type:
                    replaced.add(image.config.digest)
            for change in self.conversion.find_layer_changes():
                replaced.add(change.layer.digest)
                yield Node.of(change.layer, "layer"), change
        for graph in self.image.graphs:
            for node in graph.blobs:
                if node.digest not in replaced:
                    yield node, None
