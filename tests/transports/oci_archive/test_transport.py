"""The contracts, with ``oci-archive:``, and the archives on disk."""

from __future__ import annotations

import fcntl
import json
import os
import tarfile
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from bundler import transports
from bundler.errors import (
    IndexOutOfRangeError,
    IntegrityError,
    InvalidReferenceError,
    LimitError,
    LockedError,
    MalformedError,
    MissingFileError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from bundler.oci.digest import Digest
from bundler.ports import Node, OpenOptions, Publication
from bundler.transports.oci_archive.transport import OciArchiveDestination
from bundler.transports.oci_layout.transport import LayoutReference
from tests.contracts import contents
from tests.contracts.destination import DestinationContract
from tests.contracts.source import SourceContract
from tests.fakes import tars
from tests.fakes.memory import MemoryStore
from tests.transports.handwritten import LAYOUT_MARK, REF_NAME, layout_files, pack
from tests.transports.oci_archive.opening import OPTIONS, opened_source


def publish(path, store, *names):
    with closing(OciArchiveDestination(path, OPTIONS)) as destination:
        contents.push_all(destination, store)
        destination.commit([Publication(store.names["app"], names)])
    return path


class TestSource(SourceContract):
    @pytest.fixture
    def filled(self, tmp_path):
        def fill(store):
            (tmp_path / "a.tar").write_bytes(pack(layout_files(store)))
            return opened_source(tmp_path / "a.tar")

        return fill


class TestDestination(DestinationContract):
    replaces_all = True

    @pytest.fixture
    def opened(self, tmp_path):
        return lambda: OciArchiveDestination(tmp_path / "a.tar", OPTIONS)

    @pytest.fixture
    def source(self, tmp_path):
        return lambda: opened_source(tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        ("oci-archive:f.tar", "f.tar", None),
        ("oci-archive:/a/b.tar:tag", "/a/b.tar", "tag"),
        ("oci-archive:f:docker.io/library/x:1", "f", "docker.io/library/x:1"),
        ("oci-archive:f:@0", "f", "@0"),
    ],
)
def test_path_ends_at_the_first_colon(text, path, name):
    reference = transports.parse(text)
    assert reference == LayoutReference("oci-archive", path, name)
    assert transports.parse(str(reference)) == reference


@pytest.mark.parametrize("rest", ["", ":x", "f:@x", "f:a b", "f:\n"])
def test_invalid_reference_is_refused(rest):
    with pytest.raises(InvalidReferenceError):
        transports.parse(f"oci-archive:{rest}")


def test_index_in_a_destination_is_refused(tmp_path):
    reference = transports.parse(f"oci-archive:{tmp_path}/f:@0")
    with pytest.raises(UnsupportedError) as raised:
        transports.open_destination(reference, OPTIONS)
    assert raised.value.hint == f"specify a name: oci-archive:{tmp_path}/f:NAME"
    assert list(tmp_path.iterdir()) == []


def test_resolve_accepts_an_index(archive, store):
    with closing(opened_source(archive)) as source:
        assert source.resolve("@0").digest == store.names["app"].digest
        with pytest.raises(IndexOutOfRangeError) as raised:
            source.resolve("@1")
    assert (raised.value.index, raised.value.count) == (1, 1)


def test_referrers_are_listed(tmp_path):
    store = MemoryStore()
    subject = store.add_image("app", layers=[b"x"])
    artifact = store.add_artifact("sbom", subject=subject)
    (tmp_path / "a.tar").write_bytes(pack(layout_files(store)))
    with closing(opened_source(tmp_path / "a.tar")) as source:
        assert [item.digest for item in source.referrers(subject.digest)] == [artifact.digest]


