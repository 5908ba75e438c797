"""Inspect an image or artifact without reading its layers, and list the tags of a repository.

For an index, the image of one platform is inspected, but the digest is that of the index.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler import transports
from bundler.copy.resolving.fetch import MAX_DEPTH, fetch, read_signatures
from bundler.errors import (
    DeniedError,
    LimitError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from bundler.events import WarningIssued
from bundler.gocompat.values import (
    NIL,
    NIL_SLICE,
    ZERO_TIME,
    Struct,
    StructField,
    Value,
    to_map,
    to_slice,
)
from bundler.images.format_output import format_struct
from bundler.oci import go_structs, manifest, media_types
from bundler.oci.descriptor import SIZE_UNKNOWN, Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest, Index, Schema1
from bundler.ports import KeepsOriginalManifests, ListsTags, RegistryRepository, RepositoryReference

if TYPE_CHECKING:
    from bundler.events import Emit
    from bundler.oci.platform import Platform
    from bundler.ports import OpenOptions, Reference, Source
    from bundler.signature_ports import PolicyCheck

_GO_NOT_FOUND_PAGE = "404 page not found"


@dataclass(frozen=True, slots=True)
class InspectRequest:
    """The image to inspect, and the output format."""

    reference: Reference
    platform: Platform
    """Selects the image of an index."""
    raw: bool = False
    """Return the unchanged bytes of the manifest, or with ``config``, of the config."""
    config: bool = False
    """Return the config instead of a summary."""
    template: str | None = None
    """The Go template for the output; None: indented JSON."""
    tags: bool = True
    """Include the tags of the repository."""
    algorithm: str | None = None
    """The hash algorithm of the digest in the output; None: the algorithm of the root's digest."""
    raw_of_platform: bool = False
    """With ``raw``: return the manifest for ``platform`` instead of the index."""


def inspect_image(request: InspectRequest, options: OpenOptions) -> bytes:
    """Return the output of ``inspect`` for an image or artifact.

    Raises:
        NotFoundError: the image does not exist, or is not available for the platform.
        UnsupportedError: a config is requested, but the image has none.
        UsageError: the template is invalid.
    """
    reference, platform = request.reference, request.platform
    with closing(transports.open_source(reference, options)) as source:
        root = read_root(source, reference)
        if request.raw and not request.config:
            return select_image(root, platform).raw if request.raw_of_platform else root.raw
        if not request.config:
            manifest = select_manifest(root, platform)
            tags = list_repository_tags(source, options.emit) if request.tags else []
            summary = create_summary(root, manifest, tags, request.algorithm)
            return format_struct(summary, request.template)
        image = select_image(root, platform)
        if request.raw:
            return root.read_config(image)
        return format_struct(read_config(root, image), request.template)


def list_tags(reference: Reference, options: OpenOptions) -> bytes:
    """Return a JSON document with the names in a repository, an archive or a layout.

    Raises:
        UnsupportedError: images of this transport have no names.
        UsageError: ``reference`` has a tag or a digest.
    """
    with closing(transports.open_source(reference, options)) as source:
        if not isinstance(source, ListsTags):
            raise UnsupportedError(
                f"{reference}: transport {reference.transport} cannot list names",
                hint="use docker://, oci: or docker-archive:",
            )
        image = None
        if isinstance(source, RegistryRepository) and isinstance(reference, RepositoryReference):
            image = reference.image
        if image is not None and image.version is not None:
            raise UsageError(
                f"{reference}: expected a repository, got a single image",
                hint=f"remove the tag or digest: {reference.transport}://{image.repository}",
            )
        names = Struct(
            "tagListOutput",
            (
                StructField("Repository", image.repository if image else "", omit_empty=True),
                StructField("Tags", to_slice(source.tags())),
            ),
        )
    return format_struct(names)


