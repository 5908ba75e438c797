"""Manifests of Docker's schema 1: strict parsing, and conversion."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from bundler.errors import (
    BundlerError,
    CannotConvertError,
    DigestMismatchError,
    MalformedError,
    SizeMismatchError,
)
from bundler.oci import manifest, media_types
from bundler.oci.descriptor import SIZE_UNKNOWN, Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Schema1
from bundler.oci.schema1 import manifest as schema1
from bundler.oci.schema1.signature import sign
from tests import strategies

LAYERS = [Digest.of(b"one"), Digest.of(b"two")]
CONFIG = json.dumps(
    {
        "architecture": "arm64",
        "os": "linux",
        "config": {"Labels": {"a": "<b>"}},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created_by": "one"}, {"empty_layer": True}, {"created_by": "two"}],
    }
).encode()
PAYLOAD = schema1.from_config(CONFIG, LAYERS, name="team/app", tag="1", subject="image")


def parse(raw):
    found = manifest.parse(raw, None)
    assert isinstance(found, Schema1)
    return found


def changed(**members):
    return json.dumps(json.loads(PAYLOAD) | members).encode()


def with_v1(position, **members):
    value = json.loads(PAYLOAD)
    entry = json.loads(value["history"][position]["v1Compatibility"]) | members
    value["history"][position]["v1Compatibility"] = json.dumps(entry)
    return json.dumps(value).encode()


def test_empty_layer_has_the_well_known_digest():
    assert Digest.of(schema1.EMPTY_LAYER) == schema1.EMPTY_LAYER_DIGEST


def test_layers_are_listed_from_bottom_to_top():
    found = parse(PAYLOAD)
    assert found.blobs == (LAYERS[0], schema1.EMPTY_LAYER_DIGEST, LAYERS[1])
    assert [entry.blob for entry in found.layers] == LAYERS
    assert (found.name, found.tag, found.architecture) == ("team/app", "1", "arm64")
    assert manifest.list_children(found) == tuple(
        (Descriptor(media_types.DOCKER_LAYER_GZIP, digest, SIZE_UNKNOWN), "layer")
        for digest in found.blobs
    )


def test_signature_does_not_change_digest():
    signed = sign(PAYLOAD)
    found = parse(signed)
    assert found.media_type == media_types.DOCKER_SCHEMA1_SIGNED
    assert parse(PAYLOAD).media_type == media_types.DOCKER_SCHEMA1
    assert found.digest == parse(PAYLOAD).digest == Digest.of(PAYLOAD)
    descriptor = Descriptor(found.media_type, found.digest, len(signed))
    manifest.verify(signed, descriptor, "image")
    with pytest.raises(SizeMismatchError):
        manifest.verify(signed + b" ", descriptor, "image")
    with pytest.raises(DigestMismatchError):
        manifest.verify(signed.replace(b"team/app", b"team/apq"), descriptor, "image")


def test_config_is_restored_from_history():
    diff_ids = [Digest.of(b"diff one"), Digest.of(b"diff two")]
    value = json.loads(schema1.to_config(parse(PAYLOAD), diff_ids, subject="image"))
    assert value["rootfs"] == {"type": "layers", "diff_ids": [digest.text for digest in diff_ids]}
    assert [item.get("created_by") for item in value["history"]] == ["one", None, None]
    assert value["config"] == {"Labels": {"a": "<b>"}}
    assert not {"id", "parent", "throwaway"} & set(value)
    with pytest.raises(CannotConvertError, match="wrong number of diff IDs"):
        schema1.to_config(parse(PAYLOAD), diff_ids[:1], subject="image")


def test_rename_changes_only_the_name():
    found = parse(schema1.rename(parse(PAYLOAD), name="other", tag="2"))
    assert (found.name, found.tag) == ("other", "2")
    assert found.entries == parse(PAYLOAD).entries


def test_repeated_entry_counts_once():
    value = json.loads(PAYLOAD)
    for key in ("fsLayers", "history"):
        value[key].insert(0, value[key][0])
    found = parse(json.dumps(value).encode())
    assert len(found.blobs) == 4
    assert found.entries == parse(PAYLOAD).entries


ID = "ab" * 32


@pytest.mark.parametrize(
    "raw",
    [
        changed(fsLayers=[]),
        changed(history=[]),
        changed(fsLayers=[{"blobSum": "sha256:1"}] * 3),
        changed(fsLayers=[{}] * 3),
        changed(fsLayers=[{"blobsum": LAYERS[0].text}] * 3),
        changed(history=[{"v1Compatibility": "{}"}] * 3),
        changed(history=[{"v1Compatibility": '{"id":1'}] * 3),
        changed(manifests=[]),
        changed(config={}),
        changed(signatures=[{"protected": "x"}]),
        changed(signatures=[]),
        changed(mediaType=media_types.OCI_MANIFEST),
        with_v1(0, id="x"),
        with_v1(0, parent=ID),
        with_v1(1, id=ID),
        with_v1(2, parent=ID),
        with_v1(2, throwaway="yes"),
        with_v1(2, created="yesterday"),
        with_v1(2, ID=ID),
        with_v1(2, container_config={"Cmd": "text"}),
    ],
)
def test_inconsistent_manifest_is_refused(raw):
    with pytest.raises(MalformedError):
        parse(raw)


@pytest.mark.parametrize(
    ("version", "old"),
    [("1.8.2", True), ("1.7", True), ("0.9.1-dev", True), ("1.8.3", False), ("17.05.0-ce", False)],
)
def test_configs_of_very_old_docker_versions_are_completed(version, old):
    result = schema1.to_config(parse(with_v1(0, docker_version=version)), LAYERS, subject="image")
    assert ("Hostname" in json.loads(result)["config"]) == old
    assert ("created" in json.loads(result)) == old


@pytest.mark.parametrize(
    ("history", "layers", "reason"),
    [
        ([], LAYERS, "no history"),
        ([{}], LAYERS, "1 layers \\(expected 2\\)"),
        ([{}, {}, {}], LAYERS, "3 layers \\(expected 2\\)"),
        ([{"empty_layer": True}], LAYERS, "0 layers"),
    ],
)
def test_history_that_does_not_match_layers_is_refused(history, layers, reason):
    config = json.dumps({"history": history}).encode()
    with pytest.raises(CannotConvertError, match=reason):
        schema1.from_config(config, layers, name="", tag="", subject="image")


@given(st.dictionaries(st.sampled_from(["fsLayers", "history", "name"]), strategies.documents()))
def test_hostile_manifest_is_parsed_or_refused(members):
    with suppress(BundlerError):
        parse(changed(**members))
