r"""Conversions produce the bytes that Skopeo produces.

Known differences of Skopeo 1.9, against which the tests run; later versions do as airbundle does:

- an OCI config has its variant before the operating system, not last of the platform;
- an empty ``config`` of an OCI config is written, not omitted;
- the control characters \\b and \\f are written as numbers;
- an OCI index loses its artifact type and its subject.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from bundler.oci import conversion, manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest, Index
from tests.fakes import images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RICH = {
    "created": "2020-01-02T03:04:05.120000000+02:00",
    "author": "A <a@b> & c\u2028 é \x7f\t",
    "os": "windows",
    "os.version": "10.0.1",
    "os.features": ["win32k"],
    "docker_version": "20.10",
    "container": "abc",
    "container_config": {"Hostname": "h"},
    "config": {
        "Hostname": "h",
        "User": "u",
        "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
        "Env": ["PATH=/bin", 'A="<q>"'],
        "Entrypoint": None,
        "Cmd": ["/c", "&"],
        "Volumes": {},
        "WorkingDir": "/w",
        "Labels": {"b": "<1>", "a": "ü"},
        "StopSignal": "9",
        "ArgsEscaped": True,
        "Healthcheck": {"Test": ["NONE"], "Interval": 5},
        "OnBuild": [],
        "Shell": ["x"],
    },
    "history": [
        {"created": "2020-01-01T00:00:00+00:00", "created_by": "#(nop) <>", "comment": "c"},
        {"created": "0001-01-01T00:00:00.000000001Z", "empty_layer": True},
        {"author": "a", "unknown": 1},
    ],
    "unknown": {"x": [1.0]},
}
FILES = {"a": b"1"}, {"b": b"2"}


def docker_image(**config: object) -> images.Image:
    layers = [images.layer(files, types=images.DOCKER) for files in FILES]
    return images.image(*layers, types=images.DOCKER, config=config)


def oci_image(**members: object) -> images.Image:
    return images.image(*(images.layer(files) for files in FILES), **members)


def create_foreign_layer_image(types: dict[str, str], media_type: str) -> images.Image:
    """Create an image with a foreign layer."""
    original = images.layer({"a": b"1"}, types=types)
    layer = images.Layer(images.Blob(media_type, original.blob.data), original.diff_id)
    entry = layer.blob.descriptor(urls=["https://example.com/<layer>"])
    return images.image(layer, types=types, layers=[entry])


DOCKER = {
    "plain": docker_image(),
    "rich": docker_image(**RICH),
    "empty-members": docker_image(config={"Labels": {}, "Env": [], "Cmd": []}, history=[]),
    "null-members": docker_image(author=None, history=None, config={"Cmd": None, "Labels": {}}),
    "zero-offset": docker_image(created="2020-01-02T03:04:05.5-00:00"),
    "no-layers": images.image(
        images.layer({}, types=images.DOCKER), types=images.DOCKER, config={"os.features": []}
    ),
    "uncompressed": images.image(
        images.layer({"a": b"1"}, compression="tar", types=images.DOCKER), types=images.DOCKER
    ),
    "unknown-members": images.image(
        images.layer({"a": b"1"}, types=images.DOCKER),
        types=images.DOCKER,
        annotations={"k": "<v>"},
        unknown=1,
    ),
    "foreign": create_foreign_layer_image(images.DOCKER, media_types.DOCKER_FOREIGN_LAYER_GZIP),
    "foreign-tar": create_foreign_layer_image(images.DOCKER, media_types.DOCKER_FOREIGN_LAYER),
}
OCI = {
    "plain": oci_image(),
    "rich": oci_image(config=RICH),
    "variant": oci_image(platform="linux/arm/v7"),
    "annotations": oci_image(annotations={"b": "<&>", "a": "1"}, unknown=[]),
    "uncompressed": images.image(images.layer({"a": b"1"}, compression="tar")),
    "foreign": create_foreign_layer_image(images.OCI, media_types.OCI_FOREIGN_LAYER_GZIP),
}
INDEXES = {
    "docker": images.multi_platform("d", "linux/arm64", "linux/amd64", types=images.DOCKER),
    "oci": images.multi_platform("o", "linux/arm64/v8", "linux/amd64", "linux/arm/v7"),
    "annotated": images.index(oci_image(), annotations={"k": "<v>"}, unknown=1),
}


@pytest.fixture
def convert(tmp_path: Path) -> Callable[[images.Image, str], Path]:
    """Convert an image from one directory into another with Skopeo."""

    def run(image: images.Image, form: str) -> Path:
        source, target = tmp_path / "source", tmp_path / "target"
        write_directory(source, image)
        command = ["skopeo", "--insecure-policy", "copy", "-q", "--all", "--format", form]
        subprocess.run([*command, f"dir:{source}", f"dir:{target}"], check=True, timeout=60)
        return target

    return run


@pytest.mark.parametrize("name", DOCKER)
def test_docker_image_is_converted_to_oci(
    convert: Callable[[images.Image, str], Path], name: str
) -> None:
    image = DOCKER[name]
    config, raw = to_oci(image)
    theirs = convert(image, "oci")
    assert config.decode() == read_config(theirs).decode()
    assert raw.decode() == (theirs / "manifest.json").read_bytes().decode()


@pytest.mark.parametrize("name", OCI)
def test_oci_image_is_converted_to_docker(
    convert: Callable[[images.Image, str], Path], name: str
) -> None:
    image = OCI[name]
    parsed = parse(image)
    raw = to_docker(parsed, parsed.config)
    theirs = convert(image, "v2s2")
    assert raw.decode() == (theirs / "manifest.json").read_bytes().decode()
    config = conversion.to_docker_config(image.blobs[0].data, subject="config")
    assert config == read_config(theirs)


@pytest.mark.parametrize("name", INDEXES)
def test_converted_index_keeps_order_and_platforms(
    convert: Callable[[images.Image, str], Path], name: str
) -> None:
    image = INDEXES[name]
    index = manifest.parse(image.root.data, image.root.media_type)
    assert isinstance(index, Index)
    to_list = index.media_type == media_types.OCI_INDEX
    converted = [new_child(child, to_list=to_list) for child in image.children]
    children = [
        Descriptor(new.media_type, new.digest, new.size, platform=was.platform)
        for was, new in zip(index.manifests, converted, strict=True)
    ]
    if to_list:
        raw = conversion.to_docker_list(index, children)
    else:
        raw = conversion.to_oci_index(index, children)
    theirs = convert(image, "v2s2" if to_list else "oci")
    assert raw.decode() == (theirs / "manifest.json").read_bytes().decode()


def read_config(directory: Path) -> bytes:
    """Return the config of the image in a directory."""
    digest = json.loads((directory / "manifest.json").read_bytes())["config"]["digest"]
    return (directory / digest.removeprefix("sha256:")).read_bytes()


def parse(image: images.Image) -> ImageManifest:
    parsed = manifest.parse(image.root.data, image.root.media_type)
    assert isinstance(parsed, ImageManifest)
    return parsed


def to_oci(image: images.Image) -> tuple[bytes, bytes]:
    parsed = parse(image)
    config = conversion.to_oci_config(image.blobs[0].data, subject="config")
    new = Descriptor(media_types.OCI_CONFIG, Digest.of(config), len(config))
    layers = change_layer_types(parsed, media_types.OCI_MANIFEST)
    return config, conversion.to_oci_manifest(parsed, new, layers)


def to_docker(parsed: ImageManifest, config: Descriptor) -> bytes:
    new = Descriptor(media_types.DOCKER_CONFIG, config.digest, config.size)
    layers = change_layer_types(parsed, media_types.DOCKER_MANIFEST)
    return conversion.to_docker_manifest(parsed, new, layers)


def new_child(child: images.Image, *, to_list: bool) -> Descriptor:
    if to_list:
        raw, media_type = to_docker(parse(child), parse(child).config), media_types.DOCKER_MANIFEST
    else:
        raw, media_type = to_oci(child)[1], media_types.OCI_MANIFEST
    return Descriptor(media_type, Digest.of(raw), len(raw))


def change_layer_types(parsed: ImageManifest, manifest_type: str) -> list[Descriptor]:
    """Return the layers of an image with the types of another manifest format."""
    return [
        Descriptor(
            media_types.convert_layer_type(
                layer.media_type,
                manifest_type,
                "gzip" if layer.media_type.endswith("gzip") else None,
            ),
            layer.digest,
            layer.size,
            layer.urls,
            layer.annotations,
        )
        for layer in parsed.layers
    ]


def write_directory(directory: Path, image: images.Image) -> None:
    directory.mkdir()
    (directory / "version").write_bytes(b"Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_bytes(image.root.data)
    for blob in image.all_blobs():
        (directory / blob.digest.removeprefix("sha256:")).write_bytes(blob.data)
    for blob in image.manifests():
        hexadecimal = hashlib.sha256(blob.data).hexdigest()
        (directory / f"{hexadecimal}.manifest.json").write_bytes(blob.data)
