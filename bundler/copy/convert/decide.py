"""Decide what of an image has to change, for what was asked and for what the destination takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.copy.convert.conversion_plan import ConversionPlan, ImageConversion, is_encrypted
from bundler.copy.convert.options import MANIFEST_TYPES, LayerConversion
from bundler.errors import (
    CannotConvertError,
    FormatUnsupportedError,
    SingleImageDestinationError,
)
from bundler.oci import manifest, media_types
from bundler.oci.manifest import ImageManifest, Index
from bundler.oci.schema1.manifest import Schema1

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.copy.convert.options import ConversionOptions
    from bundler.copy.graph import Graph
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Accepts

_PREFERRED = (media_types.DOCKER_MANIFEST, media_types.OCI_MANIFEST)
_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
_AS_FOUND = LayerConversion()


def decide(
    graph: Graph, accepts: Accepts, changes: ConversionOptions, label: str
) -> ConversionPlan | None:
    """What has to change for ``accepts`` and ``changes``; None: nothing.

    Args:
        graph: the image, or all images of an index.
        accepts: what the destination takes.
        changes: what was asked for.
        label: how messages name the image.

    Raises:
        CannotConvertError: it has to change and may not, or there is no form that fits.
    """
    deciding = _Decider(accepts, changes, label)
    images: dict[Digest, ImageConversion] = {}
    indexes: list[Index] = []
    for item in graph.manifests:
        what = f"{label}: manifest {item.descriptor.digest}"
        parsed = manifest.parse(item.raw, item.descriptor.media_type, subject=what)
        if isinstance(parsed, Index):
            indexes.append(parsed)
        elif (recipe := deciding.image(parsed)) is not None:
            images[item.descriptor.digest] = recipe
    list_type = deciding.list_type(indexes, images) if indexes else None
    return ConversionPlan(images, list_type) if images or list_type else None


class _Decider:
    """Looks at each manifest in turn."""

    def __init__(self, accepts: Accepts, changes: ConversionOptions, label: str) -> None:
        self._accepts = accepts
        self._changes = changes
        self._label = label

    def image(self, parsed: ImageManifest | Schema1) -> ImageConversion | None:
        """What becomes of an image; an artifact stays as it is."""
        if isinstance(parsed, Schema1):
            return self._schema1(parsed)
        if parsed.is_artifact:
            self._check_artifact(parsed)
            return None
        media_type = self._manifest_type(parsed)
        treatments = tuple(
            self._treatment(layer, position, len(parsed.layers))
            for position, layer in enumerate(parsed.layers)
        )
        if media_type == parsed.media_type and not any(treatments):
            return None
        return ImageConversion(parsed, media_type, treatments)

    def _schema1(self, parsed: Schema1) -> ImageConversion | None:
        """As above: it gets a config if it leaves schema 1, and its name there if it stays."""
        media_type = self._manifest_type(parsed)
        recipe = ImageConversion(parsed, media_type, ())
        if media_type in media_types.SCHEMA1:
            renames = self._changes.fixed_reason is None and self._is_called_otherwise(parsed)
            return (
                replace(recipe, layer_conversions=(None,) * len(recipe.layers)) if renames else None
            )
        treatments = tuple(
            replace(self._treatment(layer, 0, 1) or _AS_FOUND, diff_id=True)
            for layer in recipe.layers
        )
        return replace(recipe, layer_conversions=treatments)

    def _is_called_otherwise(self, parsed: Schema1) -> bool:
        name = self._changes.target_name
        if name is None or name.digest is not None:
            return False
        return (name.path, name.tag or parsed.tag) != (parsed.name, parsed.tag)

    def list_type(
        self, indexes: Sequence[Index], images: Mapping[Digest, ImageConversion]
    ) -> str | None:
        """What indexes become, if not all of them stay what they are."""
        if not self._accepts.indexes:
            raise SingleImageDestinationError(
                self._label,
                hint="choose one image with --platform OS/ARCH, or --multi-arch system",
            )
        wanted = self._wanted_list_type(images)
        if all(index.media_type == wanted or wanted is None for index in indexes):
            return None
        self._may_change(f"its index would become {wanted}")
        return wanted

    def _wanted_list_type(self, images: Mapping[Digest, ImageConversion]) -> str | None:
        match self._changes.manifest_format:
            case "oci":
                return media_types.OCI_INDEX
            case "v2s2" | "v2s1":
                return media_types.DOCKER_LIST
            case None:
                pass
        accepted = self._accepts.manifests
        if accepted is not None:
            taken = [kind for kind in media_types.INDEXES if kind in accepted]
            if len(taken) == 1:
                return taken[0]
        became_oci = any(
            recipe.changes_type and recipe.media_type == media_types.OCI_MANIFEST
            for recipe in images.values()
        )
        return media_types.OCI_INDEX if became_oci else None

    def _manifest_type(self, parsed: ImageManifest | Schema1) -> str:
        wanted = self._changes.manifest_format
        needs_oci = self._needs_oci()
        if wanted is None:
            media_type = media_types.OCI_MANIFEST if needs_oci else self._nearest(parsed.media_type)
        else:
            media_type = MANIFEST_TYPES[wanted]
            if needs_oci and media_type != media_types.OCI_MANIFEST:
                raise FormatUnsupportedError(
                    self._label,
                    feature=needs_oci,
                    media_type=media_type,
                    hint="leave --format out, or ask for --format oci",
                )
        if {media_type, parsed.media_type} <= media_types.SCHEMA1:
            media_type = parsed.media_type
        self._check_taken(media_type)
        if media_type != parsed.media_type:
            self._may_change(f"its manifest would become {media_type}")
        return media_type

    def _needs_oci(self) -> str | None:
        """The requested form of layers that only OCI manifests support."""
        if self._changes.encryption is not None:
            return "encrypted"
        compression = self._changes.compression or ""
        return "zstd" if compression.startswith("zstd") else None

    def _nearest(self, media_type: str) -> str:
        accepted = self._accepts.manifests
        if accepted is None or media_type in accepted:
            return media_type
        return next((kind for kind in _PREFERRED if kind in accepted), media_type)

    def _check_artifact(self, parsed: ImageManifest) -> None:
        wanted = self._changes.manifest_format
        accepted = self._accepts.manifests
        fits = accepted is None or parsed.media_type in accepted
        if not fits or (wanted is not None and MANIFEST_TYPES[wanted] != parsed.media_type):
            raise CannotConvertError(
                f"{self._label}: an artifact ({parsed.artifact_type or parsed.config.media_type})",
                reason="only images can be converted",
                hint="copy it as it is, to a registry, a layout or a directory",
            )

    def _check_taken(self, media_type: str) -> None:
        accepted = self._accepts.manifests
        if accepted is not None and media_type not in accepted:
            raise CannotConvertError(
                f"{self._label}: the destination does not take {media_type}",
                reason="there is no form of it that the destination takes",
            )

    def _treatment(self, layer: Descriptor, position: int, count: int) -> LayerConversion | None:
        """What becomes of a layer: forms first, then secrecy."""
        changes = self._changes
        if layer.media_type in media_types.FOREIGN_LAYERS and layer.urls:
            return None
        treatment = self._form(layer)
        unseal = changes.decryption if is_encrypted(layer) else None
        if unseal is not None:
            treatment = replace(treatment or _AS_FOUND, decrypt=unseal)
        elif is_encrypted(layer):
            return None
        secret = changes.encryption
        if secret is not None and (
            not secret.layers or position in {index % count for index in secret.layers}
        ):
            treatment = replace(treatment or _AS_FOUND, encrypt=secret.encrypt)
        if treatment is None:
            return None
        if treatment == _AS_FOUND:
            return treatment if changes.fixed_reason is None else None
        if changes.fixed_reason is not None and treatment.only_uncompressed and treatment.may_stay:
            return None
        self._may_change(f"its layer {layer.digest} would change")
        return replace(treatment, precompute=changes.precompute)

    def _form(self, layer: Descriptor) -> LayerConversion | None:
        changes = self._changes
        if not layer.media_type.startswith(_LAYERS):
            return None
        if self._accepts.layers == "uncompressed" or changes.compression == "none":
            return LayerConversion("uncompressed")
        if changes.compression is not None:
            return LayerConversion(
                "compressed",
                changes.compression,
                changes.level,
                only_uncompressed=changes.only_uncompressed,
                force=changes.force_compression or changes.compression == "zstd:chunked",
            )
        if not changes.compress_uncompressed or self._accepts.layers == "any":
            return None
        if changes.accept_uncompressed:
            return _AS_FOUND
        return LayerConversion("compressed", "gzip", changes.level, only_uncompressed=True)

    def _may_change(self, what: str) -> None:
        if self._changes.fixed_reason is not None:
            raise CannotConvertError(f"{self._label}: {what}", reason=self._changes.fixed_reason)