@pytest.mark.parametrize(
    ("kind", "target"),
    [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.SYMTYPE, "x"), (tarfile.LNKTYPE, "index.json")],
)
def test_archive_with_links_is_refused(tmp_path, store, kind, target):
    data = pack(layout_files(store), tars.member("blobs/sha256/link", kind=kind, linkname=target))
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(MalformedError):
        opened_source(tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"index.json": None}, NotFoundError),
        ({"index.json": b"{}"}, MalformedError),
        (
            {"index.json": b'{"schemaVersion":2,"manifests":[{"digest":"sha256:../x"}]}'},
            MalformedError,
        ),
        ({"index.json": b" " * (17 << 20)}, LimitError),
        ({"oci-layout": b'{"imageLayoutVersion":"2.0.0"}'}, UnsupportedError),
        ({"oci-layout": b" " * (1 << 20)}, LimitError),
        ({"../outside": b""}, MalformedError),
        ({"/etc/passwd": b""}, MalformedError),
    ],
    ids=["no-index", "empty", "traversal", "huge", "version", "huge-mark", "parent", "absolute"],
)
def test_archive_without_a_layout_is_refused(tmp_path, store, change, error):
    members = {**layout_files(store), **change}
    data = pack({name: data for name, data in members.items() if data is not None})
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(error):
        opened_source(tmp_path / "a.tar")


def test_docker_archive_is_refused_with_a_hint(tmp_path):
    (tmp_path / "a.tar").write_bytes(pack({"manifest.json": b"[]"}))
    with pytest.raises(UnsupportedError) as raised:
        opened_source(tmp_path / "a.tar")
    assert "docker-archive:" in raised.value.hint


def test_truncated_archive_is_refused(archive):
    data = archive.read_bytes()
    whole = data.index(LAYOUT_MARK) + 512
    for end in (600, 5000, whole - 512):
        archive.write_bytes(data[:end])
        with pytest.raises(MalformedError):
            opened_source(archive)


def test_archive_without_end_blocks_is_read_only_as_skopeo_reads_it(archive):
    """Otherwise nothing distinguishes it from an archive that was truncated between members."""
    data = archive.read_bytes()
    archive.write_bytes(data[: data.index(LAYOUT_MARK) + 512])
    reference = transports.parse(f"oci-archive:{archive}")
    with closing(transports.open_source(reference, replace(OPTIONS, lenient=True))) as source:
        assert source.tags()
    with pytest.raises(MalformedError):
        opened_source(archive)


def test_archive_contains_the_members_of_a_layout(tmp_path, store):
    publish(tmp_path / "ours.tar", store, "app")
    with tarfile.open(tmp_path / "ours.tar") as found:
        members = found.getmembers()
        mark = found.extractfile("oci-layout").read()
        index = json.loads(found.extractfile("index.json").read())
    names = [member.name for member in members]
    assert names[:2] == ["blobs", "blobs/sha256"]
    assert names[-2:] == ["index.json", "oci-layout"]
    assert set(names[2:]) == set(layout_files(store))
    files = [member for member in members if member.isreg()]
    assert {(file.uid, file.gid, file.mtime, file.mode & 0o777) for file in files} == {
        (0, 0, 0, 0o644)
    }
    assert mark == LAYOUT_MARK
    assert [entry["annotations"] for entry in index["manifests"]] == [{REF_NAME: "app"}]


def test_archive_is_reproducible(tmp_path, store):
    first = publish(tmp_path / "1.tar", store, "app").read_bytes()
    assert publish(tmp_path / "2.tar", store, "app").read_bytes() == first


def test_commit_replaces_the_archive(tmp_path, store):
    other = MemoryStore()
    other.add_image("app", layers=[b"former"])
    publish(tmp_path / "a.tar", other, "former")
    publish(tmp_path / "a.tar", store, "app")
    with closing(opened_source(tmp_path / "a.tar")) as source:
        assert source.tags() == ["app"]
        with pytest.raises(NotFoundError), source.open(Node.of(other.names["app"], "manifest")):
            pass


def test_uncommitted_archive_is_removed(tmp_path, store):
    (tmp_path / "a.tar").write_bytes(b"former")
    with closing(OciArchiveDestination(tmp_path / "a.tar", OPTIONS)) as destination:
        contents.push_all(destination, store)
        assert len(list(tmp_path.iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]
    assert (tmp_path / "a.tar").read_bytes() == b"former"


def test_rerun_reuses_the_file_of_a_killed_run(tmp_path, store):
    leftover = tmp_path / ".a.tar.airbundle-part"
    leftover.write_bytes(b"x" * 1_000_000)
    publish(tmp_path / "a.tar", store, "app")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]
    with closing(opened_source(tmp_path / "a.tar")) as source:
        assert source.resolve("app")


