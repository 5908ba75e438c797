"""Decide which manifests and layers of an image to convert.

A conversion is requested by the user or required by the capabilities of the destination.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.copy.convert.conversion_plan import (
    ConversionPlan,
    ImageConversion,
    LayerConversion,
    is_encrypted,
)
from bundler.copy.convert.options import DIGESTS_PRESERVED, MANIFEST_TYPES
from bundler.errors import (
    CannotConvertError,
    FixedIndexError,
    FormatUnsupportedError,
    SingleImageDestinationError,
    UnsupportedLayerError,
)
from bundler.oci import manifest, media_types
from bundler.oci.manifest import ImageManifest, Index, Schema1

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.copy.convert.options import ConversionOptions, ManifestFormat
    from bundler.copy.image import Graph
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Capabilities

_PREFERRED = (media_types.DOCKER_MANIFEST, media_types.OCI_MANIFEST)
_DETECT_COMPRESSION = LayerConversion()


def decide_conversion(
    graph: Graph, capabilities: Capabilities, options: ConversionOptions, label: str
) -> ConversionPlan | None:
    """Decide how to convert the images of ``graph`` for a destination with ``capabilities``.

    The conversion plan does not contain configs yet; None: no conversion. ``label`` is the name of
    the image in messages.

    Raises:
        CannotConvertError: a conversion is required but not allowed or not possible.
        SingleImageDestinationError: the image is an index, which the destination cannot store.
    """
    decider = _Decider(capabilities, options, label)
    images: dict[Digest, ImageConversion] = {}
    indexes: list[Index] = []
    for item in graph.manifests:
        subject = f"{label}: manifest {item.descriptor.digest}"
        parsed = manifest.parse(item.raw, item.descriptor.media_type, subject=subject)
        if isinstance(parsed, Index):
            indexes.append(parsed)
        elif (conversion := decider.decide_image(parsed)) is not None:
            images[item.descriptor.digest] = conversion
    index_type = decider.decide_index_type(indexes, images) if indexes else None
    return ConversionPlan(images, index_type) if images or index_type else None


class _Decider:
    """Decides how to convert each manifest of an image."""

    def __init__(self, capabilities: Capabilities, options: ConversionOptions, label: str) -> None:
        self._capabilities = capabilities
        self._options = options
        self._label = label

    def decide_image(self, parsed: ImageManifest | Schema1) -> ImageConversion | None:
        """Decide how to convert an image; an artifact is never converted."""
        if isinstance(parsed, Schema1):
            return self._decide_schema1(parsed)
        if parsed.is_artifact:
            manifest_format, accepted = self._image_format, self._capabilities.manifests
            fits = accepted is None or parsed.media_type in accepted
            if fits and manifest_format is not None:
                fits = MANIFEST_TYPES[manifest_format] == parsed.media_type
            if not fits:
                artifact_type = parsed.artifact_type or parsed.config.media_type
                raise CannotConvertError(
                    f"{self._label}: cannot convert an artifact of type {artifact_type}",
                    reason="only images can be converted",
                    hint="copy it unchanged, to a registry, a layout or a directory",
                )
            return None
        for layer in parsed.layers if self._capabilities.only_tar_layers else ():
            media_type = layer.media_type
            if self._options.decryption is not None:
                media_type = media_type.removesuffix("+encrypted")
            if not media_types.is_tar_layer(media_type):
                raise UnsupportedLayerError(
                    f"{self._label}: layer {layer.digest}", media_type=layer.media_type
                )
        media_type = self._decide_manifest_type(parsed)
        layer_conversions = tuple(
            self._decide_layer(layer, position, len(parsed.layers))
            for position, layer in enumerate(parsed.layers)
        )
        if media_type == parsed.media_type and not any(layer_conversions):
            return None
        return ImageConversion(parsed, media_type, layer_conversions)

    def _decide_schema1(self, parsed: Schema1) -> ImageConversion | None:
        """Decide how to convert a schema 1 manifest.

        In another format, the config needs the diff ID of each layer. In the same format, the
        manifest changes only if it does not contain the target name.
        """
        media_type = self._decide_manifest_type(parsed)
        image = ImageConversion(parsed, media_type, ())
        if media_type in media_types.SCHEMA1:
            name = self._options.target_name
            renamed = (
                self._options.fixed_reason is None
                and name is not None
                and name.digest is None
                and (name.path, name.tag or parsed.tag) != (parsed.name, parsed.tag)
            )
            unchanged = (None,) * len(image.layers)
            return replace(image, layer_conversions=unchanged) if renamed else None
        layer_conversions = tuple(
            replace(self._decide_layer(layer, 0, 1) or _DETECT_COMPRESSION, diff_id=True)
            for layer in image.layers
        )
        return replace(image, layer_conversions=layer_conversions)

    def decide_index_type(
        self, indexes: Sequence[Index], images: Mapping[Digest, ImageConversion]
    ) -> str | None:
        """Decide on the media type of the indexes; None: unchanged."""
        if not self._capabilities.indexes:
            raise SingleImageDestinationError(
                self._label,
                hint="select one image with --platform OS/ARCH, or --multi-arch system",
            )
        accepted = self._capabilities.manifests
        candidates = [name for name in media_types.INDEXES if accepted and name in accepted]
        any_becomes_oci = any(
            image.changes_type and image.media_type == media_types.OCI_MANIFEST
            for image in images.values()
        )
        match self._options.manifest_format:
            case "oci":
                media_type = media_types.OCI_INDEX
            case "v2s2" | "v2s1":
                media_type = media_types.DOCKER_LIST
            case None if len(candidates) == 1:
                media_type = candidates[0]
            case None if any_becomes_oci:
                media_type = media_types.OCI_INDEX
            case _:
                return None
        if all(index.media_type == media_type for index in indexes):
            return None
        if self._options.fixed_reason is not None:
            raise FixedIndexError(
                self._label, media_type=media_type, reason=self._options.fixed_reason
            )
        return media_type

    @property
    def _image_format(self) -> ManifestFormat | None:
        """The requested format of the images; None: unchanged, unless the destination needs it."""
        options = self._options
        keeps_format = options.fixed_reason is not None and options.keep_fixed_images
        return None if keeps_format else options.manifest_format

    def _decide_manifest_type(self, parsed: ImageManifest | Schema1) -> str:
        manifest_format = self._image_format
        accepted = self._capabilities.manifests
        # Only OCI manifests support encrypted layers and zstd.
        oci_feature = None
        if self._options.encryption is not None:
            oci_feature = "encrypted"
        elif self._options.compression in ("zstd", "zstd:chunked"):
            oci_feature = "zstd"
        if manifest_format is not None:
            media_type = MANIFEST_TYPES[manifest_format]
            if oci_feature and media_type != media_types.OCI_MANIFEST:
                raise FormatUnsupportedError(
                    self._label,
                    feature=oci_feature,
                    media_type=media_type,
                    hint="use --format oci, or no --format",
                )
        elif oci_feature:
            media_type = media_types.OCI_MANIFEST
        elif accepted is None or parsed.media_type in accepted:
            media_type = parsed.media_type
        else:
            preferred = (name for name in _PREFERRED if name in accepted)
            media_type = next(preferred, parsed.media_type)
        if {media_type, parsed.media_type} <= media_types.SCHEMA1:
            media_type = parsed.media_type
        if accepted is not None and media_type not in accepted:
            raise CannotConvertError(
                f"{self._label}: the destination does not support {media_type}",
                reason="no format of the image is supported there",
            )
        if media_type != parsed.media_type:
            self._check_may_change(f"the manifest would become {media_type}")
        return media_type

    def _decide_layer(self, layer: Descriptor, position: int, count: int) -> LayerConversion | None:
        """Decide how to convert a layer; None: unchanged."""
        options = self._options
        if media_types.is_foreign(layer.media_type, layer.urls):
            return None
        conversion = self._decide_compression(layer)
        if is_encrypted(layer):
            if options.decryption is None:
                return None
            conversion = replace(conversion or _DETECT_COMPRESSION, decrypt=options.decryption)
        encryption = options.encryption
        if encryption is not None and (
            not encryption.layers or position in {index % count for index in encryption.layers}
        ):
            conversion = replace(conversion or _DETECT_COMPRESSION, encrypt=encryption.encrypt)
        if conversion is None:
            return None
        if conversion == _DETECT_COMPRESSION:
            return conversion if options.fixed_reason is None else None
        if (
            options.fixed_reason is not None
            and conversion.only_uncompressed
            and conversion.may_stay
        ):
            return None
        self._check_may_change(f"layer {layer.digest} would change")
        return replace(conversion, precompute=options.precompute)

    def _decide_compression(self, layer: Descriptor) -> LayerConversion | None:
        options = self._options
        if not media_types.is_tar_layer(layer.media_type.removesuffix("+encrypted")):
            return None
        if self._capabilities.layers == "uncompressed" or options.compression == "none":
            return LayerConversion("uncompressed")
        if options.compression is not None:
            return LayerConversion(
                "compressed",
                options.compression,
                options.level,
                only_uncompressed=options.only_uncompressed,
                force=options.force_compression or options.compression == "zstd:chunked",
            )
        if not options.compress_uncompressed or self._capabilities.layers == "any":
            return None
        if options.accept_uncompressed:
            return _DETECT_COMPRESSION
        return LayerConversion("compressed", "gzip", options.level, only_uncompressed=True)

    def _check_may_change(self, change: str) -> None:
        if self._options.fixed_reason is not None:
            reason = self._options.fixed_reason
            hint = "leave out --preserve-digests" if reason == DIGESTS_PRESERVED else None
            raise CannotConvertError(f"{self._label}: {change}", reason=reason, hint=hint)
