"""The contracts, with ``oci:``, and the layouts on disk."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest

from bundler.errors import (
    AmbiguousImageError,
    IndexOutOfRangeError,
    IntegrityError,
    LockedError,
    MissingFileError,
    NotFoundError,
    UsageError,
)
from bundler.ports import Node, Publication
from bundler.transports.oci_layout.transport import LayoutDestination, LayoutSource
from tests.contracts.destination import DestinationContract
from tests.contracts.source import SourceContract
from tests.fakes.memory import MemoryStore
from tests.transports.handwritten import LAYOUT_MARK, write_layout
from tests.transports.oci_layout.publishing import publish


class TestSource(SourceContract):
    @pytest.fixture
    def filled(self, tmp_path):
        def fill(store):
            shutil.rmtree(tmp_path / "layout", ignore_errors=True)
            return LayoutSource(write_layout(tmp_path / "layout", store))

        return fill


class TestDestination(DestinationContract):
    @pytest.fixture
    def opened(self, tmp_path):
        return lambda: LayoutDestination(tmp_path / "new" / "layout")

    @pytest.fixture
    def source(self, tmp_path):
        return lambda: LayoutSource(tmp_path / "new" / "layout")


def test_commit_writes_the_files_of_a_layout(tmp_path, store):
    publish(tmp_path / "l", store, "app")
    root = store.names["app"]
    files = {str(p.relative_to(tmp_path / "l")) for p in (tmp_path / "l").rglob("*")}
    assert files == {
        "oci-layout",
        "index.json",
        "blobs",
        "blobs/sha256",
        *(f"blobs/sha256/{digest.hex}" for digest in store.blobs),
    }
    assert (tmp_path / "l/oci-layout").read_bytes() == LAYOUT_MARK
    assert (tmp_path / "l/index.json").read_bytes() == (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{'
        f'"mediaType":"{root.media_type}","digest":"{root.digest}","size":{root.size},'
        '"annotations":{"org.opencontainers.image.ref.name":"app"},'
        '"platform":{"architecture":"amd64","os":"linux"}}]}'
    ).encode()
    assert {oct(p.stat().st_mode & 0o777) for p in (tmp_path / "l").rglob("*") if p.is_file()} == {
        "0o644"
    }


def test_commit_refuses_a_root_that_was_not_pushed(tmp_path, store):
    image = Publication(store.names["app"], ("app",))
    with (
        closing(LayoutDestination(tmp_path / "l")) as destination,
        pytest.raises(IntegrityError),
    ):
        destination.commit([image])
    assert not (tmp_path / "l").exists()


def test_second_writer_is_refused(tmp_path):
    with closing(LayoutDestination(tmp_path)), pytest.raises(LockedError):
        LayoutDestination(tmp_path)
    LayoutDestination(tmp_path).close()


def test_unused_destination_leaves_no_files(tmp_path):
    LayoutDestination(tmp_path / "a" / "b").close()
    assert list(tmp_path.iterdir()) == []


def test_file_at_the_path_is_refused(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(UsageError):
        LayoutDestination(tmp_path / "f")


def test_temporary_files_of_a_killed_run_are_removed(layout):
    parts = [layout / ".airbundle-00.part", layout / "blobs/sha256/.airbundle-11.part"]
    for part in parts:
        part.write_bytes(b"half")
    LayoutDestination(layout).close()
    assert not any(part.exists() for part in parts)


def test_ambiguous_reference_is_refused_with_the_names(layout, store):
    other = MemoryStore()
    other.add_image("app", layers=[b"other"])
    publish(layout, other, "second")
    with closing(LayoutSource(layout)) as source:
        with pytest.raises(AmbiguousImageError) as raised:
            source.resolve()
        assert raised.value.count == 2
        assert raised.value.hint == f"{layout}/index.json contains app, second"
        assert source.resolve("@1").digest == other.names["app"].digest
        with pytest.raises(IndexOutOfRangeError) as beyond:
            source.resolve("@2")
        assert (beyond.value.index, beyond.value.count) == (2, 2)


def test_referrers_are_listed(layout, store):
    image = store.names["app"]
    other = MemoryStore()
    artifact = other.add_artifact("app", subject=image)
    publish(layout, other)
    with closing(LayoutSource(layout)) as source:
        (found,) = source.referrers(image.digest)
        assert (found.digest, found.artifact_type) == (artifact.digest, artifact.artifact_type)
        assert source.referrers(artifact.digest) == []


def test_directory_without_a_layout_is_refused(tmp_path):
    with pytest.raises(MissingFileError) as raised:
        LayoutSource(tmp_path)
    assert raised.value.path == str(tmp_path / "index.json")
    with pytest.raises(MissingFileError) as raised:
        LayoutSource(tmp_path / "nowhere")
    assert raised.value.path == str(tmp_path / "nowhere")


def test_has_reports_false_without_a_digest(layout):
    with closing(LayoutSource(layout)) as source, pytest.raises(NotFoundError):
        source.open(Node("layer", "application/x"))
