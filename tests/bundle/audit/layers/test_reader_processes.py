"""Layers that are read by other processes."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bundler.bundle.audit.layers import encoding, layer_reader
from bundler.bundle.audit.layers.contents import read_layer
from bundler.bundle.audit.layers.layer_reader import LayerReader
from bundler.bundle.audit.layers.reader_processes import ReaderProcesses
from bundler.bundle.audit.packages.package import Package
from bundler.cancel import Cancellation
from bundler.content.files.safe_directory import RegularFile
from bundler.errors import (
    BundlerError,
    CancelledError,
    DigestMismatchError,
    LimitError,
    MalformedError,
    NotFoundError,
)
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from tests.fakes import images, tars

COPYRIGHT = (
    b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    b"Files: *\nLicense: GPL-2+\n"
)
LAYER = tars.layer(
    tars.member("lib/apk/db/installed", b"P:one\nV:1\nL:MIT\n\nP:two\nV:2\n"),
    tars.member("etc/os-release", b"ID=alpine\nVERSION_ID=3\n"),
    tars.member("usr/share/doc/one/copyright", COPYRIGHT),
    tars.member("usr/bin/su-\udcff", b"x", mode=0o4755),
    tars.hard_link("bin/su", "usr/bin/other"),
    tars.member("store/c0ffee", b"Name: a\nVersion: 1\n"),
    tars.hard_link("usr/lib/a-1.dist-info/METADATA", "store/c0ffee"),
    tars.member("usr/lib/b.jar", b"not a zip"),
    tars.member("var/.wh.cache"),
)


class Source:
    """Opens a blob as a file, or as a stream in memory; counts how often."""

    def __init__(self, data: bytes, path: Path | None = None) -> None:
        self.data, self.path, self.opened = data, path, 0
        if path is not None:
            path.write_bytes(data)

    @contextmanager
    def open(self, node, /, offset=0):
        self.opened += 1
        with RegularFile.open(self.path) if self.path else io.BytesIO(self.data) as reader:
            yield reader


def describe(data, digest=None):
    return Descriptor(images.OCI["gzip"], Digest(digest or images.sha256(data)), len(data))


@pytest.fixture
def processes():
    with closing(ReaderProcesses(Cancellation())) as found:
        yield found


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(process):
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False


def test_contents_are_those_that_this_process_reads(processes, tmp_path):
    data = LAYER.blob.data
    layer = describe(data)
    read = read_layer(Source(data), layer, Cancellation())
    expected = encoding.encode(read)
    for source in (Source(data, tmp_path / "blob"), Source(data)):
        assert processes.read(source, layer) == expected
        assert source.opened == 2  # once more for the target of a hard link
    contents = encoding.decode(expected, layer.digest)
    assert encoding.encode(contents) == expected
    assert contents.files == read.files
    assert contents.packages.evidence == read.packages.evidence
    assert contents.packages.diff_id.text == LAYER.diff_id
    assert len(contents.packages.evidence) == 4
    assert [item.code for item in contents.packages.findings] == ["package-file-malformed"]
    assert [item.path for item in contents.files.files] == ["usr/bin/su-\udcff"]
    assert contents.packages.changes.hides("var/cache/a")


def test_all_fields_of_a_package_are_encoded():
    names = {field.name for field in dataclasses.fields(Package)}
    assert names == {*encoding._TEXTS, "layer", "licenses"}


BOMB = tars.layer(tars.member("zeros", bytes(80_000_000))).blob.data


@pytest.mark.parametrize(
    ("data", "digest", "expected"),
    [
        pytest.param(LAYER.blob.data, "sha256:" + 64 * "0", DigestMismatchError, id="damaged"),
        pytest.param(b"no tar" * 200, None, MalformedError, id="malformed"),
        pytest.param(BOMB, None, LimitError, id="bomb"),
    ],
)
def test_error_of_the_process_is_raised_with_its_fields(
    processes, tmp_path, data, digest, expected
):
    layer = describe(data, digest)
    with pytest.raises(expected) as own:
        read_layer(Source(data), layer, Cancellation())
    for source in (Source(data, tmp_path / "blob"), Source(data)):
        with pytest.raises(expected) as caught:
            processes.read(source, layer)
        assert type(caught.value) is type(own.value)
        assert vars(caught.value) == vars(own.value)


def test_process_continues_after_a_layer_that_is_missing(processes):
    class Missing:
        def open(self, node, /, offset=0):
            raise NotFoundError("no such blob")

    layer = describe(LAYER.blob.data)
    with pytest.raises(NotFoundError, match="no such blob"):
        processes.read(Missing(), layer)
    assert processes.read(Source(LAYER.blob.data), layer)
    assert len(processes._all) == 1


def test_error_of_the_source_is_raised_rather_than_its_consequence(processes):
    class Failing(io.BytesIO):
        def readinto(self, buffer):
            raise LimitError("the source fails")

    class FailingSource:
        def open(self, node, /, offset=0):
            return Failing()

    with pytest.raises(LimitError, match="the source fails"):
        processes.read(FailingSource(), describe(LAYER.blob.data))


def test_source_that_fails_after_the_last_byte_is_an_error(processes):
    """The process has the whole layer, and asks for it a second time."""

    class FailingAtEnd(io.BytesIO):
        def readinto(self, buffer):
            count = super().readinto(buffer)
            if not count:
                raise LimitError("more bytes than stated")
            return count

    class FailingSource:
        def open(self, node, /, offset=0):
            return FailingAtEnd(LAYER.blob.data)

    watch = threading.Timer(20, processes.close)  # or the test would not end
    watch.start()
    with pytest.raises(LimitError, match="more bytes than stated"):
        processes.read(FailingSource(), describe(LAYER.blob.data))
    watch.cancel()


def test_process_that_dies_is_an_error(processes):
    class Killing(Source):
        def open(self, node, /, offset=0):
            os.kill(processes._all[0]._process.pid, signal.SIGKILL)
            return super().open(node, offset)

    layer = describe(LAYER.blob.data)
    with pytest.raises(BundlerError, match="signal 9"):
        processes.read(Killing(LAYER.blob.data), layer)
    assert processes.read(Source(LAYER.blob.data), layer)  # by a new one


def test_process_that_cannot_be_started_is_an_error(processes, monkeypatch):
    def fail(*_, **__):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(BundlerError, match="no process can be started"):
        processes.read(Source(LAYER.blob.data), describe(LAYER.blob.data))


def test_answer_of_another_form_is_an_error():
    layer = describe(LAYER.blob.data)
    data = encoding.encode(read_layer(Source(LAYER.blob.data), layer, Cancellation()))
    for changed in (b"", data[:-1], data + b"x", data[:100] + b"?" + data[101:]):
        with pytest.raises(MalformedError):
            encoding.decode(changed, layer.digest)
    with pytest.raises(MalformedError):
        encoding.decode(data, Digest(images.sha256(b"other")))


def test_cancellation_ends_the_processes():
    cancellation = Cancellation()
    processes = ReaderProcesses(cancellation)

    class Cancelling(Source):
        def open(self, node, /, offset=0):
            cancellation.request()
            return super().open(node, offset)

    with closing(processes), pytest.raises(CancelledError):
        processes.read(Cancelling(LAYER.blob.data), describe(LAYER.blob.data))
    assert not processes._all


def test_cancellation_while_a_process_starts_ends_it(monkeypatch):
    cancellation = Cancellation()
    source = Source(LAYER.blob.data)
    start = subprocess.Popen

    def start_and_cancel(*arguments, **options):
        cancellation.request()  # before the process is in the list of those to end
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", start_and_cancel)
    with closing(ReaderProcesses(cancellation)) as processes, pytest.raises(CancelledError):
        processes.read(source, describe(LAYER.blob.data))
    assert not source.opened


_PARENT = """
import os, sys
from bundler.bundle.audit.layers.reader_processes import ReaderProcesses
from bundler.bundle.audit.packages.package import Package
from bundler.cancel import Cancellation
from tests.bundle.audit.layers.test_reader_processes import LAYER, Source, describe
processes = ReaderProcesses(Cancellation())
class Waiting(Source):
    def open(self, node, /, offset=0):
        print(processes._all[0]._process.pid, flush=True)
        sys.stdin.read()
processes.read(Waiting(LAYER.blob.data), describe(LAYER.blob.data))
"""


def test_process_does_not_outlive_the_program():
    program = [sys.executable, "-c", _PARENT]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        reader = int(parent.stdout.readline())
        assert is_running(reader)
        parent.kill()
    wait_until(lambda: not is_running(reader))


def test_large_layers_are_read_in_processes(monkeypatch):
    """The contents are the same as in this process."""
    sources = [
        (Source(item.blob.data), describe(item.blob.data))
        for item in (LAYER, tars.layer(tars.member("a", mode=0o4755)))
    ]
    found = []
    for size in (1, 10**9):
        monkeypatch.setattr(layer_reader, "MIN_SIZE", size)
        with LayerReader(Cancellation()) as reader:
            read = reader.read(sources)
            found.append({digest: encoding.encode(item) for digest, item in read.items()})
            assert bool(reader._processes and reader._processes._all) == (size == 1)
    assert found[0] == found[1]
