"""Skopeo reads layers that airbundle compressed, and compares their content with the config."""

from __future__ import annotations

import io
import random

import pytest

from bundler.content.compression.compress import CompressingReader
from tests.fakes import images

_NOISE = random.Random("layers").randbytes(1_500_000)
LAYER = images.layer(
    {"big": _NOISE, "d/text": b"line\n" * 400_000, "empty": b""}, compression="tar"
)
CONFIG = images.image(LAYER).blobs[0]


def compress_layer(algorithm, level):
    """Create an image of the layer, compressed."""
    reader = CompressingReader(io.BytesIO(LAYER.blob.data), algorithm, level)
    suffix = algorithm.partition(":")[0]
    blob = images.Blob(f"{images.OCI['tar']}+{suffix}", reader.read())
    reader.close()
    body = {
        "schemaVersion": 2,
        "mediaType": images.OCI["manifest"],
        "config": CONFIG.descriptor(),
        "layers": [blob.descriptor(annotations=dict(reader.annotations()))],
    }
    return images.Image(images.Blob(images.OCI["manifest"], images.dump(body)), (CONFIG, blob))


@pytest.mark.parametrize(
    ("algorithm", "level"),
    [("gzip", None), ("gzip", 9), ("zstd", None), ("zstd", 20), ("zstd:chunked", None)],
)
def test_skopeo_reads_compressed_layers(skopeo, tmp_path, algorithm, level):
    images.write_layout(tmp_path / "made", {"1": compress_layer(algorithm, level)})
    flags = ("--dest-decompress",)
    skopeo.ok("copy", *flags, f"oci:{tmp_path}/made:1", f"dir:{tmp_path}/plain")
    plain = tmp_path / "plain" / LAYER.diff_id.removeprefix("sha256:")
    assert plain.read_bytes() == LAYER.blob.data
