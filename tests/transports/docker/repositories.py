"""Open repositories of a fake registry, and push images to them."""

from __future__ import annotations

from io import BytesIO

from bundler.config.registry_access import RegistryOverride
from bundler.config.settings import Settings
from bundler.content.streams import VerifiedReader
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.ports import Node, OpenOptions
from bundler.transports.docker.transport import TRANSPORT, DockerDestination, DockerSource
from tests.fakes import images


def options(*registries, **more):
    plain = {registry.host: RegistryOverride(plain_http=True) for registry in registries}
    return OpenOptions(Settings, overrides=plain, **more)


def source(registry, name, **more) -> DockerSource:
    return TRANSPORT.source(TRANSPORT.parse(f"//{registry.host}/{name}"), options(registry, **more))


def destination(registry, name, **more) -> DockerDestination:
    reference = TRANSPORT.parse(f"//{registry.host}/{name}")
    return TRANSPORT.destination(reference, options(registry, **more))


def content(data: bytes) -> VerifiedReader:
    return VerifiedReader(BytesIO(data), "test", digest=Digest.of(data), size=len(data))


def layer(data: bytes) -> Node:
    return Node("layer", images.OCI["tar"], Digest.of(data), len(data))


def root_of(image: images.Image) -> Descriptor:
    return Descriptor(image.root.media_type, Digest(image.digest), len(image.root.data))


def push(target: DockerDestination, image: images.Image) -> None:
    for blob in image.all_blobs():
        target.push(layer(blob.data), content(blob.data))
    for manifest in image.manifests():
        node = Node("manifest", manifest.media_type, Digest(manifest.digest), len(manifest.data))
        target.push(node, content(manifest.data))
