"""Conversions preserve semantics, and refuse content that a format cannot represent."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from bundler.errors import BundlerError, CannotConvertError, MalformedError
from bundler.oci import conversion, manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from tests import strategies
from tests.fakes import images

CONFIG = Descriptor(media_types.OCI_CONFIG, Digest.of(b"config"), 6)
LAYER = Descriptor(media_types.OCI_LAYER_GZIP, Digest.of(b"layer"), 5)
DOCKER_LAYER = replace(LAYER, media_type=media_types.DOCKER_LAYER_GZIP)


def parsed(image):
    return manifest.parse(image.root.data, image.root.media_type)


DOCKER = parsed(images.image(types=images.DOCKER, annotations={"unknown": "to Docker"}))
OCI = parsed(images.image(annotations={"b": "<1>", "a": "2"}))


@given(strategies.documents())
def test_hostile_config_is_converted_or_refused(value):
    with suppress(BundlerError):
        converted = conversion.to_oci_config(json.dumps(value).encode(), subject="config")
        assert conversion.to_oci_config(converted, subject="config") == converted


CONFIG_VALUES = st.dictionaries(
    st.sampled_from(
        ["created", "author", "architecture", "os", "variant", "config", "rootfs", "history"]
    ),
    strategies.documents(),
)


@given(CONFIG_VALUES)
def test_conversion_of_converted_config_changes_nothing(value):
    with suppress(BundlerError):
        converted = conversion.to_oci_config(json.dumps(value).encode(), subject="config")
        assert conversion.to_oci_config(converted, subject="config") == converted
        assert set(json.loads(converted)) <= set(value) | {"architecture", "os", "rootfs"}


def test_docker_config_has_the_same_bytes():
    raw = b' {"os":"linux", "architecture":"amd64","later":1,"rootfs":{}}'
    assert conversion.to_docker_config(raw, subject="config") == raw


@pytest.mark.parametrize("convert", [conversion.to_oci_config, conversion.to_docker_config])
def test_documents_that_are_not_configs_are_refused(convert):
    with pytest.raises(MalformedError):
        convert(b'{"rootfs":{"diff_ids":[1]}}', subject="config")


def test_oci_manifest_keeps_members_that_oci_specifies():
    subject = images.image().root.descriptor(data="e30=")
    before = json.loads(OCI.raw)
    before |= {"later": 1, "subject": subject, "artifactType": "a/b"}
    before["config"]["data"] = "e30="
    before["layers"][0] |= {"data": "e30=", "annotations": {"x": "y"}}
    was = manifest.parse(images.dump(before), media_types.OCI_MANIFEST)
    after = json.loads(conversion.replace_layers(was, was.config, was.layers))
    del before["later"], before["layers"][0]["data"]
    assert after == before
    assert list(after) == [
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "subject",
        "annotations",
    ]
    other = json.loads(conversion.replace_layers(was, CONFIG, [LAYER]))
    assert other["config"] == CONFIG.to_json()
    assert other["layers"] == [LAYER.to_json()]


def test_conversion_to_oci_keeps_created_annotations_and_drops_unknown_ones():
    strange = images.dump(json.loads(DOCKER.raw)).replace(
        b'"size"', b'"annotations":{"a":"b"},"size"'
    )
    was = manifest.parse(strange, media_types.DOCKER_MANIFEST)
    unknown = replace(LAYER, annotations={"a": "b"})
    result = replace(LAYER, annotations={"made": "here"})
    assert (
        "annotations"
        not in json.loads(conversion.to_oci_manifest(was, CONFIG, [unknown]))["layers"][0]
    )
    new = json.loads(conversion.to_oci_manifest(was, CONFIG, [result]))
    assert new["layers"][0]["annotations"] == {"made": "here"}
    assert "annotations" not in new


@pytest.mark.parametrize(
    ("layer", "convert"),
    [
        (LAYER, conversion.to_docker_manifest),
        (replace(LAYER, media_type=media_types.OCI_LAYER_ZSTD), conversion.to_docker_manifest),
        (replace(LAYER, media_type="x/y"), conversion.to_docker_manifest),
        (DOCKER_LAYER, conversion.to_oci_manifest),
        (replace(LAYER, media_type="x/y"), conversion.to_oci_manifest),
    ],
)
def test_layer_of_another_format_is_refused(layer, convert):
    with pytest.raises(CannotConvertError, match="does not have this layer type"):
        convert(DOCKER, CONFIG, [layer])


def test_encrypted_layers_are_refused_in_docker_format():
    sealed = replace(LAYER, media_type=f"{media_types.OCI_LAYER_ZSTD}+encrypted")
    assert b"+encrypted" in conversion.to_oci_manifest(DOCKER, CONFIG, [sealed])
    with pytest.raises(CannotConvertError):
        conversion.to_docker_manifest(DOCKER, CONFIG, [sealed])


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
@pytest.mark.parametrize("media_type", [media_types.OCI_LAYER, media_types.DOCKER_FOREIGN_LAYER])
def test_layer_type_depends_on_format_and_compression(media_type, compression):
    oci = media_types.convert_layer_type(media_type, media_types.OCI_MANIFEST, compression)
    assert oci.endswith(f"tar+{compression}" if compression else "tar")
    assert ("nondistributable" in oci) == (media_type == media_types.DOCKER_FOREIGN_LAYER)
    back = media_types.convert_layer_type(f"{oci}+encrypted", media_types.OCI_MANIFEST, compression)
    assert back == oci
    if compression == "zstd":
        with pytest.raises(CannotConvertError, match="zstd"):
            media_types.convert_layer_type(oci, media_types.DOCKER_MANIFEST, compression)
        return
    docker = media_types.convert_layer_type(oci, media_types.DOCKER_MANIFEST, compression)
    assert docker.endswith("tar.gzip" if compression else "tar")
    assert ("foreign" in docker) == (media_type == media_types.DOCKER_FOREIGN_LAYER)


def test_chunked_zstd_is_zstd():
    found = media_types.convert_layer_type(
        LAYER.media_type, media_types.OCI_MANIFEST, "zstd:chunked"
    )
    assert found == media_types.OCI_LAYER_ZSTD


def test_artifact_content_cannot_be_converted_from_oci():
    assert media_types.convert_layer_type("a/b", media_types.OCI_MANIFEST, None) == "a/b"
    for manifest_type, compression in (
        (media_types.DOCKER_MANIFEST, None),
        (media_types.OCI_MANIFEST, "gzip"),
    ):
        with pytest.raises(CannotConvertError):
            media_types.convert_layer_type("a/b", manifest_type, compression)


INDEX = parsed(images.multi_platform("a", "linux/amd64", "linux/arm64"))
LIST = parsed(images.multi_platform("a", "linux/amd64", "linux/arm64", types=images.DOCKER))


@pytest.mark.parametrize("index", [INDEX, LIST])
def test_index_survives_conversion_to_docker_and_back(index):
    oci = manifest.parse(conversion.to_oci_index(index, index.manifests), media_types.OCI_INDEX)
    docker = conversion.to_docker_list(oci, oci.manifests)
    back = manifest.parse(docker, media_types.DOCKER_LIST)
    assert back.manifests == oci.manifests == index.manifests


def test_docker_list_refuses_entry_without_platform():
    bare = replace(INDEX.manifests[0], platform=None)
    children = [bare, INDEX.manifests[1]]
    with pytest.raises(CannotConvertError, match="has no platform"):
        conversion.to_docker_list(INDEX, children)
    nowhere = json.loads(conversion.to_oci_index(LIST, [bare]))["manifests"][0]["platform"]
    assert nowhere == {"architecture": "", "os": ""}


def test_index_keeps_members_of_its_format():
    value = json.loads(INDEX.raw) | {"annotations": {"<": ">"}, "artifactType": "a/b", "later": 1}
    value["manifests"][0] |= {"annotations": {"k": "v"}, "artifactType": "c/d", "later": 1}
    was = manifest.parse(images.dump(value), media_types.OCI_INDEX)
    new = [replace(was.manifests[0], digest=Digest.of(b"new"), size=3), was.manifests[1]]
    result = json.loads(conversion.to_oci_index(was, new))
    del value["later"], value["manifests"][0]["later"]
    value["manifests"][0] |= {"digest": Digest.of(b"new").text, "size": 3}
    assert result == value


def test_docker_list_keeps_platform_features():
    value = json.loads(LIST.raw)
    value["manifests"][1]["platform"]["features"] = ["sse4"]
    was = manifest.parse(images.dump(value), media_types.DOCKER_LIST)
    result = json.loads(conversion.to_docker_list(was, was.manifests))
    assert result["manifests"][1]["platform"]["features"] == ["sse4"]
    assert "features" not in json.dumps(json.loads(conversion.to_oci_index(was, was.manifests)))
