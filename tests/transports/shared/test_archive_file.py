"""Archives are decompressed to temporary files."""

from __future__ import annotations

import bz2
import gzip
import lzma
from contextlib import closing

import pytest
import zstandard

from bundler.errors import (
    LimitError,
)
from bundler.ports import OpenOptions
from tests.contracts import contents
from tests.contracts.source import read
from tests.transports.handwritten import pack
from tests.transports.oci_archive.opening import opened_source


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, lzma.compress, zstandard.compress],
    ids=["gzip", "bzip2", "xz", "zstd"],
)
def test_compressed_archive_is_decompressed_to_a_temporary_file(archive, store, tmp_path, compress):
    archive.write_bytes(compress(archive.read_bytes()))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with closing(opened_source(archive, OpenOptions(settings=None, scratch=scratch))) as source:
        for digest, data in store.blobs.items():
            assert read(source, contents.node(store, digest)) == data
        assert list(scratch.iterdir()) == []


def test_decompression_is_limited(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(pack({"zeros": bytes(70 << 20)}), 9))
    with pytest.raises(LimitError, match="200 times its size"):
        opened_source(tmp_path / "a")