@dataclass(frozen=True, slots=True)
class ImageRoot:
    """The root to which a reference resolves, with the open source from which it was read."""

    source: Source
    reference: Reference
    root: Descriptor
    raw: bytes = field(repr=False)

    def check(self, policy_check: PolicyCheck | None, digest: Digest, raw: bytes) -> None:
        """Check the root, or an image of an index, by the policy; None: no check."""
        if policy_check is not None:
            policy_check.check_manifest(
                str(self.reference), raw, lambda: read_signatures(self.source, digest)
            )

    def read_config(self, image: ImageManifest) -> bytes:
        """Read and verify the config of an image, or of an artifact.

        Raises:
            IntegrityError: the bytes do not match their digest or size.
            LimitError: the config is larger than allowed.
        """
        return fetch(self.source, image.config, str(self.reference), kind="config")


def read_root(source: Source, reference: Reference) -> ImageRoot:
    """Read the manifest or index to which ``reference`` resolves.

    Raises:
        NotFoundError: the image does not exist.
        IntegrityError: the bytes do not match the digest.
    """
    if isinstance(source, KeepsOriginalManifests):
        root = source.resolve_original(reference.name)
    else:
        root = source.resolve(reference.name)
    return ImageRoot(source, reference, root, fetch(source, root, str(reference)))


def select_image(
    root: ImageRoot, platform: Platform, policy_check: PolicyCheck | None = None
) -> ImageManifest:
    """Return the image, or the best match for ``platform`` in an index.

    ``policy_check`` checks the image before it is parsed; None: no check.

    Raises:
        TrustError: the policy rejects the image.
        NotFoundError: no image runs on ``platform``.
        UnsupportedError: the manifest is of schema 1, which has no config.
    """
    parsed = select_manifest(root, platform, policy_check)
    if isinstance(parsed, Schema1):
        raise UnsupportedError(
            f"{root.reference}: a manifest of Docker's schema 1 has no config",
            hint="use --raw to print the manifest",
        )
    return parsed


def select_manifest(
    root: ImageRoot, platform: Platform, policy_check: PolicyCheck | None = None
) -> ImageManifest | Schema1:
    """Return a manifest as ``select_image`` does, but also one of schema 1.

    Raises:
        NotFoundError: no image runs on ``platform``.
        UnsupportedError: the root is neither an image nor an artifact.
    """
    descriptor, raw = root.root, root.raw
    for _ in range(MAX_DEPTH + 1):
        subject = f"{root.reference}: manifest {descriptor.digest}"
        stated_index = descriptor.media_type in media_types.INDEXES
        if not stated_index:
            root.check(policy_check, descriptor.digest, raw)
        parsed = manifest.parse(raw, descriptor.media_type, subject=subject)
        if not isinstance(parsed, Index):
            if stated_index:
                root.check(policy_check, descriptor.digest, raw)
            return parsed
        from bundler.copy.resolving.platform_selection import select_best  # noqa: PLC0415 - only for an index

        descriptor = select_best(parsed, platform, str(root.reference))
        raw = fetch(root.source, descriptor, str(root.reference))
    raise LimitError(
        f"{root.reference}: indexes nested too deeply (expected at most {MAX_DEPTH} levels)"
    )


def read_config(root: ImageRoot, image: ImageManifest) -> Struct:
    """Read the config of an image.

    Raises:
        UnsupportedError: ``image`` is an artifact, whose config has no defined format.
    """
    if image.is_artifact:
        raise UnsupportedError(
            f"{root.reference}: an artifact ({_artifact_type(image)}) has no image config",
            hint="use --config --raw to print its config blob",
        )
    return _parse_config(root, image)[0]


