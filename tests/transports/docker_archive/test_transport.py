"""Source of ``docker-archive:``, with archives as Docker and other tools write them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma

import pytest
import zstandard

from bundler import transports
from bundler.errors import (
    IndexOutOfRangeError,
    InvalidReferenceError,
    LimitError,
    MalformedError,
    MissingFileError,
    NotFoundError,
)
from bundler.oci import manifest
from bundler.oci.digest import Digest
from bundler.ports import Node, OpenOptions, SynthesizesManifests
from bundler.transports.docker_archive.transport import DockerArchiveSource
from tests.contracts.source import SourceContract, read
from tests.fakes import tars
from tests.transports.docker_archive.archives import OPTIONS, image
from tests.transports.handwritten import pack, unpack


class TestSource(SourceContract):
    keeps_manifests = False

    def name(self, name, root):
        return f"example.com/{name}:latest"

    @pytest.fixture
    def filled(self, tmp_path):
        def fill(store):
            entries, members = [], {}
            for name, root in store.names.items():
                parsed = manifest.parse(store.blobs[root.digest], None)
                layers = [unpack(store.blobs[layer.digest]) for layer in parsed.layers]
                names = [f"{Digest.of(data).hex}.tar" for data in layers]
                config = f"{parsed.config.digest.hex}.json"
                members |= dict(zip(names, layers, strict=True))
                members[config] = store.blobs[parsed.config.digest]
                tags = [f"example.com/{name}:latest"]
                entries.append({"Config": config, "RepoTags": tags, "Layers": names})
            members["manifest.json"] = json.dumps(entries).encode()
            path = tmp_path / "archive.tar"
            path.write_bytes(pack(members))
            return DockerArchiveSource(path, OPTIONS)

        return fill


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("docker-archive:/a/b.tar", "docker-archive:/a/b.tar"),
        ("docker-archive:b.tar:app", "docker-archive:b.tar:docker.io/library/app:latest"),
        ("docker-archive:b.tar:h:5/app:1", "docker-archive:b.tar:h:5/app:1"),
        ("docker-archive:b.tar:@2", "docker-archive:b.tar:@2"),
    ],
)
def test_name_is_normalized_like_docker(text, full):
    reference = transports.parse(text)
    assert str(reference) == full
    assert transports.parse(full) == reference


@pytest.mark.parametrize(
    "rest", ["", ":x", "f:@x", "f:UPPER", "f:app@sha256:" + "0" * 64, "f:@99999999999"]
)
def test_invalid_reference_is_refused(rest):
    with pytest.raises(InvalidReferenceError):
        transports.parse(f"docker-archive:{rest}")


def test_layers_are_named_by_their_diff_ids(opened):
    source = opened(pack(image(b"one" * 1000, b"two")))
    assert isinstance(source, SynthesizesManifests)
    root = source.resolve()
    raw = read(source, Node.of(root, "manifest"))
    assert Digest.of(raw) == root.digest
    parsed = manifest.parse(raw, root.media_type)
    assert [(layer.digest, layer.size) for layer in parsed.layers] == [
        (Digest.of(b"one" * 1000), 3000),
        (Digest.of(b"two"), 3),
    ]


def test_name_is_found_in_any_spelling(opened):
    source = opened(pack(image(b"x", tags=["docker.io/library/app:1", "app:2", "app"])))
    for name in ("app:1", "docker.io/library/app:1", "index.docker.io/library/app:2", "app"):
        assert source.resolve(name).size
    assert source.tags() == [f"docker.io/library/app:{tag}" for tag in ("1", "2", "latest")]
    with pytest.raises(NotFoundError) as raised:
        source.resolve("app:3")
    assert "docker.io/library/app:1" in raised.value.hint


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, lzma.compress, zstandard.compress],
    ids=["gzip", "bzip2", "xz", "zstd"],
)
def test_compressed_archive_contains_the_same_image(opened, tmp_path, compress):
    data = pack(image(b"layer" * 10_000))
    plain = opened(data).resolve()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = opened(compress(data), OpenOptions(load_settings=None, scratch=scratch))
    assert source.resolve() == plain
    assert read(source, Node("layer", "x", Digest.of(b"layer" * 10_000))) == b"layer" * 10_000
    assert list(scratch.iterdir()) == []


def test_compressed_layer_is_decompressed(opened):
    layer = b"layer" * 10_000
    source = opened(pack(image(layer, stored=[gzip.compress(layer)])))
    target = Node("layer", "x", Digest.of(layer))
    assert manifest.parse(read(source, Node.of(source.resolve(), "manifest")), None).layers[
        0
    ].size == len(layer)
    assert read(source, target) == layer
    with source.open(target, 49_000) as stream:
        assert stream.read() == layer[49_000:]


def test_links_are_resolved_inside_the_archive(opened):
    members = image(b"layer")
    name = f"{Digest.of(b'layer').hex}/layer.tar"
    members["blobs/real.tar"] = members.pop(name)
    source = opened(
        pack(members, tars.symlink(name, "../via"), tars.symlink("via", "blobs/real.tar"))
    )
    source.resolve()
    assert read(source, Node("layer", "x", Digest.of(b"layer"))) == b"layer"


@pytest.mark.parametrize(
    "links",
    [
        {"a/layer.tar": "../../outside"},
        {"a/layer.tar": "/etc/passwd"},
        {"a/layer.tar": "../b", "b": "a/layer.tar"},
    ],
    ids=["parent", "absolute", "circle"],
)
def test_link_that_escapes_the_archive_is_refused(opened, links):
    members = image(b"layer", entry={"Layers": ["a/layer.tar"]})
    with pytest.raises(MalformedError):
        opened(pack(members, *(tars.symlink(*link) for link in links.items()))).resolve()


def test_file_that_is_not_an_archive_is_refused(opened):
    with pytest.raises(MalformedError):
        opened(b"\x7fELF" + b"x" * 1000)


def test_truncated_archive_is_refused(opened):
    data = pack(image(b"layer" * 10_000))
    for end in (600, 5000, 30_000, len(data) - 10_240):
        with pytest.raises(MalformedError):
            opened(data[:end])


def test_decompression_is_limited(opened, tmp_path):
    bomb = gzip.compress(pack({"zeros": bytes(70 * 1024 * 1024)}), 9)
    with pytest.raises(LimitError):
        opened(bomb)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_decompression_of_a_layer_is_limited(opened):
    zeros = bytes(70 * 1024 * 1024)
    source = opened(pack(image(zeros, stored=[gzip.compress(zeros, 9)])))
    with pytest.raises(LimitError):
        source.resolve()


def test_truncated_layer_is_refused(opened):
    layer = b"layer" * 10_000
    source = opened(pack(image(layer, stored=[gzip.compress(layer)[:-20]])))
    with pytest.raises(MalformedError):
        source.resolve()


def test_image_without_a_name_is_resolved_by_its_index(opened):
    members = image(b"x", tags=[])
    source = opened(pack(members))
    assert source.resolve("@0") == source.resolve()
    with pytest.raises(IndexOutOfRangeError) as raised:
        source.resolve("@1")
    assert (raised.value.index, raised.value.count) == (1, 1)


def test_missing_file_is_reported(tmp_path):
    with pytest.raises(MissingFileError) as raised:
        DockerArchiveSource(tmp_path / "none.tar", OPTIONS)
    assert raised.value.path == str(tmp_path / "none.tar")
