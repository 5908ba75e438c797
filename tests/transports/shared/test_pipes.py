"""Archives are written to pipes and read from them."""

from __future__ import annotations

import os
import threading
from contextlib import closing

import pytest

from bundler.cancel import Cancellation
from bundler.errors import (
    CancelledError,
    MediumError,
)
from bundler.ports import OpenOptions
from bundler.transports.docker_archive.transport import (
    DockerArchiveSource,
)
from tests.fakes.memory import MemoryStore
from tests.transports.docker_archive.writing import OPTIONS, image, write


@pytest.fixture
def store():
    return MemoryStore()


def test_archive_can_be_written_to_and_read_from_a_pipe(tmp_path, store):
    """The image that is read is the one that was written, and no temporary file is left."""
    root = image(store)
    write(tmp_path / "a.tar", store, (root, ("app",)))
    pipe, scratch = tmp_path / "pipe", tmp_path / "scratch"
    os.mkfifo(pipe)
    scratch.mkdir()
    options = OpenOptions(settings=None, scratch=scratch)
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


def test_pipe_closed_by_its_reader_is_reported(tmp_path, store):
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


def read(path, store, root, *, options):
    DockerArchiveSource(path, options).close()


def write_app(path, store, root, *, options):
    write(path, store, (root, ("app",)), options=options)


@pytest.mark.parametrize("do", [read, write_app])
def test_waiting_for_a_pipe_can_be_cancelled(tmp_path, store, do):
    root = image(store)
    os.mkfifo(tmp_path / "pipe")
    cancellation = Cancellation()
    options = OpenOptions(settings=None, cancellation=cancellation, scratch=tmp_path)
    timer = threading.Timer(0.2, cancellation.request)
    timer.start()
    with pytest.raises(CancelledError):
        do(tmp_path / "pipe", store, root, options=options)
    timer.join()
