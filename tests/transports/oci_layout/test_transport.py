"""``oci:`` keeps to the contracts, and to what a layout is on disk."""

from __future__ import annotations

import json
import os
import shutil
import stat
from contextlib import closing

import pytest

from bundler import transports
from bundler.errors import (
    AmbiguousImageError,
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
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json.table import Table
from bundler.oci.platform import Platform
from bundler.ports import Node, OpenOptions, Publication
from bundler.transports.oci_layout.reference import LayoutReference
from bundler.transports.oci_layout.transport import LayoutDestination, LayoutSource
from tests.contracts import contents
from tests.contracts.destination import DestinationContract
from tests.contracts.source import SourceContract
from tests.fakes.memory import MemoryStore
from tests.transports.handwritten import LAYOUT_MARK, write_layout


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


def publish(path, store, *names, annotations=None):
    with closing(LayoutDestination(path)) as destination:
        contents.push_all(destination, store)
        root = store.names["app"]
        destination.commit([Publication(root, names, annotations or {})])


def index(path):
    return json.loads((path / "index.json").read_bytes())


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        ("oci:dir", "dir", None),
        ("oci:/a/b:tag", "/a/b", "tag"),
        ("oci:d:docker.io/library/x:1@sha256:ab", "d", "docker.io/library/x:1@sha256:ab"),
        ("oci:d:@0", "d", "@0"),
    ],
)
def test_path_ends_at_the_first_colon(text, path, name):
    reference = transports.parse(text)
    assert reference == LayoutReference("oci", path, name)
    assert transports.parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text", ["oci:", "oci::x", "oci:d:@x", "oci:d:a b", "oci:d:a\nb", "oci:d:@"]
)
def test_invalid_reference_is_refused(text):
    with pytest.raises(InvalidReferenceError):
        transports.parse(text)


def test_index_in_a_destination_is_refused(tmp_path):
    with pytest.raises(UnsupportedError):
        transports.open_destination(
            LayoutReference("oci", str(tmp_path), "@0"), OpenOptions(settings=None)
        )


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


def test_entry_has_platform_and_annotations(tmp_path, store):
    publish(tmp_path / "l", store, "app", annotations={"io.containerd.image.name": "docker.io/a:1"})
    (entry,) = index(tmp_path / "l")["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/a:1"
    assert entry["platform"] == Platform("linux", "amd64").to_json()
    with closing(LayoutSource(tmp_path / "l")) as source:
        assert source.resolve("docker.io/a:1").digest == store.names["app"].digest


def test_commit_keeps_other_entries_unchanged(layout):
    document = index(layout)
    document["manifests"][0] |= {"org.example.unknown": [1.5, {"é<": None}], "annotations": {}}
    document["annotations"] = {"of": "the index"}
    (layout / "index.json").write_text(json.dumps(document))
    other = MemoryStore()
    other.add_image("app", layers=[b"other"])
    publish(layout, other, "new")
    after = index(layout)
    assert after["manifests"][0] == document["manifests"][0]
    assert after["annotations"] == document["annotations"]
    assert len(after["manifests"]) == 2


def test_commit_replaces_the_entry_of_a_name_in_place(layout):
    other = MemoryStore()
    other.add_image("app", layers=[b"other"])
    publish(layout, other, "second")
    publish(layout, other, "app")
    names = [
        e["annotations"]["org.opencontainers.image.ref.name"] for e in index(layout)["manifests"]
    ]
    assert names == ["app", "second"]


def test_image_without_a_name_gets_one_entry(tmp_path, store):
    publish(tmp_path / "l", store)
    publish(tmp_path / "l", store)
    (entry,) = index(tmp_path / "l")["manifests"]
    assert "annotations" not in entry


def test_unchanged_index_is_not_written(tmp_path, store):
    publish(tmp_path / "l", store, "app")
    before = (tmp_path / "l/index.json").stat()
    with closing(LayoutDestination(tmp_path / "l")) as destination:
        destination.commit([Publication(store.names["app"], ("app",))])
    after = (tmp_path / "l/index.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_commit_refuses_a_root_that_was_not_pushed(tmp_path, store):
    image = Publication(store.names["app"], ("app",))
    with (
        closing(LayoutDestination(tmp_path / "l")) as destination,
        pytest.raises(IntegrityError),
    ):
        destination.commit([image])
    assert not (tmp_path / "l").exists()


def test_second_writer_is_refused(tmp_path):
    held = f"locked by another process .{os.getpid()}, "
    with closing(LayoutDestination(tmp_path)), pytest.raises(LockedError, match=held):
        LayoutDestination(tmp_path)
    LayoutDestination(tmp_path).close()


def test_unused_destination_leaves_no_files(tmp_path):
    LayoutDestination(tmp_path / "a" / "b").close()
    assert list(tmp_path.iterdir()) == []


def test_file_at_the_path_is_refused(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(UsageError, match="f: is a file"):
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
        assert raised.value.hint == "it holds app, second"
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


def blob(layout, store):
    digest = next(iter(store.blobs))
    return layout / "blobs" / "sha256" / digest.hex, contents.node(store, digest)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/etc/hostname"),
        lambda path: path.symlink_to(path.with_name("nothing")),
        os.mkfifo,
        lambda path: path.mkdir(),
        lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK),
    ],
    ids=["symlink", "dangling", "pipe", "directory", "socket"],
)
def test_special_file_in_place_of_a_blob_is_refused(layout, store, make):
    path, target = blob(layout, store)
    path.unlink()
    make(path)
    with (
        closing(LayoutSource(layout)) as source,
        pytest.raises(MalformedError, match=path.name),
    ):
        source.open(target)
    with closing(LayoutDestination(layout)) as destination:
        assert not destination.has(target)


