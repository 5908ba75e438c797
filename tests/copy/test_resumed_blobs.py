"""Blobs whose transfer an earlier run did not finish."""

from __future__ import annotations

import os
import time
from contextlib import closing

import pytest

from bundler import events
from bundler.cancel import Cancellation
from bundler.content.files import atomic_write, part_files
from bundler.content.files.safe_directory import Directory
from bundler.copy import blob_transfer
from bundler.errors import CancelledError, DigestMismatchError, RegistryError
from bundler.ports import Node, Publication
from bundler.transports.directory.transport import DirectoryDestination
from bundler.transports.directory.tree import DirectoryTreeDestination
from bundler.transports.oci_layout.transport import LayoutDestination
from tests.fakes.memory import Fault, MemoryStore

MIB = 1024 * 1024
DATA = os.urandom(3 * MIB + 500)
STORED = 2 * MIB


@pytest.fixture(params=["layout", "shared", "directory", "tree"])
def location(request, tmp_path):
    """A function that opens the same destination each time."""
    path = tmp_path / "images"
    return {
        "layout": lambda: LayoutDestination(path),
        "shared": lambda: LayoutDestination(path, tmp_path / "blobs"),
        "directory": lambda: DirectoryDestination(path),
        "tree": lambda: DirectoryTreeDestination(path),
    }[request.param]


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def node(store):
    return Node("layer", "application/x", store.add_blob(DATA), len(DATA))


def find_parts(tmp_path):
    return [path for path in tmp_path.rglob("*") if part_files.is_part(path.name)]


def interrupt(location, store, node, cancellation=None):
    """Push the first bytes of a blob, then cancel the run."""
    cancellation = cancellation or Cancellation()

    emitted = []

    def cancel(event):
        emitted.append(event)
        if isinstance(event, events.BlobProgressed):
            progress.append(event.advance)
            if sum(progress) >= STORED:
                cancellation.request()

    progress = []
    with closing(location()) as destination, pytest.raises(CancelledError):
        blob_transfer.push_blob(node, store.source(), destination, cancellation, cancel)
    return emitted


def test_interruption_reports_the_bytes_that_are_kept(location, store, node, tmp_path):
    *_, finished = interrupt(location, store, node)
    (part,) = find_parts(tmp_path)
    assert finished == events.BlobFinished(node.digest.text, failed=True, kept=part.stat().st_size)
    assert finished.kept > atomic_write.MIN_KEPT


def resume(location, store, node):
    """Push the blob completely; return the events."""
    emitted = []
    store.log.clear()
    with closing(location()) as destination:
        blob_transfer.push_blob(node, store.source(), destination, Cancellation(), emitted.append)
        with destination.open(node) as stream:
            assert stream.read() == DATA
    return emitted


def test_second_run_reads_only_the_rest(location, store, node, tmp_path):
    interrupt(location, store, node)
    [part] = find_parts(tmp_path)
    stored = part.stat().st_size
    emitted = resume(location, store, node)
    assert stored >= STORED
    assert store.log == [f"open {node.digest}@{stored}"]
    assert events.BlobResumed(node.digest.text, stored) in emitted
    assert sum(e.advance for e in emitted if isinstance(e, events.BlobProgressed)) == len(DATA)
    assert not find_parts(tmp_path)


def test_blob_without_its_final_name_is_not_read_again(location, store, node, tmp_path):
    interrupt(location, store, node)
    [part] = find_parts(tmp_path)
    part.write_bytes(DATA)
    resume(location, store, node)
    assert store.log in ([], [f"open {node.digest}@{len(DATA)}"])


@pytest.mark.parametrize("where", [0, STORED - 1])
def test_damaged_part_is_discarded(location, store, node, tmp_path, where):
    interrupt(location, store, node)
    [part] = find_parts(tmp_path)
    damaged = bytearray(part.read_bytes())
    damaged[where] ^= 1
    part.write_bytes(damaged)
    emitted = resume(location, store, node)
    assert store.log[-1] == f"open {node.digest}@0"
    assert sum(e.size for e in emitted if isinstance(e, events.BlobResumed)) == 0
    assert sum(e.advance for e in emitted if isinstance(e, events.BlobProgressed)) == len(DATA)
    assert not find_parts(tmp_path)


def test_part_that_is_too_long_is_discarded(location, store, node, tmp_path):
    interrupt(location, store, node)
    [part] = find_parts(tmp_path)
    part.write_bytes(DATA + b"more")
    resume(location, store, node)
    assert store.log == [f"open {node.digest}@0"]


