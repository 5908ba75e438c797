"""Layers that change their form on the way, between two places in memory."""

from __future__ import annotations

import gzip
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard

from bundler.cancel import Cancellation
from bundler.copy import blob_transfer
from bundler.copy.convert.options import ConversionOptions
from bundler.copy.engine import EngineOptions, execute
from bundler.copy.plan import Target, create_plan
from bundler.copy.request import ImageRequest
from bundler.copy.resolve import resolve
from bundler.errors import (
    CannotConvertError,
    DigestMismatchError,
    LimitError,
    RegistryError,
    SingleImageDestinationError,
)
from bundler.oci import manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.ports import Capabilities
from bundler.retry_policy import Backoff, RetryPolicy
from bundler.transports.memory.transport import MemoryReference
from tests.fakes.memory import Fault, MemoryStore

UNCOMPRESSED = Capabilities(
    manifests=frozenset({media_types.DOCKER_MANIFEST}), indexes=False, layers="uncompressed"
)


@pytest.fixture
def executor():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(blob_transfer, "RETRY_POLICY", RetryPolicy(6, Backoff(0.001, 0.05)))


def copy(executor, there, here, changes, capabilities=None, name="app"):
    image = resolve(ImageRequest(MemoryReference(name)), there.source())
    destination = here.destination(capabilities or Capabilities())
    target = Target(image, destination, (name,), options=changes)
    made = create_plan([target], executor, Cancellation())
    return execute(made, EngineOptions(executor)).published[0].image.graph.root


def parsed(store, root):
    return manifest.parse(store.blobs[root.digest], root.media_type)


@pytest.mark.parametrize("algorithm", ["gzip", "zstd"])
def test_layers_are_compressed_without_changing_their_content(executor, algorithm):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app", layers=[b"one" * 100_000, b"two"], compress=False)
    root = copy(executor, there, here, ConversionOptions(compression=algorithm))
    before, after = parsed(there, there.names["app"]), parsed(here, root)
    for old, new in zip(before.layers, after.layers, strict=True):
        data = here.blobs[new.digest]
        plain = (
            gzip.decompress(data)
            if algorithm == "gzip"
            else zstandard.ZstdDecompressor().stream_reader(data).read()
        )
        assert plain == there.blobs[old.digest]
        assert new.media_type == f"application/vnd.oci.image.layer.v1.tar+{algorithm}"
        assert new.size == len(data)
    assert after.config == before.config
    assert here.names["app"].digest == root.digest


