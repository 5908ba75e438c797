"""Archives are decompressed to temporary files, and written to pipes and read from them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import threading
from contextlib import closing

import pytest
import zstandard

from bundler.cancel import Cancellation
from bundler.errors import CancelledError, LimitError, MediumError
from bundler.ports import OpenOptions
from bundler.transports.docker_archive.transport import DockerArchiveSource
from tests.contracts import contents
from tests.contracts.source import read
from tests.fakes.memory import MemoryStore
from tests.transports.docker_archive.writing import OPTIONS, image, write
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
    with closing(
        opened_source(archive, OpenOptions(load_settings=None, scratch=scratch))
    ) as source:
        for digest, data in store.blobs.items():
            assert read(source, contents.node(store, digest)) == data
        assert list(scratch.iterdir()) == []


def test_decompression_is_limited(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(pack({"zeros": bytes(70 << 20)}), 9))
    with pytest.raises(LimitError):
        opened_source(tmp_path / "a")


def test_archive_can_be_written_to_and_read_from_a_pipe(tmp_path):
    """The image that is read is the one that was written, and no temporary file is left."""
    store = MemoryStore()
    root = image(store)
    write(tmp_path / "a.tar", store, (root, ("app",)))
    pipe, scratch = tmp_path / "pipe", tmp_path / "scratch"
    os.mkfifo(pipe)
    scratch.mkdir()
    options = OpenOptions(load_settings=None, scratch=scratch)
    writer = threading.Thread(
        target=write, args=(pipe, store, (root, ("app",))), kwargs={"options": options}
    )
    writer.start()
    with (
        closing(DockerArchiveSource(pipe, options)) as source,
        closing(DockerArchiveSource(tmp_path / "a.tar", OPTIONS)) as plain,
    ):
        assert source.resolve("app") == plain.resolve("app")
    writer.join()
    assert list(scratch.iterdir()) == []


def test_pipe_closed_by_its_reader_is_reported(tmp_path):
    store = MemoryStore()
    root = image(store, os.urandom(300_000))
    os.mkfifo(tmp_path / "pipe")

    def leave():
        with (tmp_path / "pipe").open("rb") as pipe:
            pipe.read(1)

    reader = threading.Thread(target=leave)
    reader.start()
    with pytest.raises(MediumError) as raised:
        write(tmp_path / "pipe", store, (root, ("app",)))
    assert raised.value.path == str(tmp_path / "pipe")
    assert isinstance(raised.value.os_error, BrokenPipeError)
    reader.join()


def read_app(path, store, root, *, options):
    DockerArchiveSource(path, options).close()


def write_app(path, store, root, *, options):
    write(path, store, (root, ("app",)), options=options)


@pytest.mark.parametrize("do", [read_app, write_app])
def test_waiting_for_a_pipe_can_be_cancelled(tmp_path, do):
    store = MemoryStore()
    root = image(store)
    os.mkfifo(tmp_path / "pipe")
    cancellation = Cancellation()
    options = OpenOptions(load_settings=None, cancellation=cancellation, scratch=tmp_path)
    timer = threading.Timer(0.2, cancellation.request)
    timer.start()
    with pytest.raises(CancelledError):
        do(tmp_path / "pipe", store, root, options=options)
    timer.join()