def test_link_in_place_of_a_blob_directory_is_not_followed(layout, store, tmp_path):
    _, target = blob(layout, store)
    (layout / "blobs/sha256").rename(tmp_path / "elsewhere")
    (layout / "blobs/sha256").symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").iterdir())
    with closing(LayoutSource(layout)) as source, pytest.raises(MalformedError):
        source.open(target)
    other = MemoryStore()
    digest = other.add_blob(b"to be written elsewhere")
    with pytest.raises(MalformedError), closing(LayoutDestination(layout)) as destination:
        contents.push(destination, other, digest)
    assert sorted((tmp_path / "elsewhere").iterdir()) == before


def test_link_at_the_path_of_a_blob_is_replaced(tmp_path, store):
    path = write_layout(tmp_path / "l", store)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    name, _ = blob(path, store)
    name.unlink()
    name.symlink_to(victim)
    publish(path, store, "app")
    assert victim.read_text() == "untouched"
    assert not name.is_symlink()


def entry_with(**members):
    return lambda document: document["manifests"][0].update(members)


def document_with(**members):
    return lambda document: document.update(members)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(entry_with(digest="sha256:../../../../etc/passwd"), id="traversal"),
        pytest.param(entry_with(digest="md5:" + "a" * 32), id="weak-digest"),
        pytest.param(entry_with(size=-1), id="negative-size"),
        pytest.param(entry_with(Digest="sha256:" + "0" * 64), id="other-case"),
        pytest.param(document_with(manifests=["x"]), id="no-objects"),
        pytest.param(document_with(manifests={}), id="no-array"),
        pytest.param(document_with(schemaVersion=1), id="version"),
        pytest.param(document_with(mediaType=media_types.OCI_MANIFEST), id="media-type"),
        pytest.param(document_with(Manifests=[]), id="other-case-above"),
    ],
)
def test_invalid_index_is_refused(layout, change):
    document = index(layout)
    change(document)
    (layout / "index.json").write_text(json.dumps(document))
    for opened in (LayoutSource, LayoutDestination):
        with pytest.raises(MalformedError, match=r"index\.json"):
            opened(layout)


def test_name_of_two_images_is_refused_when_resolved(layout, store):
    document = index(layout)
    second = document["manifests"][0] | {"digest": str(Digest.of(b"second"))}
    document["manifests"].append(second)
    (layout / "index.json").write_text(json.dumps(document))
    with closing(LayoutSource(layout)) as source:
        with pytest.raises(MalformedError, match="'app' is the name of 2 images"):
            source.resolve("app")
        assert source.resolve("@0").digest == store.names["app"].digest


def test_size_of_the_index_is_limited(layout):
    with (layout / "index.json").open("r+b") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(LimitError):
        LayoutSource(layout)


def test_duplicate_json_members_are_refused(layout):
    raw = (layout / "index.json").read_bytes()
    (layout / "index.json").write_bytes(raw[:-1] + b', "manifests": []}')
    with pytest.raises(MalformedError, match="duplicate"):
        LayoutSource(layout)


def test_unknown_layout_version_is_refused(layout):
    (layout / "oci-layout").write_bytes(b'{"imageLayoutVersion":"2.0.0"}')
    with pytest.raises(UnsupportedError):
        LayoutSource(layout)


def test_index_escapes_html_characters_like_go(tmp_path, store):
    publish(tmp_path / "l", store, "a<b>&c\u2028é")
    raw = (tmp_path / "l/index.json").read_bytes()
    assert b"a\\u003cb\\u003e\\u0026c\\u2028\xc3\xa9" in raw


def test_entry_of_an_artifact_has_no_platform(tmp_path):
    store = MemoryStore()
    store.add_artifact("app")
    publish(tmp_path / "l", store, "app")
    (entry,) = index(tmp_path / "l")["manifests"]
    assert "platform" not in entry
    assert entry["artifactType"] == "application/vnd.example.sbom.v1"
    assert isinstance(Descriptor.from_json(Table(entry, "entry")), Descriptor)


def test_has_reports_false_without_a_digest(layout):
    with closing(LayoutSource(layout)) as source, pytest.raises(NotFoundError):
        source.open(Node("layer", "application/x"))
