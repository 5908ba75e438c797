"""docker: against a registry that fails on demand; tests/interop has the real ones."""

from __future__ import annotations

from io import BytesIO

import pytest

from bundler.config.settings import RegistryOverride, Settings
from bundler.content.verified import VerifiedReader
from bundler.errors import InvalidReferenceError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.ports import Node, Options, Publication
from bundler.transports.docker import TRANSPORT, DockerDestination, DockerSource
from tests import images
from tests.fakes.registry import FakeRegistry

LARGE = bytes(range(256)) * (5 * 4096)  # above what one PUT takes


@pytest.fixture
def registry():
    with FakeRegistry() as running:
        yield running


def options(*registries, **more):
    plain = {one.host: RegistryOverride(plain_http=True) for one in registries}
    return Options(Settings(), overrides=plain, **more)


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


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("//docker.io/library/app", "latest"),
        ("//docker.io/library/app:1", "1"),
        ("//example.com:5000/app@sha256:" + 64 * "a", "sha256:" + 64 * "a"),
        ("//example.com/a/b:1@sha256:" + 64 * "b", "1@sha256:" + 64 * "b"),
    ],
)
def test_reference_round_trips(text, name):
    reference = TRANSPORT.parse(text)
    assert str(reference) == f"docker:{text}"
    assert reference.name == name


def test_reference_needs_slashes():
    with pytest.raises(InvalidReferenceError, match="slashes"):
        TRANSPORT.parse("example.com/app:1")


def test_pushes_and_reads_back(registry):
    image = images.multi_platform("app", "linux/amd64", "linux/arm64")
    target = destination(registry, "a/app")
    push(target, image)
    assert registry.repositories["a/app"].tags == {}
    target.commit([Publication(root_of(image), ("1", "latest"))])
    target.close()
    assert registry.repositories["a/app"].tags == {"1": image.digest, "latest": image.digest}

    origin = source(registry, "a/app:1")
    assert origin.resolve() == root_of(image)
    assert origin.resolve(image.digest).digest.text == image.digest
    assert origin.tags() == ["1", "latest"]
    for blob in image.all_blobs():
        with origin.open(layer(blob.data)) as stream:
            assert stream.read(len(blob.data)) == blob.data
    origin.close()


@pytest.mark.parametrize("data", [b"", b"small", LARGE])
def test_pushes_blobs_of_every_size(registry, data):
    target = destination(registry, "app")
    assert target.push(layer(data), content(data)).digest == Digest.of(data)
    target.close()
