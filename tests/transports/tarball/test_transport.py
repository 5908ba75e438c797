"""Source of ``tarball:``: the contract, layers, and the config."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import threading
from contextlib import closing

import pytest
import zstandard

from bundler import transports
from bundler.errors import (
    DigestMismatchError,
    InvalidReferenceError,
    LimitError,
    MalformedError,
    MissingFileError,
    ReadOnlyTransportError,
)
from bundler.oci import manifest, media_types
from bundler.oci.digest import Digest
from bundler.ports import Node, OpenOptions, SynthesizesManifests
from tests.contracts import contents
from tests.contracts.source import SourceContract, read

OPTIONS = OpenOptions(load_settings=None)


def source(*paths, options=OPTIONS):
    reference = transports.parse(f"tarball:{':'.join(map(str, paths))}")
    return transports.open_source(reference, options)


class TestSource(SourceContract):
    keeps_manifests = False
    many_images = False

    def name(self, name, root):
        return None if name == "app" else name

    @pytest.fixture
    def filled(self, tmp_path):
        def fill(store):
            (root,) = store.names.values()
            paths = []
            for number, layer in enumerate(manifest.parse(store.blobs[root.digest], None).layers):
                paths.append(tmp_path / str(number))
                paths[-1].write_bytes(store.blobs[layer.digest])
                os.utime(paths[-1], (1, 1))
            return source(*paths)

        return fill


def parsed(opened):
    root = opened.resolve()
    found = manifest.parse(read(opened, Node.of(root, "manifest")), root.media_type)
    return found, json.loads(read(opened, Node.of(found.config, "config")))


@pytest.mark.parametrize(
    ("pack", "media_type"),
    [
        (bytes, media_types.OCI_LAYER),
        (gzip.compress, media_types.OCI_LAYER_GZIP),
        (zstandard.compress, media_types.OCI_LAYER_ZSTD),
        (bz2.compress, media_types.OCI_LAYER_GZIP),
        (lzma.compress, media_types.OCI_LAYER_GZIP),
    ],
    ids=["tar", "gzip", "zstd", "bzip2", "xz"],
)
def test_file_becomes_a_layer_unchanged(tmp_path, pack, media_type):
    layer = b"layer" * 100_000
    (tmp_path / "a").write_bytes(pack(layer))
    with closing(source(tmp_path / "a")) as opened:
        assert isinstance(opened, SynthesizesManifests)
        found, config = parsed(opened)
        assert read(opened, Node.of(found.layers[0], "layer")) == pack(layer)
    assert found.layers[0].media_type == media_type
    assert config["rootfs"]["diff_ids"] == [Digest.of(layer).text]


def test_config_lists_every_file(tmp_path):
    for name, date in {"a": 1_600_000_000_000_000_000, "b": 1_600_000_000_120_000_000}.items():
        (tmp_path / name).write_bytes(name.encode())
        os.utime(tmp_path / name, ns=(date, date))
    with closing(source(tmp_path / "b", tmp_path / "a")) as opened:
        found, config = parsed(opened)
        raw = read(opened, Node.of(found.config, "config"))
    assert config["created"] == "2020-09-13T12:26:40.12Z"
    assert config["history"] == [
        {
            "created": date,
            "created_by": f"/bin/sh -c #(nop) ADD file:{Digest.of(data).hex} in /",
            "comment": "imported from tarball",
        }
        for data, date in ((b"b", "2020-09-13T12:26:40.12Z"), (b"a", "2020-09-13T12:26:40Z"))
    ]
    assert manifest.ImageConfig.parse(raw).platform.os == "linux"


def test_repeated_file_becomes_two_layers(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    with closing(source(tmp_path / "a", tmp_path / "a")) as opened:
        assert len(parsed(opened)[0].layers) == 2


def test_pipe_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"x" * 100_000,))
    writer.start()
    with closing(
        source(tmp_path / "pipe", options=OpenOptions(load_settings=None, scratch=tmp_path))
    ) as opened:
        found, _ = parsed(opened)
        assert read(opened, Node.of(found.layers[0], "layer")) == b"x" * 100_000
    writer.join()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], MalformedError),
        (gzip.compress(b"x", mtime=0) + b"trailing", MalformedError),
        (gzip.compress(bytes(70 * 1024 * 1024), mtime=0), LimitError),
    ],
    ids=["cut", "trailing", "bomb"],
)
def test_damaged_file_is_refused(tmp_path, data, error):
    (tmp_path / "a").write_bytes(data)
    with closing(source(tmp_path / "a")) as opened, pytest.raises(error):
        opened.resolve()


def test_file_changed_during_the_copy_is_detected(tmp_path):
    (tmp_path / "a").write_bytes(b"former")
    with closing(source(tmp_path / "a")) as opened:
        layer = Node.of(parsed(opened)[0].layers[0], "layer")
        (tmp_path / "a").write_bytes(b"latter")
        with opened.open(layer) as stream, pytest.raises(DigestMismatchError):
            contents.content(stream.read(), layer).read()


@pytest.mark.parametrize("rest", ["", "a:", ":a", "-:-"])
def test_invalid_reference_is_refused(rest):
    with pytest.raises(InvalidReferenceError):
        transports.parse(f"tarball:{rest}")


def test_missing_file_is_reported(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(MissingFileError) as raised:
        source(tmp_path / "a", tmp_path / "none")
    assert raised.value.path == str(tmp_path / "none")


def test_destination_is_refused():
    reference = transports.parse("tarball:a:b")
    assert str(reference) == "tarball:a:b"
    with pytest.raises(ReadOnlyTransportError) as raised:
        transports.open_destination(reference, OPTIONS)
    assert (raised.value.reference, raised.value.transport) == (str(reference), "tarball")
