"""Look at one image or artifact, without its layers.

Of a list, what is shown is the image for one platform, but under the list's own digest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.copy import platform_selection
from bundler.copy.resolve import MAX_DEPTH, fetch
from bundler.errors import DeniedError, LimitError, NotFoundError, UnsupportedError
from bundler.events import WarningIssued
from bundler.gocompat.values import (
    NIL,
    NIL_SLICE,
    ZERO_TIME,
    Member,
    Struct,
    Value,
    string_map,
    strings,
)
from bundler.oci import config_struct, manifest, media_types
from bundler.oci.descriptor import SIZE_UNKNOWN, Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest, Index
from bundler.oci.schema1.manifest import Schema1
from bundler.ports import InRepository, KeepsOriginalManifests, ListsTags, RegistryRepository

if TYPE_CHECKING:
    from bundler.events import Emit
    from bundler.oci.platform import Platform
    from bundler.ports import Reference, Source


_NO_SUCH_PAGE = "404 page not found"


@dataclass(frozen=True, slots=True)
class ImageRoot:
    """What a reference leads to: its root's bytes, and where the rest can be read."""

    source: Source
    reference: Reference
    root: Descriptor
    raw: bytes = field(repr=False)

    def compute_digest(self, algorithm: str | None = None) -> Digest:
        """The root's digest, by ``algorithm`` where that is not the root's own."""
        if algorithm in (None, self.root.digest.algorithm):
            return self.root.digest
        return Digest.of(self.raw, algorithm)


def read_root(source: Source, reference: Reference) -> ImageRoot:
    """Read the root that ``reference`` names, whatever it is.

    Raises:
        NotFoundError: there is no such image.
        IntegrityError: its bytes are not those of its digest.
    """
    if isinstance(source, KeepsOriginalManifests):
        root = source.stored_manifest(reference.name)
    else:
        root = source.resolve(reference.name)
    return ImageRoot(source, reference, root, fetch(source, root, str(reference)))


def select_image(found: ImageRoot, platform: Platform) -> ImageManifest:
    """As ``any_instance``, an image that has a config.

    Raises:
        UnsupportedError: its manifest is of schema 1, which has none.
    """
    parsed = select_manifest(found, platform)
    if isinstance(parsed, Schema1):
        raise UnsupportedError(
            f"{found.reference}: a manifest of Docker's schema 1 has no config",
            hint="--raw shows the manifest",
        )
    return parsed


def select_manifest(found: ImageRoot, platform: Platform) -> ImageManifest | Schema1:
    """The image itself, or of a list the one that runs best on ``platform``.

    Raises:
        NotFoundError: none runs there.
        UnsupportedError: it is no image and no artifact.
    """
    descriptor, raw = found.root, found.raw
    for _ in range(MAX_DEPTH + 1):
        what = f"{found.reference}: manifest {descriptor.digest}"
        parsed = manifest.parse(raw, descriptor.media_type, subject=what)
        if not isinstance(parsed, Index):
            return parsed
        descriptor = platform_selection.instance(parsed, platform, str(found.reference))
        raw = fetch(found.source, descriptor, str(found.reference))
    raise LimitError(f"{found.reference}: indexes nested deeper than {MAX_DEPTH} levels")


def raw_config(found: ImageRoot, image: ImageManifest) -> bytes:
    """The verified bytes of an image's configuration, or of an artifact's counterpart.

    Raises:
        IntegrityError: the bytes do not match their digest or size.
        LimitError: the configuration is larger than allowed.
    """
    return fetch(found.source, image.config, str(found.reference), kind="config")


def read_config(found: ImageRoot, image: ImageManifest) -> Struct:
    """An image's configuration.

    Raises:
        UnsupportedError: it is an artifact, which has none.
    """
    if image.is_artifact:
        raise UnsupportedError(
            f"{found.reference}: an artifact ({_artifact_type(image)}) has no image's config",
            hint="--config --raw shows what it has in its place",
        )
    return _config(found, image)[0]