def test_second_writer_is_refused(tmp_path, store):
    with closing(OciArchiveDestination(tmp_path / "a.tar", OPTIONS)):
        with pytest.raises(LockedError):
            OciArchiveDestination(tmp_path / "a.tar", OPTIONS)
        with closing(OciArchiveDestination(tmp_path / "b.tar", OPTIONS)):
            pass
    publish(tmp_path / "a.tar", store, "app")


def test_published_archive_is_not_truncated_by_the_next_writer(tmp_path, store, monkeypatch):
    """A writer that opened the temporary file before it was published starts with a new one."""
    winner = OciArchiveDestination(tmp_path / "a.tar", OPTIONS)
    contents.push_all(winner, store)
    flock = fcntl.flock

    def late(fd, how):
        monkeypatch.setattr(fcntl, "flock", flock)
        winner.commit([Publication(store.names["app"], ("app",))])
        winner.close()
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with (
        closing(OciArchiveDestination(tmp_path / "a.tar", OPTIONS)),
        closing(opened_source(tmp_path / "a.tar")) as source,
    ):
        assert source.resolve("app")


def test_special_file_is_not_replaced(tmp_path):
    (tmp_path / "a.tar").mkdir()
    with pytest.raises(UsageError):
        OciArchiveDestination(tmp_path / "a.tar", OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_symbolic_link_of_the_user_is_kept(tmp_path, store):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a.tar").symlink_to("elsewhere/b.tar")
    publish(tmp_path / "a.tar", store, "app")
    assert (tmp_path / "a.tar").is_symlink()
    assert (tmp_path / "elsewhere" / "b.tar").is_file()


@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_link_at_the_temporary_name_is_not_followed(tmp_path, store, plant):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    plant(victim, tmp_path / ".a.tar.airbundle-part")
    with pytest.raises(MalformedError):
        OciArchiveDestination(tmp_path / "a.tar", OPTIONS)
    assert victim.read_text() == "untouched"


def test_missing_directory_is_reported(tmp_path):
    with pytest.raises(MissingFileError) as raised:
        OciArchiveDestination(tmp_path / "nowhere" / "a.tar", OPTIONS)
    assert raised.value.path == str(tmp_path / "nowhere")


def test_commit_refuses_a_root_that_was_not_pushed(tmp_path, store):
    with (
        closing(OciArchiveDestination(tmp_path / "a.tar", OPTIONS)) as destination,
        pytest.raises(IntegrityError),
    ):
        destination.commit([Publication(store.names["app"], ("app",))])
    assert list(tmp_path.iterdir()) == []


def test_blob_pushed_twice_is_stored_once(tmp_path):
    store = MemoryStore()
    digest = store.add_blob(b"twice")
    with closing(OciArchiveDestination(tmp_path / "a.tar", OPTIONS)) as destination:
        contents.push(destination, store, digest)
        contents.push(destination, store, digest)
        destination.commit([])
    with tarfile.open(tmp_path / "a.tar") as found:
        assert found.getnames().count(f"blobs/sha256/{Digest.of(b'twice').hex}") == 1


def test_archive_can_be_written_to_and_read_from_a_pipe(tmp_path):
    store = MemoryStore()
    root = store.add_image("app", layers=[b"x" * 100_000], compress=False)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    options = OpenOptions(load_settings=None, scratch=scratch)
    os.mkfifo(tmp_path / "pipe")

    def write_pipe():
        with closing(OciArchiveDestination(tmp_path / "pipe", options)) as destination:
            contents.push_all(destination, store)
            contents.publish(destination, root, "app")

    writer = threading.Thread(target=write_pipe)
    writer.start()
    with closing(opened_source(tmp_path / "pipe", options)) as source:
        assert source.resolve("app").digest == root.digest
    writer.join()
    assert list(scratch.iterdir()) == []