@pytest.mark.parametrize("kind", ["symlink", "link", "pipe"])
def test_part_that_is_not_a_regular_file_is_not_written(location, store, node, tmp_path, kind):
    interrupt(location, store, node)
    [part] = find_parts(tmp_path)
    part.unlink()
    precious = tmp_path / "precious"
    precious.write_bytes(DATA[:STORED])
    if kind == "symlink":
        part.symlink_to(precious)
    elif kind == "link":
        part.hardlink_to(precious)
    else:
        os.mkfifo(part)
    resume(location, store, node)
    assert store.log == [f"open {node.digest}@0"]
    assert precious.read_bytes() == DATA[:STORED]


def test_part_in_use_by_another_process_is_not_written(location, store, node, tmp_path):
    interrupt(location, store, node)
    [part] = find_parts(tmp_path)
    before = part.read_bytes()
    with Directory.open(part.parent) as directory:
        other = atomic_write.PartFile.open_kept(directory, part.name, create=False)
        with closing(other):
            resume(location, store, node)
    assert store.log == [f"open {node.digest}@0"]
    assert part.read_bytes() == before


def test_wrong_content_of_the_source_leaves_no_part(location, store, node, tmp_path):
    store.faults.append(Fault("open", "wrong"))
    with closing(location()) as destination, pytest.raises(DigestMismatchError):
        blob_transfer.push_blob(node, store.source(), destination, Cancellation(), events.discard)
    assert not find_parts(tmp_path)


def test_failure_of_the_source_keeps_the_part(location, store, node, tmp_path):
    error = RegistryError("gone", temporary=False)
    store.faults.append(Fault("read", after=STORED, error=error))
    with closing(location()) as destination, pytest.raises(RegistryError):
        blob_transfer.push_blob(node, store.source(), destination, Cancellation(), events.discard)
    resume(location, store, node)
    assert store.log == [f"open {node.digest}@{STORED}"]


def test_old_part_is_removed(location, store, node, tmp_path):
    interrupt(location, store, node)
    [part] = find_parts(tmp_path)
    old = time.time() - part_files.LIFETIME - 60
    os.utime(part, (old, old))
    location().close()
    assert not find_parts(tmp_path)


def test_part_never_counts_as_content(location, store, node):
    interrupt(location, store, node)
    with closing(location()) as destination:
        assert not destination.has(node)


@pytest.mark.parametrize("location", ["layout", "directory", "tree"], indirect=True)
def test_successful_run_removes_parts_of_other_blobs(location, store, node, tmp_path):
    interrupt(location, store, node)
    root = store.add_image(layers=[b"small"])
    with closing(location()) as destination:
        for digest in [digest for digest in store.blobs if digest != node.digest]:
            kind = "manifest" if digest == root.digest else "layer"
            item = Node(kind, root.media_type, digest, len(store.blobs[digest]))
            blob_transfer.push_blob(
                item, store.source(), destination, Cancellation(), events.discard
            )
        destination.commit([Publication(root, ("images/" + root.digest.hex,))])
    assert not find_parts(tmp_path)


@pytest.mark.parametrize("location", ["layout", "directory", "tree"], indirect=True)
def test_commit_keeps_the_part_of_a_blob_that_failed_in_the_same_run(
    location, store, node, tmp_path
):
    root = store.add_image(layers=[b"small"])
    error = RegistryError("gone", temporary=False)
    store.faults.append(Fault("read", digest=node.digest, after=STORED, error=error))
    with closing(location()) as destination:
        with pytest.raises(RegistryError):
            blob_transfer.push_blob(
                node, store.source(), destination, Cancellation(), events.discard
            )
        for digest in [digest for digest in store.blobs if digest != node.digest]:
            kind = "manifest" if digest == root.digest else "layer"
            item = Node(kind, root.media_type, digest, len(store.blobs[digest]))
            blob_transfer.push_blob(
                item, store.source(), destination, Cancellation(), events.discard
            )
        destination.commit([Publication(root, ("images/" + root.digest.hex,))])
    assert [path.name for path in find_parts(tmp_path)] == [part_files.get_kept_name(node.digest)]


def test_stored_size_is_counted_once_per_blob(location, store, node):
    interrupt(location, store, node)
    with closing(location()) as destination:
        found = [blob_transfer.find_stored_size([node], destination) for _ in range(2)]
        assert found[0] >= STORED
        assert found[0] == found[1]
        blob_transfer.push_blob(node, store.source(), destination, Cancellation(), events.discard)
        assert destination.has(node)
