"""index.json: the entries that a commit writes, and invalid documents."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from bundler.errors import LimitError, MalformedError, UnsupportedError
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json.table import Table
from bundler.oci.platform import Platform
from bundler.ports import Publication
from bundler.transports.oci_layout.transport import LayoutDestination, LayoutSource
from tests.fakes.memory import MemoryStore
from tests.transports.oci_layout.publishing import publish


def index(path):
    return json.loads((path / "index.json").read_bytes())


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
        with pytest.raises(MalformedError):
            opened(layout)


def test_name_of_two_images_is_refused_when_resolved(layout, store):
    document = index(layout)
    second = document["manifests"][0] | {"digest": str(Digest.of(b"second"))}
    document["manifests"].append(second)
    (layout / "index.json").write_text(json.dumps(document))
    with closing(LayoutSource(layout)) as source:
        with pytest.raises(MalformedError):
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
    with pytest.raises(MalformedError):
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
