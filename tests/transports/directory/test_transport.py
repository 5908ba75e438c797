"""The contracts, with ``dir:``, and the files on disk."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from bundler import transports
from bundler.errors import (
    InvalidReferenceError,
    LimitError,
    LockedError,
    MalformedError,
    MissingFileError,
    NotAnImageDirectoryError,
    NotFoundError,
    UnsupportedError,
)
from bundler.ports import Node, Publication
from bundler.transports.directory import transport as transport_module
from bundler.transports.directory.transport import DirectoryDestination, DirectorySource
from bundler.transports.shared.path_transport import UnnamedReference
from tests.contracts import contents
from tests.contracts.destination import DestinationContract
from tests.contracts.signatures import SignatureContract
from tests.contracts.source import SourceContract
from tests.fakes.memory import MemoryStore
from tests.transports.handwritten import write_directory

VERSION = b"Directory Transport Version: 1.1\n"


class OneImage:
    """The image in a directory has no name."""

    many_images = False

    def name(self, name, root):
        return None


class TestSource(OneImage, SourceContract):
    @pytest.fixture
    def filled(self, tmp_path):
        return lambda store: DirectorySource(write_directory(tmp_path / "image", store))

    def test_resolve_reports_an_unknown_name(self, image):
        _, _, source = image
        with pytest.raises(NotFoundError):
            source.resolve("nobody")


class TestSignatures(SignatureContract):
    def name(self, root):
        return None

    @pytest.fixture
    def opened(self, tmp_path):
        return lambda: DirectoryDestination(tmp_path / "image")

    @pytest.fixture
    def source(self, tmp_path):
        return lambda: DirectorySource(tmp_path / "image")


class TestDestination(OneImage, DestinationContract):
    @pytest.fixture
    def opened(self, tmp_path):
        return lambda: DirectoryDestination(tmp_path / "new" / "image")

    @pytest.fixture
    def source(self, tmp_path):
        return lambda: DirectorySource(tmp_path / "new" / "image")


def publish(path, store):
    with closing(DirectoryDestination(path)) as destination:
        contents.push_all(destination, store)
        destination.commit([Publication(store.names["app"], ())])


def files(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_path_may_contain_colons():
    reference = transports.parse("dir:/a:b")
    assert reference == UnnamedReference("dir", "/a:b")
    assert (str(reference), reference.name, reference.transport) == ("dir:/a:b", None, "dir")
    with pytest.raises(InvalidReferenceError):
        transports.parse("dir:")


def test_commit_writes_the_files_of_the_format(tmp_path, store):
    publish(tmp_path / "d", store)
    assert files(tmp_path / "d") == files(write_directory(tmp_path / "by-hand", store))


def test_manifests_of_an_index_are_stored_as_files(tmp_path):
    store = MemoryStore()
    image = store.add_image(layers=[b"one"])
    store.add_index("app", manifests=[image])
    publish(tmp_path / "d", store)
    assert files(tmp_path / "d") == files(write_directory(tmp_path / "by-hand", store))
    assert f"{image.digest.hex}.manifest.json" in files(tmp_path / "d")


def test_sha512_digest_needs_version_1_2(tmp_path):
    store = MemoryStore()
    image = store.add_image(layers=[b"one"], algorithm="sha512")
    store.add_index("app", manifests=[image])
    publish(tmp_path / "d", store)
    found = files(tmp_path / "d")
    assert found["version"] == b"Directory Transport Version: 1.2\n"
    assert found[f"sha512-{image.digest.hex}.manifest.json"] == store.blobs[image.digest]
    publish(tmp_path / "d", other := _other())
    assert files(tmp_path / "d") == files(write_directory(tmp_path / "by-hand", other))


def test_commit_removes_files_of_the_former_image(tmp_path, store):
    publish(tmp_path / "d", store)
    (tmp_path / "d/signature-1").write_bytes(b"of the former image")
    (tmp_path / "d/notes.txt").write_bytes(b"somebody else's")
    publish(tmp_path / "d", other := _other())
    expected = files(write_directory(tmp_path / "by-hand", other)) | {
        "notes.txt": b"somebody else's"
    }
    assert files(tmp_path / "d") == expected


def test_commit_of_the_same_image_keeps_signatures(tmp_path, store):
    publish(tmp_path / "d", store)
    (tmp_path / "d/signature-1").write_bytes(b"signed")
    (tmp_path / "d" / f"{'0' * 64}.signature-1").write_bytes(b"of something that is not here")
    publish(tmp_path / "d", store)
    assert "signature-1" in files(tmp_path / "d")
    assert f"{'0' * 64}.signature-1" not in files(tmp_path / "d")


def test_former_image_is_complete_until_the_commit(tmp_path, store):
    publish(tmp_path / "d", store)
    before = files(tmp_path / "d")
    with closing(DirectoryDestination(tmp_path / "d")) as destination:
        contents.push_all(destination, _other())
    after = files(tmp_path / "d")
    assert after.items() >= before.items()


def test_commit_refuses_several_images(tmp_path, store):
    other = store.add_image(layers=[b"other"])
    with closing(DirectoryDestination(tmp_path / "d")) as destination:
        contents.push_all(destination, store)
        with pytest.raises(UnsupportedError):
            destination.commit([Publication(store.names["app"], ()), Publication(other, ())])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b""),
        ("version", b"1.1\n"),
        ("version", b"Directory Transport Version: 9.0\n"),
        ("version", b"x" * 100_000),
        ("manifest.json", b"{}"),
    ],
)
def test_directory_with_other_files_is_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(NotAnImageDirectoryError) as raised:
        DirectoryDestination(tmp_path)
    assert raised.value.path == str(tmp_path)
    assert files(tmp_path) == {name: data}


def test_second_writer_is_refused(tmp_path):
    with closing(DirectoryDestination(tmp_path)), pytest.raises(LockedError):
        DirectoryDestination(tmp_path)


def test_unused_destination_leaves_no_files(tmp_path):
    DirectoryDestination(tmp_path / "a" / "b").close()
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_a_killed_run_are_removed(tmp_path):
    (tmp_path / ".airbundle-00.part").write_bytes(b"half")
    DirectoryDestination(tmp_path).close()
    assert files(tmp_path) == {}


def test_damaged_root_is_pushed_again(tmp_path, store):
    path = write_directory(tmp_path / "d", store)
    raw = (path / "manifest.json").read_bytes()
    (path / "manifest.json").write_bytes(raw[:-1] + b" ")
    with closing(DirectoryDestination(path)) as destination:
        assert not destination.has(Node.of(store.names["app"], "manifest"))
    publish(path, store)
    assert (path / "manifest.json").read_bytes() == raw


def test_directory_without_an_image_is_reported(tmp_path):
    with closing(DirectorySource(tmp_path)) as source, pytest.raises(MissingFileError) as raised:
        source.resolve()
    assert raised.value.path == str(tmp_path / "manifest.json")


@pytest.mark.parametrize("name", ["manifest.json", "blob"])
def test_pipe_in_place_of_a_manifest_is_refused(tmp_path, store, name):
    path = write_directory(tmp_path / "d", store)
    digest = next(iter(store.blobs))
    name = digest.hex if name == "blob" else name
    (path / name).unlink()
    os.mkfifo(path / name)
    target = contents.node(store, store.names["app"].digest if name == "manifest.json" else digest)
    with closing(DirectorySource(path)) as source, pytest.raises(MalformedError):
        source.open(target)


def test_size_of_the_manifest_is_limited(tmp_path, store):
    path = write_directory(tmp_path / "d", store)
    with (path / "manifest.json").open("r+b") as file:
        file.truncate(5 * 1024 * 1024)
    with closing(DirectorySource(path)) as source, pytest.raises(LimitError):
        source.resolve()


def _other():
    store = MemoryStore()
    store.add_image("app", layers=[b"one", b"three"])
    return store


def test_number_and_size_of_signatures_are_limited(tmp_path, store, monkeypatch):
    publish(tmp_path / "d", store)
    for number in (1, 2, 3):
        (tmp_path / f"d/signature-{number}").write_bytes(b"x" * 100)
    with closing(DirectorySource(tmp_path / "d")) as source:
        digest = source.resolve().digest
        assert len(source.signatures(digest)) == 3
        monkeypatch.setattr(transport_module, "_MAX_SIGNATURES", 2)
        with pytest.raises(LimitError):
            source.signatures(digest)
        monkeypatch.setattr(transport_module, "_MAX_SIGNATURES", 3)
        monkeypatch.setattr(transport_module, "_MAX_SIGNATURE_BYTES", 250)
        with pytest.raises(LimitError):
            source.signatures(digest)
