"""Conversion of layers, between two stores in memory."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest
import zstandard

from bundler.cancel import Cancellation
from bundler.copy.convert.options import ConversionOptions
from bundler.copy.engine import EngineOptions, execute
from bundler.copy.image import ImageRequest
from bundler.copy.plan import create_plan
from bundler.copy.planned_image import PlannedImage
from bundler.copy.resolving.resolve import resolve
from bundler.errors import (
    CannotConvertError,
    DigestMismatchError,
    LimitError,
    RegistryError,
    SingleImageDestinationError,
    UnsupportedLayerError,
)
from bundler.oci import manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.ports import Capabilities
from bundler.transports.memory.transport import MemoryReference
from tests.fakes.memory import Fault, MemoryStore

UNCOMPRESSED = Capabilities(
    manifests=frozenset({media_types.DOCKER_MANIFEST}), indexes=False, layers="uncompressed"
)


def copy(executor, src, dst, options, capabilities=None, name="app"):
    image = resolve(ImageRequest(MemoryReference(name)), src.source())
    destination = dst.destination(capabilities or Capabilities())
    target = PlannedImage(image, destination, (name,), options=options)
    plan = create_plan([target], executor, Cancellation())
    return execute(plan, EngineOptions(executor)).published[0].image.graph.root


def parsed(store, root):
    return manifest.parse(store.blobs[root.digest], root.media_type)


@pytest.mark.parametrize("algorithm", ["gzip", "zstd"])
def test_layers_are_compressed_without_changing_their_content(executor, algorithm):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", layers=[b"one" * 100_000, b"two"], compress=False)
    root = copy(executor, src, dst, ConversionOptions(compression=algorithm))
    before, after = parsed(src, src.names["app"]), parsed(dst, root)
    for old, new in zip(before.layers, after.layers, strict=True):
        data = dst.blobs[new.digest]
        plain = (
            gzip.decompress(data)
            if algorithm == "gzip"
            else zstandard.ZstdDecompressor().stream_reader(data).read()
        )
        assert plain == src.blobs[old.digest]
        assert new.media_type == f"application/vnd.oci.image.layer.v1.tar+{algorithm}"
        assert new.size == len(data)
    assert after.config == before.config
    assert dst.names["app"].digest == root.digest


def test_decompressed_layers_match_the_diff_ids(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", layers=[b"one"])
    root = copy(executor, src, dst, ConversionOptions(compression="none"))
    config = json.loads(dst.blobs[parsed(dst, root).config.digest])
    digests = [layer.digest.text for layer in parsed(dst, root).layers]
    assert digests == config["rootfs"]["diff_ids"]


def test_layers_with_the_requested_compression_are_unchanged(executor):
    src, dst = MemoryStore(), MemoryStore()
    root = src.add_image("app", layers=[b"one", b"two"])
    assert copy(executor, src, dst, ConversionOptions(compression="gzip")).digest == root.digest
    assert dst.blobs == src.blobs


def test_only_uncompressed_layers_are_compressed_if_the_destination_prefers_it(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("plain", layers=[b"one"], compress=False)
    root = src.add_image("packed", layers=[b"two"])
    options = ConversionOptions(compress_uncompressed=True)
    prefers = Capabilities(layers="compressed")
    assert copy(executor, src, dst, options, prefers, "packed").digest == root.digest
    new = copy(executor, src, dst, options, prefers, "plain")
    assert dst.blobs[parsed(dst, new).layers[0].digest][:2] == b"\x1f\x8b"
    assert copy(executor, src, MemoryStore(), options, name="plain") == src.names["plain"]


def test_destination_without_compression_gets_uncompressed_layers(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", layers=[b"one"], docker=True)
    root = copy(executor, src, dst, ConversionOptions(), UNCOMPRESSED)
    (layer,) = parsed(dst, root).layers
    assert layer.media_type == media_types.DOCKER_LAYER
    assert dst.blobs[layer.digest] == b"one"


def test_conversion_is_refused_if_digests_are_fixed(executor):
    src = MemoryStore()
    src.add_image("app", layers=[b"one"])
    fixed = ConversionOptions(compression="zstd", fixed_reason="requested by the user")
    with pytest.raises(CannotConvertError) as caught:
        copy(executor, src, MemoryStore(), fixed)
    assert caught.value.reason == "requested by the user"


def test_index_is_refused_by_a_single_image_destination(executor):
    src = MemoryStore()
    src.add_index("app", manifests=[src.add_image(layers=[b"one"], docker=True)])
    with pytest.raises(SingleImageDestinationError):
        copy(executor, src, MemoryStore(), ConversionOptions(), UNCOMPRESSED)


@pytest.mark.parametrize("capabilities", [UNCOMPRESSED, Capabilities()])
def test_artifact_is_not_converted(executor, capabilities):
    src, dst = MemoryStore(), MemoryStore()
    root = src.add_artifact("app")
    with pytest.raises(CannotConvertError) as caught:
        copy(executor, src, dst, ConversionOptions(manifest_format="v2s2"), capabilities)
    assert caught.value.reason == "only images can be converted"
    assert copy(executor, src, dst, ConversionOptions(compression="zstd")).digest == root.digest


def test_layer_that_does_not_match_its_diff_id_is_refused(executor):
    src, dst = MemoryStore(), MemoryStore()
    good = src.add_image(layers=[b"one"])
    other = parsed(src, src.add_image(layers=[b"two"]))
    value = json.loads(src.blobs[good.digest])
    value["layers"] = [layer.to_json() for layer in other.layers]
    raw = json.dumps(value).encode()
    src.names["app"] = Descriptor(media_types.OCI_MANIFEST, src.add_blob(raw), len(raw))
    with pytest.raises(DigestMismatchError) as caught:
        copy(executor, src, dst, ConversionOptions(compression="none"))
    config = json.loads(src.blobs[parsed(src, good).config.digest])
    assert [caught.value.expected] == config["rootfs"]["diff_ids"]
    assert not dst.names


def test_decompression_bomb_is_refused(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", layers=[bytes(300_000_000)])
    with pytest.raises(LimitError):
        copy(executor, src, dst, ConversionOptions(compression="none"))


def test_interrupted_push_of_a_converted_layer_is_repeated(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", layers=[b"one"], compress=False)
    cut = RegistryError("cut", temporary=True)
    dst.faults.append(Fault("push", times=2, error=cut))
    root = copy(executor, src, dst, ConversionOptions(compression="gzip"))
    assert dst.names["app"].digest == root.digest


def test_precomputing_does_not_change_the_result(executor):
    src, dst, again = MemoryStore(), MemoryStore(), MemoryStore()
    src.add_image("app", layers=[b"one"], compress=False)
    first = copy(executor, src, dst, ConversionOptions(compression="gzip"))
    assert (
        copy(executor, src, again, ConversionOptions(compression="gzip", precompute=True)) == first
    )


def test_index_is_rewritten_for_converted_images(executor):
    src, dst = MemoryStore(), MemoryStore()
    one = src.add_image(layers=[b"one"], compress=False)
    two = src.add_image(layers=[b"two"])
    src.add_index("app", manifests=[one, two])
    root = copy(executor, src, dst, ConversionOptions(compression="gzip"))
    changed, same = parsed(dst, root).manifests
    assert (same.digest, changed.digest != one.digest) == (two.digest, True)
    assert changed.digest in dst.blobs


def test_recompressed_layer_has_the_same_diff_id(executor):
    src, dst, back = MemoryStore(), MemoryStore(), MemoryStore()
    src.add_image("app", layers=[b"payload" * 1000])
    copy(executor, src, dst, ConversionOptions(compression="none"))
    root = copy(executor, dst, back, ConversionOptions(compression="zstd"))
    (layer,) = parsed(back, root).layers
    plain = zstandard.ZstdDecompressor().stream_reader(back.blobs[layer.digest]).read()
    config = json.loads(back.blobs[parsed(back, root).config.digest])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(plain).hexdigest()}"]
    assert plain == b"payload" * 1000


@pytest.mark.parametrize(
    ("media_type", "is_tar"),
    [
        *((name, True) for name in sorted(media_types.DOCKER_LAYERS)),
        *((name, not name.endswith("+encrypted")) for name in sorted(media_types.OCI_LAYERS)),
        ("application/vnd.docker.container.image.rootfs.diff+x-gtar", True),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd", True),
        ("application/vnd.oci.image.layer.tar+gzip", True),
        ("application/vnd.oci.image.layer.v1.squashfs", False),
        ("application/vnd.example.layer.v1.target", False),
        ("application/octet-stream", False),
    ],
)
def test_media_type_states_whether_a_layer_is_a_tar_archive(media_type, is_tar):
    assert media_types.is_tar_layer(media_type) is is_tar


def test_encrypted_layer_is_refused_where_only_tar_archives_fit(executor):
    src, dst = MemoryStore(), MemoryStore()
    root = src.add_image("app", layers=[b"one"])
    body = json.loads(src.blobs[root.digest])
    body["layers"][0]["mediaType"] += "+encrypted"
    raw = json.dumps(body).encode()
    src.names["app"] = Descriptor(root.media_type, src.add_blob(raw), len(raw))
    with pytest.raises(UnsupportedLayerError) as caught:
        copy(executor, src, dst, ConversionOptions(), Capabilities(only_tar_layers=True))
    assert caught.value.media_type == media_types.OCI_LAYER_GZIP + "+encrypted"
    assert not dst.blobs