def create_summary(
    found: ImageRoot, image: ImageManifest | Schema1, tags: Value, algorithm: str | None = None
) -> Struct:
    """What is worth knowing of an image or an artifact; ``tags`` are its repository's."""
    head = (
        Member("Name", _name(found.reference), omit_empty=True),
        Member("Tag", image.tag if isinstance(image, Schema1) else "", omit_empty=True),
        Member("Digest", found.compute_digest(algorithm).text),
        Member("RepoTags", tags),
    )
    if isinstance(image, Schema1):
        return _schema1_summary(head, image, str(found.reference))
    layers = (
        Member("Layers", strings([layer.digest.text for layer in image.layers])),
        Member("LayersData", _layers_data(image), omit_empty=True),
    )
    if image.is_artifact:
        subject = "" if image.subject is None else image.subject.digest.text
        about = (
            Member("ArtifactType", _artifact_type(image)),
            Member("ConfigType", image.config.media_type),
            Member("Subject", subject, omit_empty=True),
            Member("Annotations", string_map(image.annotations)),
        )
        return Struct("inspect.Artifact", (*head, *about, *layers))
    known, docker_version = _config(found, image)
    if _of(known, "Created") is NIL and image.media_type == media_types.DOCKER_MANIFEST:
        return _output(head, known, docker_version, layers, created=ZERO_TIME)
    return _output(head, known, docker_version, layers)


def list_repository_tags(source: Source, emit: Emit) -> Value:
    """All tags of the repository that ``source`` reads; empty where it reads something else.

    Nil, and a warning, where the registry does not tell them to us.
    """
    if not (isinstance(source, RegistryRepository) and isinstance(source, ListsTags)):
        return []
    try:
        return strings(source.tags())
    except (DeniedError, NotFoundError) as error:
        if not _tells_no_tags(error):
            raise
        emit(WarningIssued(f"the registry does not list tags: {error}"))
        return NIL_SLICE


def _config(found: ImageRoot, image: ImageManifest) -> tuple[Struct, str]:
    what = f"{found.reference}: config {image.config.digest}"
    return config_struct.parse(raw_config(found, image), subject=what)


def _of(struct: Struct, name: str) -> Value:
    value = struct.get(name)
    return NIL if value is None else value


def _output(
    head: tuple[Member, ...],
    known: Struct,
    docker_version: str,
    layers: tuple[Member, ...],
    *,
    created: Value | None = None,
) -> Struct:
    inner = _of(known, "Config")
    assert isinstance(inner, Struct)  # noqa: S101 - oci_config makes it one
    facts = (
        Member("Created", _of(known, "Created") if created is None else created),
        Member("DockerVersion", docker_version),
        Member("Labels", _of(inner, "Labels")),
        Member("Architecture", _of(known, "Architecture")),
        Member("Os", _of(known, "OS")),
    )
    return Struct("inspect.Output", (*head, *facts, *layers, Member("Env", _of(inner, "Env"))))


def _schema1_summary(head: tuple[Member, ...], image: Schema1, what: str) -> Struct:
    """Its topmost layer says what is known of it, in the words of a config."""
    known, docker_version = config_struct.parse(image.entries[-1].v1.encode(), subject=what)
    blobs = [entry.blob for entry in image.entries]
    layers = (
        Member("Layers", strings([blob.text for blob in blobs])),
        Member(
            "LayersData",
            [_layer(Descriptor("", blob, SIZE_UNKNOWN), annotated=False) for blob in blobs],
        ),
    )
    created = ZERO_TIME if _of(known, "Created") is NIL else None
    return _output(head, known, docker_version, layers, created=created)


def _name(reference: Reference) -> str:
    image = reference.image if isinstance(reference, InRepository) else None
    return "" if image is None else image.repository


def _artifact_type(image: ImageManifest) -> str:
    return image.artifact_type or image.config.media_type


def _layers_data(image: ImageManifest) -> Value:
    annotated = image.media_type == media_types.OCI_MANIFEST
    return [_layer(layer, annotated=annotated) for layer in image.layers]


def _layer(layer: Descriptor, *, annotated: bool) -> Struct:
    return Struct(
        "types.ImageInspectLayer",
        (
            Member("MIMEType", layer.media_type),
            Member("Digest", layer.digest.text),
            Member("Size", layer.size),
            Member("Annotations", string_map(layer.annotations if annotated else {})),
        ),
    )


def _tells_no_tags(error: DeniedError | NotFoundError) -> bool:
    """Some registries keep the list to those with a right of its own; others have none at all.

    The first answer DENIED; the second with the page of Go's server for a path that it does not
    have, which is no error document of the distribution specification.
    """
    if isinstance(error, DeniedError):
        return "DENIED" in error.codes
    return error.exchange is not None and error.exchange.body.startswith(_NO_SUCH_PAGE)