def create_summary(
    root: ImageRoot, image: ImageManifest | Schema1, tags: Value, algorithm: str | None = None
) -> Struct:
    """Create the output of ``inspect`` for ``image``, which was selected from ``root``.

    ``algorithm`` is the hash algorithm of the digest; None: the algorithm of the root's digest.
    """
    named = root.reference.image if isinstance(root.reference, RepositoryReference) else None
    digest = root.root.digest
    if algorithm not in (None, digest.algorithm):
        digest = Digest.of(root.raw, algorithm)
    head = (
        StructField("Name", "" if named is None else named.repository, omit_empty=True),
        StructField("Tag", image.tag if isinstance(image, Schema1) else "", omit_empty=True),
        StructField("Digest", digest.text),
        StructField("RepoTags", tags),
    )
    is_oci = image.media_type == media_types.OCI_MANIFEST
    if isinstance(image, Schema1):
        listed = [Descriptor("", entry.blob, SIZE_UNKNOWN) for entry in image.entries]
    else:
        listed = list(image.layers)
    layers_data: Value = [_describe_layer(layer, annotated=is_oci) for layer in listed]
    layers = (
        StructField("Layers", to_slice([layer.digest.text for layer in listed])),
        StructField("LayersData", layers_data, omit_empty=True),
    )
    if isinstance(image, Schema1):  # the config is in the history entry of the topmost layer
        config, docker_version = go_structs.parse_image(
            image.entries[-1].v1.encode(), subject=str(root.reference)
        )
    elif image.is_artifact:
        subject = "" if image.subject is None else image.subject.digest.text
        artifact = (
            StructField("ArtifactType", _artifact_type(image)),
            StructField("ConfigType", image.config.media_type),
            StructField("Subject", subject, omit_empty=True),
            StructField("Annotations", to_map(image.annotations)),
        )
        return Struct("inspect.Artifact", (*head, *artifact, *layers))
    else:
        config, docker_version = _parse_config(root, image)
    created = _get(config, "Created")
    if created is NIL and not is_oci:
        created = ZERO_TIME
    inner = _get(config, "Config")
    assert isinstance(inner, Struct)  # noqa: S101 - go_structs creates it
    members = (
        StructField("Created", created),
        StructField("DockerVersion", docker_version),
        StructField("Labels", _get(inner, "Labels")),
        StructField("Architecture", _get(config, "Architecture")),
        StructField("Os", _get(config, "OS")),
        *layers,
        StructField("Env", _get(inner, "Env")),
    )
    return Struct("inspect.Output", (*head, *members))


def list_repository_tags(source: Source, emit: Emit) -> Value:
    """List the tags of a repository; the list is empty if ``source`` is not a registry.

    If the registry does not list tags, for this client or at all, emit a warning and return nil.
    """
    if not (isinstance(source, RegistryRepository) and isinstance(source, ListsTags)):
        return []
    try:
        return to_slice(source.tags())
    except (DeniedError, NotFoundError) as error:
        if isinstance(error, DeniedError):
            unavailable = "DENIED" in error.codes
        else:  # the endpoint is not implemented: the default page of Go's HTTP server
            body = "" if error.exchange is None else error.exchange.body
            unavailable = body.startswith(_GO_NOT_FOUND_PAGE)
        if not unavailable:
            raise
        emit(WarningIssued(f"the registry does not list tags: {error}"))
        return NIL_SLICE


def _parse_config(root: ImageRoot, image: ImageManifest) -> tuple[Struct, str]:
    subject = f"{root.reference}: config {image.config.digest}"
    return go_structs.parse_image(root.read_config(image), subject=subject)


def _get(struct: Struct, name: str) -> Value:
    value = struct.get(name)
    return NIL if value is None else value


def _artifact_type(image: ImageManifest) -> str:
    return image.artifact_type or image.config.media_type


def _describe_layer(layer: Descriptor, *, annotated: bool) -> Struct:
    return Struct(
        "types.ImageInspectLayer",
        (
            StructField("MIMEType", layer.media_type),
            StructField("Digest", layer.digest.text),
            StructField("Size", layer.size),
            StructField("Annotations", to_map(layer.annotations if annotated else {})),
        ),
    )
