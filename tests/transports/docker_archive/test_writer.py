"""Destination of ``docker-archive:``: written archives, and refused images."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import closing

import pytest

from bundler import transports
from bundler.errors import (
    ArchiveExistsError,
    DigestMismatchError,
    IntegrityError,
    InvalidReferenceError,
    LockedError,
    NotFoundError,
    UnsupportedError,
)
from bundler.oci import media_types
from bundler.oci.digest import Digest
from bundler.ports import Publication
from bundler.transports.docker_archive.transport import (
    DockerArchiveDestination,
    DockerArchiveSource,
)
from tests.contracts import contents
from tests.contracts.destination import DestinationContract
from tests.fakes.memory import MemoryStore
from tests.transports.docker_archive.writing import OPTIONS, image, write


class TestDestination(DestinationContract):
    replaces_all = True
    accepts_compressed = False
    keeps_manifests = False
    accepts_sha512 = False

    def name(self, name, root):
        return f"docker.io/library/{name}:latest"

    @pytest.fixture
    def opened(self, tmp_path):
        return lambda: DockerArchiveDestination(tmp_path / "a.tar", OPTIONS)

    @pytest.fixture
    def source(self, tmp_path):
        return lambda: DockerArchiveSource(tmp_path / "a.tar", OPTIONS)


@pytest.fixture
def store():
    return MemoryStore()


def members(path):
    with tarfile.open(path) as opened:
        return {
            member.name: opened.extractfile(member).read() if member.isfile() else b""
            for member in opened
        }


def test_images_and_names_are_listed_in_order(tmp_path, store):
    first, second = image(store), image(store, b"one" * 900)
    write(
        tmp_path / "a.tar",
        store,
        (second, ("app", "localhost:5000/other/app:2")),
        (first, ()),
    )
    found = members(tmp_path / "a.tar")
    entries = json.loads(found["manifest.json"])
    assert [entry["RepoTags"] for entry in entries] == [
        ["docker.io/library/app:latest", "localhost:5000/other/app:2"],
        [],
    ]
    assert [len(entry["Layers"]) for entry in entries] == [1, 2]
    assert entries[0]["Layers"][0] == entries[1]["Layers"][0]
    top = json.loads(found["repositories"])["docker.io/library/app"]["latest"]
    assert json.loads(found[f"{top}/json"])["os"] == "linux"
    with closing(DockerArchiveSource(tmp_path / "a.tar", OPTIONS)) as source:
        assert source.tags() == ["docker.io/library/app:latest", "localhost:5000/other/app:2"]
        assert source.resolve("@1") != source.resolve("app")


def test_manifests_with_the_same_config_are_one_image(tmp_path, store):
    """manifest.json lists configs, so both manifests are one entry."""
    first = image(store)
    raw = store.blobs[first.digest].replace(b'"schemaVersion"', b' "schemaVersion"')
    second = store.add_blob(raw)
    again = contents.node(store, second)
    with closing(DockerArchiveDestination(tmp_path / "a.tar", OPTIONS)) as destination:
        contents.push_all(destination, store)
        stored = destination.push(again, contents.content(raw, again))
        destination.commit([Publication(first, ("app:1",)), Publication(stored, ("app:2",))])
    (entry,) = json.loads(members(tmp_path / "a.tar")["manifest.json"])
    assert entry["RepoTags"] == ["docker.io/library/app:1", "docker.io/library/app:2"]


def test_existing_archive_is_refused(tmp_path, store):
    root = image(store)
    path = tmp_path / "a.tar"
    path.touch()
    write(path, store, (root, ("app",)))
    before = path.read_bytes()
    with pytest.raises(ArchiveExistsError) as raised:
        DockerArchiveDestination(path, OPTIONS)
    assert raised.value.path == str(path)
    assert path.read_bytes() == before


def test_uncommitted_archive_is_removed(tmp_path, store):
    image(store)
    with closing(DockerArchiveDestination(tmp_path / "a.tar", OPTIONS)) as destination:
        contents.push_all(destination, store)
        with pytest.raises(LockedError):
            DockerArchiveDestination(tmp_path / "a.tar", OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_missing_directory_is_reported(tmp_path):
    with pytest.raises(NotFoundError):
        DockerArchiveDestination(tmp_path / "none" / "a.tar", OPTIONS)


@pytest.mark.parametrize(
    ("diff_ids", "error"),
    [([b"one", b"other"], DigestMismatchError), ([b"one"], IntegrityError)],
    ids=["another", "fewer"],
)
def test_layers_that_do_not_match_the_config_are_refused(tmp_path, store, diff_ids, error):
    layers = [store.add_blob(data) for data in (b"one", b"two")]
    config = json.dumps(
        {"rootfs": {"type": "layers", "diff_ids": [Digest.of(layer).text for layer in diff_ids]}}
    ).encode()
    raw = manifest_of(store, config, layers)
    with (
        closing(DockerArchiveDestination(tmp_path / "a.tar", OPTIONS)) as destination,
        pytest.raises(error),
    ):
        contents.push_all(destination, raw)


def manifest_of(store, config, layers):
    """Add a manifest of ``config`` and ``layers`` to ``store``."""
    entry = {"mediaType": media_types.DOCKER_CONFIG, "size": len(config)}
    value = {
        "schemaVersion": 2,
        "mediaType": media_types.DOCKER_MANIFEST,
        "config": entry | {"digest": store.add_blob(config).text},
        "layers": [
            {
                "mediaType": media_types.DOCKER_LAYER,
                "size": len(store.blobs[layer]),
                "digest": layer.text,
            }
            for layer in layers
        ],
    }
    store.add_blob(json.dumps(value).encode())
    return store


def test_compressed_layer_is_refused(tmp_path, store):
    store.add_image(layers=[b"x"], docker=True)
    with (
        closing(DockerArchiveDestination(tmp_path / "a.tar", OPTIONS)) as destination,
        pytest.raises(DigestMismatchError),
    ):
        contents.push_all(destination, store)


def test_artifact_is_refused(tmp_path, store):
    store.add_artifact("app")
    with (
        closing(DockerArchiveDestination(tmp_path / "a.tar", OPTIONS)) as destination,
        pytest.raises(UnsupportedError),
    ):
        contents.push_all(destination, store)


@pytest.mark.parametrize("name", ["UPPER", "app@sha256:" + "0" * 64])
def test_invalid_name_is_refused(tmp_path, store, name):
    root = image(store)
    with pytest.raises(InvalidReferenceError):
        write(tmp_path / "a.tar", store, (root, (name,)))
    assert list(tmp_path.iterdir()) == []


def test_index_in_a_destination_is_refused(tmp_path):
    with pytest.raises(UnsupportedError):
        transports.open_destination(
            transports.parse(f"docker-archive:{tmp_path}/a.tar:@1"), OPTIONS
        )


def test_archive_is_reproducible(tmp_path, store):
    root = image(store)
    for name in ("a", "b"):
        write(tmp_path / name, store, (root, ("app",)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_members_are_read_only_and_dated_1970(tmp_path, store):
    root = image(store)
    write(tmp_path / "a.tar", store, (root, ("app",)))
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "a.tar").read_bytes())) as opened:
        for member in opened:
            assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
            assert member.mode == (0 if member.issym() else 0o444)