def test_decompressed_layers_match_the_diff_ids(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app", layers=[b"one"])
    root = copy(executor, there, here, ConversionOptions(compression="none"))
    config = json.loads(here.blobs[parsed(here, root).config.digest])
    digests = [layer.digest.text for layer in parsed(here, root).layers]
    assert digests == config["rootfs"]["diff_ids"]


def test_layers_with_the_requested_compression_are_unchanged(executor):
    there, here = MemoryStore(), MemoryStore()
    root = there.add_image("app", layers=[b"one", b"two"])
    assert copy(executor, there, here, ConversionOptions(compression="gzip")).digest == root.digest
    assert here.blobs == there.blobs


def test_only_uncompressed_layers_are_compressed_if_the_destination_prefers_it(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("plain", layers=[b"one"], compress=False)
    root = there.add_image("packed", layers=[b"two"])
    wish = ConversionOptions(compress_uncompressed=True)
    prefers = Capabilities(layers="compressed")
    assert copy(executor, there, here, wish, prefers, "packed").digest == root.digest
    new = copy(executor, there, here, wish, prefers, "plain")
    assert here.blobs[parsed(here, new).layers[0].digest][:2] == b"\x1f\x8b"
    assert copy(executor, there, MemoryStore(), wish, name="plain") == there.names["plain"]


def test_destination_without_compression_gets_uncompressed_layers(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app", layers=[b"one"], docker=True)
    root = copy(executor, there, here, ConversionOptions(), UNCOMPRESSED)
    (layer,) = parsed(here, root).layers
    assert layer.media_type == media_types.DOCKER_LAYER
    assert here.blobs[layer.digest] == b"one"


def test_conversion_is_refused_if_digests_are_fixed(executor):
    there = MemoryStore()
    there.add_image("app", layers=[b"one"])
    fixed = ConversionOptions(compression="zstd", fixed_reason="because I say so")
    with pytest.raises(CannotConvertError, match="because I say so"):
        copy(executor, there, MemoryStore(), fixed)


def test_index_is_refused_by_a_single_image_destination(executor):
    there = MemoryStore()
    there.add_index("app", manifests=[there.add_image(layers=[b"one"], docker=True)])
    with pytest.raises(SingleImageDestinationError):
        copy(executor, there, MemoryStore(), ConversionOptions(), UNCOMPRESSED)


@pytest.mark.parametrize("capabilities", [UNCOMPRESSED, Capabilities()])
def test_artifact_is_not_converted(executor, capabilities):
    there, here = MemoryStore(), MemoryStore()
    root = there.add_artifact("app")
    with pytest.raises(CannotConvertError, match="only images"):
        copy(executor, there, here, ConversionOptions(manifest_format="v2s2"), capabilities)
    assert copy(executor, there, here, ConversionOptions(compression="zstd")).digest == root.digest


def test_layer_that_does_not_match_its_diff_id_is_refused(executor):
    there, here = MemoryStore(), MemoryStore()
    good = there.add_image(layers=[b"one"])
    other = parsed(there, there.add_image(layers=[b"two"]))
    value = json.loads(there.blobs[good.digest])
    value["layers"] = [layer.to_json() for layer in other.layers]
    raw = json.dumps(value).encode()
    there.names["app"] = Descriptor(media_types.OCI_MANIFEST, there.add_blob(raw), len(raw))
    with pytest.raises(DigestMismatchError, match="uncompressed"):
        copy(executor, there, here, ConversionOptions(compression="none"))
    assert not here.names


def test_decompression_bomb_is_refused(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app", layers=[bytes(300_000_000)])
    with pytest.raises(LimitError, match="expands"):
        copy(executor, there, here, ConversionOptions(compression="none"))


def test_interrupted_push_of_a_converted_layer_is_repeated(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app", layers=[b"one"], compress=False)
    cut = RegistryError("cut", temporary=True)
    here.faults.append(Fault("push", times=2, error=cut))
    root = copy(executor, there, here, ConversionOptions(compression="gzip"))
    assert here.names["app"].digest == root.digest


def test_precomputing_does_not_change_the_result(executor):
    there, here, again = MemoryStore(), MemoryStore(), MemoryStore()
    there.add_image("app", layers=[b"one"], compress=False)
    first = copy(executor, there, here, ConversionOptions(compression="gzip"))
    assert (
        copy(executor, there, again, ConversionOptions(compression="gzip", precompute=True))
        == first
    )


def test_index_is_rewritten_for_converted_images(executor):
    there, here = MemoryStore(), MemoryStore()
    one = there.add_image(layers=[b"one"], compress=False)
    two = there.add_image(layers=[b"two"])
    there.add_index("app", manifests=[one, two])
    root = copy(executor, there, here, ConversionOptions(compression="gzip"))
    changed, same = parsed(here, root).manifests
    assert (same.digest, changed.digest != one.digest) == (two.digest, True)
    assert changed.digest in here.blobs


def test_recompressed_layer_has_the_same_diff_id(executor):
    there, here, back = MemoryStore(), MemoryStore(), MemoryStore()
    there.add_image("app", layers=[b"payload" * 1000])
    copy(executor, there, here, ConversionOptions(compression="none"))
    root = copy(executor, here, back, ConversionOptions(compression="zstd"))
    (layer,) = parsed(back, root).layers
    plain = zstandard.ZstdDecompressor().stream_reader(back.blobs[layer.digest]).read()
    config = json.loads(back.blobs[parsed(back, root).config.digest])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(plain).hexdigest()}"]
    assert plain == b"payload" * 1000
