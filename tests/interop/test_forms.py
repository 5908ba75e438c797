"""Conversions of images are identical to those of Skopeo, or can be read by it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import servers
from tests.interop.written_files import read_files

if TYPE_CHECKING:
    from pathlib import Path

PLATFORMS = ("linux/amd64", "linux/arm64/v8", "linux/arm/v7")
HISTORY = [
    {"created": "2020-01-02T03:04:05Z", "created_by": "COPY a", "comment": "<&>"},
    {"created": "2020-01-02T03:04:06Z", "created_by": "ENV x", "empty_layer": True},
    {"created": "2020-01-02T03:04:07Z", "created_by": "COPY b"},
    {"created": "2020-01-02T03:04:08Z", "created_by": "CMD", "empty_layer": True},
]
CONFIG = {"docker_version": "26.1", "created": "2020-01-02T03:04:05.12Z", "history": HISTORY}


def two_layers(types: dict[str, str], compression: str = "gzip") -> images.Image:
    files: tuple[dict[str, bytes], ...] = ({"a": b"1" * 5000}, {"b": bytes(range(256)) * 9})
    layers = [
        images.layer(layer_files, compression=compression, types=types) for layer_files in files
    ]
    return images.image(*layers, types=types, config=CONFIG)


IMAGES = {
    "oci": two_layers(images.OCI),
    "docker": two_layers(images.DOCKER),
    "plain": two_layers(images.OCI, "tar"),
    "oci-index": images.multi_platform("app", *PLATFORMS),
    "docker-list": images.multi_platform("app", *PLATFORMS, types=images.DOCKER),
}
EMPTY_LAYER = "a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"


@pytest.fixture
def write_directory(tmp_path: Path, airbundle: servers.Client):
    """Write an image of IMAGES into a directory; return its reference."""

    def name(kind: str) -> str:
        layout = images.write_layout(tmp_path / f"layout-{kind}", {"app": IMAGES[kind]})
        airbundle.ok("copy", f"oci:{layout}:app", f"dir:{tmp_path}/{kind}")
        return f"dir:{tmp_path}/{kind}"

    return name


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (kind, form)
        for kind in IMAGES
        for form in ("oci", "v2s2")
        if (kind, form) != ("docker-list", "oci")  # skopeo 1.9.3 converts only the list
    ],
)
def test_converted_manifests_and_configs_match_skopeo(
    kind, form, write_directory, airbundle, skopeo, tmp_path
) -> None:
    copy_with_both(airbundle, skopeo, tmp_path, "--all", "--format", form, write_directory(kind))
    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")


@pytest.mark.parametrize("mode", ["system", "all", "index-only"])
@pytest.mark.parametrize("kind", ["oci-index", "docker-list", "oci"])
def test_multi_arch_selection_matches_skopeo(
    kind, mode, write_directory, airbundle, skopeo, tmp_path
) -> None:
    start = write_directory(kind)
    copy_with_both(airbundle, skopeo, tmp_path, "--multi-arch", mode, start)
    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")


def test_decompressed_layers_match_skopeo(write_directory, airbundle, skopeo, tmp_path) -> None:
    copy_with_both(airbundle, skopeo, tmp_path, "--dest-decompress", write_directory("oci"))
    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")


def test_conversion_to_schema_1_differs_from_skopeo_only_in_signature(
    write_directory, airbundle, skopeo, tmp_path
) -> None:
    copy_with_both(airbundle, skopeo, tmp_path, "--format", "v2s1", write_directory("docker"))
    ours, theirs = read_files(tmp_path / "ours"), read_files(tmp_path / "theirs")
    documents = [json.loads(tree.pop("manifest.json")) for tree in (ours, theirs)]
    assert all(document.pop("signatures") for document in documents)
    assert documents[0] == documents[1]
    assert ours == theirs


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_conversion_from_schema_1_matches_skopeo(
    form, write_directory, airbundle, skopeo, tmp_path
) -> None:
    skopeo.ok("copy", "--format", "v2s1", write_directory("docker"), f"dir:{tmp_path}/old")
    copy_with_both(airbundle, skopeo, tmp_path, "--format", form, f"dir:{tmp_path}/old")
    theirs = read_files(tmp_path / "theirs")
    theirs.pop(EMPTY_LAYER)  # skopeo copies this blob although it is no longer needed
    assert read_files(tmp_path / "ours") == theirs


@pytest.mark.parametrize("algorithm", ["gzip", "zstd", "zstd:chunked"])
@pytest.mark.parametrize("kind", ["oci", "plain"])
def test_skopeo_decompresses_layers_to_original_content(
    kind, algorithm, write_directory, airbundle, skopeo, tmp_path
) -> None:
    start = write_directory(kind)
    airbundle.ok("copy", "--dest-compress-format", algorithm, start, f"dir:{tmp_path}/compressed")
    skopeo.ok("copy", "--dest-decompress", f"dir:{tmp_path}/compressed", f"dir:{tmp_path}/back")
    skopeo.ok("copy", "--dest-decompress", start, f"dir:{tmp_path}/bare")
    back, plain = (read_files(tmp_path / name) for name in ("back", "bare"))
    assert back.keys() - plain.keys() == set()
    manifest = json.loads((tmp_path / "compressed/manifest.json").read_text())
    suffix = f"+{algorithm.partition(':')[0]}"
    assert all(layer["mediaType"].endswith(suffix) for layer in manifest["layers"])


@pytest.mark.parametrize("ours_first", [True, False])
def test_layers_encrypted_by_one_program_are_decrypted_by_other(
    ours_first, write_directory, airbundle, skopeo, tmp_path
) -> None:
    private, public = servers.write_rsa_pair(tmp_path)
    start = write_directory("oci")
    encrypting, decrypting = (airbundle, skopeo) if ours_first else (skopeo, airbundle)
    encrypting.ok("copy", "--encryption-key", f"jwe:{public}", start, f"oci:{tmp_path}/sealed:app")
    decrypted = f"oci:{tmp_path}/opened:app"
    decrypting.ok("copy", "--decryption-key", private, f"oci:{tmp_path}/sealed:app", decrypted)
    assert skopeo.ok("inspect", "--raw", decrypted) == skopeo.ok("inspect", "--raw", start)
    encrypted = json.loads(skopeo.ok("inspect", "--raw", f"oci:{tmp_path}/sealed:app"))
    assert all(layer["mediaType"].endswith("+encrypted") for layer in encrypted["layers"])


def test_decryption_with_other_key_fails(write_directory, airbundle, tmp_path) -> None:
    _, public = servers.write_rsa_pair(tmp_path)
    other, _ = servers.write_rsa_pair(tmp_path, "other")
    encrypted = f"oci:{tmp_path}/sealed:app"
    airbundle.ok("copy", "--encryption-key", f"jwe:{public}", write_directory("oci"), encrypted)
    result = airbundle("copy", "--decryption-key", other, encrypted, f"oci:{tmp_path}/opened:app")
    assert result.returncode not in (0, 1), result.stderr
    assert not (tmp_path / "opened" / "index.json").exists()


def copy_with_both(airbundle, skopeo, tmp_path: Path, *arguments: str) -> None:
    airbundle.ok("copy", *arguments, f"dir:{tmp_path}/ours")
    skopeo.ok("copy", *arguments, f"dir:{tmp_path}/theirs")
