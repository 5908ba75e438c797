"""Manifests: strict parsing without ambiguity."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from bundler.errors import BundlerError, LimitError, MalformedError, UnsupportedError
from bundler.oci import manifest, media_types
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest, Index
from tests import strategies
from tests.fakes import images
from tests.fakes.memory import EMPTY_DESCRIPTOR

OCI = images.image()
DOCKER = images.image(types=images.DOCKER)
LIST = images.multi_platform("app", "linux/amd64", "linux/arm64", types=images.DOCKER)
INDEX = images.multi_platform("app", "linux/amd64", "linux/arm64")
DESCRIPTOR = OCI.root.descriptor()


def image_body(**changes):
    return body(OCI, changes)


def index_body(**changes):
    return body(INDEX, changes)


def body(one, changes):
    value = json.loads(one.root.data) | changes
    return images.dump({key: item for key, item in value.items() if item != "absent"})


@pytest.mark.parametrize("one", [OCI, DOCKER])
def test_image_manifest_is_parsed(one):
    parsed = manifest.parse(one.root.data, one.root.media_type)
    assert isinstance(parsed, ImageManifest)
    assert parsed.raw == one.root.data
    assert not parsed.is_artifact
    found = [parsed.config.digest.text, *(layer.digest.text for layer in parsed.layers)]
    assert found == [blob.digest for blob in one.blobs]


@pytest.mark.parametrize("one", [INDEX, LIST])
def test_index_is_parsed_with_platforms(one):
    parsed = manifest.parse(one.root.data, None)
    assert isinstance(parsed, Index)
    assert [str(child.platform) for child in parsed.manifests] == ["linux/amd64", "linux/arm64"]


def test_artifact_has_subject_and_empty_config():
    one = images.artifact("application/vnd.example.v1", b"data", subject=OCI)
    parsed = manifest.parse(one.root.data, None)
    assert parsed.is_artifact
    assert parsed.config == EMPTY_DESCRIPTOR
    assert parsed.subject.digest.text == OCI.digest
    assert parsed.artifact_type == "application/vnd.example.v1"


def test_index_may_have_subject_and_nested_indexes():
    outer = images.index(INDEX, OCI, subject=OCI.root.descriptor(), annotations={"a": "b"})
    parsed = manifest.parse(outer.root.data, None)
    assert parsed.manifests[0].media_type == media_types.OCI_INDEX
    assert parsed.subject.digest.text == OCI.digest
    assert parsed.annotations == {"a": "b"}


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (image_body(mediaType="absent"), media_types.OCI_MANIFEST),
        (index_body(mediaType="absent"), media_types.OCI_INDEX),
        (image_body(mediaType=None), media_types.OCI_MANIFEST),
        (index_body(manifests=[]), media_types.OCI_INDEX),
        (index_body(manifests=None), media_types.OCI_INDEX),  # what Go writes for an empty list
        (image_body(layers=None), media_types.OCI_MANIFEST),
        (image_body(unknown={"kept": True}), media_types.OCI_MANIFEST),
    ],
)
def test_media_type_is_inferred_from_members(raw, kind):
    assert manifest.parse(raw, None).media_type == kind


KINDS = sorted(media_types.IMAGE_MANIFESTS | media_types.INDEXES)


@pytest.mark.parametrize("announced", KINDS)
@pytest.mark.parametrize("one", [OCI, DOCKER, INDEX, LIST])
def test_own_type_decides_within_a_kind_and_the_kind_must_be_the_announced_one(one, announced):
    """An image that may also be read as an index would let one of them pass every check."""
    own = one.root.media_type
    if (own in media_types.INDEXES) == (announced in media_types.INDEXES):
        assert manifest.parse(one.root.data, announced).media_type == own
    else:
        with pytest.raises(MalformedError):
            manifest.parse(one.root.data, announced)


def test_unknown_own_type_is_replaced_by_the_announced_one():
    raw = index_body(mediaType="unknown")
    assert manifest.parse(raw, media_types.OCI_INDEX).media_type == media_types.OCI_INDEX
    with pytest.raises(UnsupportedError):
        manifest.parse(raw, None)


@pytest.mark.parametrize("layers", ["absent", None, []])
def test_image_may_have_no_layers(layers):
    assert manifest.parse(image_body(layers=layers), None).layers == ()


def test_repeated_member_is_accepted_only_with_the_same_value():
    raw = OCI.root.data
    assert b'"schemaVersion":2' in raw
    same = raw.replace(b'"schemaVersion":2', b'"schemaVersion":2,"schemaVersion":2')
    assert manifest.parse(same, None).config == manifest.parse(raw, None).config
    with pytest.raises(MalformedError):
        manifest.parse(
            raw.replace(b'"schemaVersion":2', b'"schemaVersion":1,"schemaVersion":2'), None
        )


def test_old_docker_image_whose_config_has_a_general_type_is_an_image():
    value = json.loads(DOCKER.root.data)
    value["config"]["mediaType"] = "application/octet-stream"
    assert not manifest.parse(images.dump(value), None).is_artifact


@pytest.mark.parametrize("announced", [*KINDS, None])
@pytest.mark.parametrize("own", [*KINDS, "absent"])
@pytest.mark.parametrize("extra", ["manifests", "layers", "config"])
def test_manifest_with_members_of_image_and_index_is_refused(own, announced, extra):
    base = index_body if extra != "manifests" else image_body
    item = DESCRIPTOR if extra == "config" else [DESCRIPTOR]
    with pytest.raises(MalformedError):
        manifest.parse(base(**{extra: item, "mediaType": own}), announced)


@pytest.mark.parametrize("announced", [media_types.OCI_INDEX, media_types.DOCKER_LIST])
def test_image_without_media_type_is_not_an_index(announced):
    with pytest.raises(MalformedError):
        manifest.parse(image_body(mediaType="absent"), announced)


@pytest.mark.parametrize("announced", [media_types.OCI_MANIFEST, media_types.DOCKER_MANIFEST])
def test_index_without_media_type_is_not_an_image(announced):
    with pytest.raises(MalformedError):
        manifest.parse(index_body(mediaType="absent"), announced)


@pytest.mark.parametrize(
    "changes",
    [
        {"schemaVersion": 1},
        {"schemaVersion": "2"},
        {"schemaVersion": 2.0},
        {"schemaVersion": True},
        {"schemaVersion": "absent"},
        {"config": "absent"},
        {"config": None},
        {"config": []},
        {"config": {}},
        {"layers": {}},
        {"layers": [None]},
        {"layers": [{"mediaType": "a/b", "digest": "sha256:0", "size": 1}]},
        {"layers": [DESCRIPTOR | {"size": -1}]},
        {"subject": []},
        {"subject": {"digest": DESCRIPTOR["digest"]}},
        {"artifactType": 5},
        {"mediaType": 5},
        {"fsLayers": []},
        {"history": []},
        {"Layers": []},
        {"FSLAYERS": []},
        {"Manifests": []},
        {"SchemaVersion": 1},
        {"mediatype": media_types.OCI_INDEX},
    ],
)
def test_malformed_manifest_is_refused(changes):
    with pytest.raises(MalformedError):
        manifest.parse(image_body(**changes), None)


@pytest.mark.parametrize("announced", [None, media_types.DOCKER_SCHEMA1_SIGNED])
def test_schema_1_without_layers_is_malformed(announced):
    raw = b'{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}'
    with pytest.raises(MalformedError):
        manifest.parse(raw, announced)


def test_other_media_types_are_unsupported():
    with pytest.raises(UnsupportedError):
        manifest.parse(image_body(mediaType="absent"), "application/json")


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"<html></html>", b'"text"', b"\x1f\x8b", image_body()[:-1]]
)
def test_documents_that_are_not_json_objects_are_malformed(raw):
    with pytest.raises(MalformedError, match="the page"):
        manifest.parse(raw, media_types.OCI_MANIFEST, subject="the page")


def test_number_of_entries_is_limited():
    assert (
        len(manifest.parse(index_body(manifests=[DESCRIPTOR] * 10_000), None).manifests) == 10_000
    )
    for raw in (
        index_body(manifests=[DESCRIPTOR] * 10_001),
        image_body(layers=[DESCRIPTOR] * 10_001),
    ):
        with pytest.raises(LimitError):
            manifest.parse(raw, None)


def test_size_of_manifest_is_limited():
    raw = image_body(annotations={"padding": "x" * manifest.MAX_MANIFEST})
    with pytest.raises(LimitError):
        manifest.parse(raw, None)


@given(strategies.documents(), st.sampled_from([*KINDS, None]))
def test_arbitrary_document_is_parsed_or_raises_bundler_error(value, announced):
    raw = json.dumps(value).encode()
    with suppress(BundlerError):
        manifest.parse(raw, announced)


@given(
    st.dictionaries(
        st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests", "subject"]),
        st.sampled_from([2, 1, None, [], {}, DESCRIPTOR, [DESCRIPTOR], *KINDS]),
    ),
    st.sampled_from([*KINDS, None]),
)
def test_accepted_manifest_is_unambiguous(value, announced):
    """No parser can interpret the bytes of an image as an index, or the reverse."""
    try:
        first = manifest.parse(images.dump(value), announced)
    except BundlerError:
        return
    for other in KINDS:
        try:
            second = manifest.parse(images.dump(value), other)
        except BundlerError:
            continue
        assert type(second) is type(first)


def test_strip_changes_only_the_removed_entries():
    raw = index_body(annotations={"a": "\u00e4"}, unknown=[1, {"x": None}])
    parsed = manifest.parse(raw, None)
    kept = parsed.manifests[1]
    smaller = manifest.strip(parsed, {kept.digest})
    assert json.loads(smaller) == json.loads(raw) | {"manifests": [json.loads(raw)["manifests"][1]]}
    assert manifest.parse(smaller, media_types.OCI_INDEX).manifests == (kept,)


def test_sha512_digests_are_accepted():
    far = DESCRIPTOR | {"digest": Digest.of(b"x", "sha512").text}
    parsed = manifest.parse(image_body(config=far, layers=[far]), None)
    assert {parsed.config.digest.algorithm, parsed.layers[0].digest.algorithm} == {"sha512"}
