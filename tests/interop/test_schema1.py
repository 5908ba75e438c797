"""Images of Docker's schema 1 are converted as Skopeo converts them, and copied unchanged."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from bundler.oci import conversion, manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest, Schema1
from bundler.oci.schema1 import manifest as schema1
from bundler.oci.schema1.signature import sign
from tests.fakes import images
from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

HISTORY = [
    {"created": "2020-01-01T00:00:00+00:00", "created_by": "#(nop) <>", "comment": "c & d"},
    {"created": "2020-01-02T00:00:00.10Z", "empty_layer": True, "created_by": "ENV a=b"},
    {"created": "0001-01-01T00:00:00Z", "author": "a é"},
]
CONFIGS: Mapping[str, dict[str, object]] = {
    "plain": {"history": HISTORY},
    "bare-history": {"history": [{}, {}]},
    "very-old": {
        "history": HISTORY,
        "docker_version": "1.7.0",
        "created": "2015-01-01T00:00:00.5Z",
        "container": "abc",
        "config": {
            "Env": ["A=<b>"],
            "Cmd": "one",
            "ExposedPorts": {"80/tcp": {}},
            "Volumes": {"/b": {}, "/a": {}},
            "Healthcheck": {"Test": ["NONE"], "Interval": 5},
            "Unknown": 1,
        },
        "Size": 10,
        "unknown": 1,
    },
    "empty-on-top": {"history": [*HISTORY, {"empty_layer": True}], "docker_version": "20.10.1"},
    "rich": {
        "history": HISTORY,
        "created": "2020-01-02T03:04:05.120000000+02:00",
        "config": {"Labels": {"b": "<1>", "a": "\u2028"}, "Env": ["A=\\u00e9"], "Cmd": None},
        "Size": 5,
        "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) <x>"]},
        "zebra": {"number": 1.50, "list": [1, {"deep": [True, None]}]},
    },
}
FILES = {"a": b"1"}, {"b": b"2"}


def docker_image(config: dict[str, object]) -> images.Image:
    layers = [images.layer(files, types=images.DOCKER) for files in FILES]
    return images.image(*layers, types=images.DOCKER, config=config)


def write_directory(directory: Path, image: images.Image) -> None:
    directory.mkdir()
    (directory / "version").write_bytes(b"Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_bytes(image.root.data)
    for blob in image.all_blobs():
        (directory / blob.digest.removeprefix("sha256:")).write_bytes(blob.data)


def skopeo(*arguments: object) -> str:
    command = ["skopeo", "--insecure-policy", *map(str, arguments)]
    return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout


@pytest.fixture
def write_schema1(tmp_path: Path) -> Callable[[images.Image], Path]:
    """Write an image of schema 1 into a directory with Skopeo."""

    def run(image: images.Image) -> Path:
        source, target = tmp_path / "source", tmp_path / "old"
        write_directory(source, image)
        skopeo("copy", "-q", "--format", "v2s1", f"dir:{source}", f"dir:{target}")
        return target

    return run


@pytest.mark.parametrize("name", CONFIGS)
def test_conversion_to_schema_1_matches_skopeo(
    write_schema1: Callable[[images.Image], Path], name: str
) -> None:
    image = docker_image(CONFIGS[name])
    config, *layers = image.blobs
    payload = schema1.from_config(
        config.data, [Digest(layer.digest) for layer in layers], name="", tag="", subject="image"
    )
    theirs = parse_manifest((write_schema1(image) / "manifest.json").read_bytes())
    assert payload.decode() == read_signed_part(theirs)
    assert theirs.digest == Digest.of(payload) == parse_manifest(sign(payload)).digest


@pytest.mark.parametrize("form", ["v2s2", "oci"])
@pytest.mark.parametrize("name", CONFIGS)
def test_conversion_from_schema_1_matches_skopeo(
    write_schema1: Callable[[images.Image], Path], tmp_path: Path, name: str, form: str
) -> None:
    image = docker_image(CONFIGS[name])
    destination = write_schema1(image)
    was = parse_manifest((destination / "manifest.json").read_bytes())
    diff_ids = [Digest(images.layer(files).diff_id) for files in FILES]
    skopeo("copy", "-q", "--format", form, f"dir:{destination}", f"dir:{tmp_path / 'new'}")
    raw = (tmp_path / "new" / "manifest.json").read_bytes()
    theirs = manifest.parse(raw, None)
    assert isinstance(theirs, ImageManifest)
    config_raw = schema1.to_config(was, diff_ids, subject="image")
    media_type = media_types.DOCKER_CONFIG
    if form == "oci":
        config_raw, media_type = (
            conversion.to_oci_config(config_raw, subject="config"),
            media_types.OCI_CONFIG,
        )
    assert (
        config_raw.decode() == (tmp_path / "new" / theirs.config.digest.hex).read_bytes().decode()
    )
    config = Descriptor(media_type, Digest.of(config_raw), len(config_raw))
    write = conversion.to_oci_manifest if form == "oci" else conversion.to_docker_manifest
    assert write(was, config, theirs.layers) == raw


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("registry")
    with servers.registry(directory, compatibility={"schema1": {"enabled": True}}) as running:
        yield running.host


def test_schema_1_image_is_exported_imported_and_tagged(
    write_schema1: Callable[[images.Image], Path],
    tmp_path: Path,
    registry: str,
    airbundle: servers.Client,
) -> None:
    directory = write_schema1(docker_image(CONFIGS["plain"]))
    first, second = f"docker://{registry}/team/old:1", f"docker://{registry}/other:2"
    skopeo("copy", "-q", "--dest-tls-verify=false", f"dir:{directory}", first)
    airbundle.ok("copy", "--src-tls-verify=false", first, f"dir:{tmp_path / 'exported'}")
    airbundle.ok("copy", "--dest-tls-verify=false", f"dir:{tmp_path / 'exported'}", second)
    exported = parse_manifest((tmp_path / "exported" / "manifest.json").read_bytes())
    # The registry signs again for each request; a copy gets the name of its destination.
    for destination, name, tag in (first, "team/old", "1"), (second, "other", "2"):
        there = parse_manifest(
            skopeo("inspect", "--raw", "--tls-verify=false", destination).encode()
        )
        expected = schema1.rename(exported, name=name, tag=tag)
        assert read_signed_part(there) == expected.decode()
        assert there.digest == Digest.of(expected)
    theirs = json.loads(skopeo("inspect", "--tls-verify=false", first))
    ours = json.loads(airbundle.ok("inspect", "--tls-verify=false", first))
    assert theirs["Digest"] == exported.digest.text
    assert {key: ours[key] for key in theirs} == theirs


@pytest.mark.parametrize("form", ["v2s2", "oci"])
def test_copy_from_schema_1_in_other_format_matches_skopeo(
    write_schema1: Callable[[images.Image], Path],
    tmp_path: Path,
    airbundle: servers.Client,
    form: str,
) -> None:
    directory = write_schema1(docker_image(CONFIGS["rich"]))
    airbundle.ok("copy", "--format", form, f"dir:{directory}", f"dir:{tmp_path / 'ours'}")
    skopeo("copy", "-q", "--format", form, f"dir:{directory}", f"dir:{tmp_path / 'theirs'}")
    ours, theirs = (
        {path.name: path.read_bytes() for path in (tmp_path / side).iterdir()}
        for side in ("ours", "theirs")
    )
    del theirs[schema1.EMPTY_LAYER_DIGEST.hex]  # not needed by any manifest there
    assert ours == theirs


def parse_manifest(raw: bytes) -> Schema1:
    found = manifest.parse(raw, None)
    assert isinstance(found, Schema1)
    return found


def read_signed_part(found: Schema1) -> str:
    """Return the part of a manifest that Skopeo signed, as it was written."""
    text = found.raw.decode()
    return text[: text.index(',"signatures":')] + "}"
