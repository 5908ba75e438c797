"""Images in another form: what we make of one is what Skopeo makes of it, or can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import servers

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
    layers = [images.layer(one, compression=compression, types=types) for one in files]
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
def laid(tmp_path: Path, airbundle: servers.Client):
    """Each image of IMAGES in a directory; its name is what the function returns."""

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
        if (kind, form) != ("docker-list", "oci")  # of which skopeo 1.9.3 converts the list alone
    ],
)
def test_manifests_and_configs_become_what_skopeo_makes_of_them(
    kind, form, laid, airbundle, skopeo, tmp_path
) -> None:
    both(airbundle, skopeo, tmp_path, "--all", "--format", form, laid(kind))
    assert servers.tree(tmp_path / "ours") == servers.tree(tmp_path / "theirs")


@pytest.mark.parametrize("mode", ["system", "all", "index-only"])
@pytest.mark.parametrize("kind", ["oci-index", "docker-list", "oci"])
def test_a_choice_from_a_list_is_skopeos(kind, mode, laid, airbundle, skopeo, tmp_path) -> None:
    start = laid(kind)
    both(airbundle, skopeo, tmp_path, "--multi-arch", mode, start)
    assert servers.tree(tmp_path / "ours") == servers.tree(tmp_path / "theirs")


def test_layers_are_decompressed_as_skopeo_does(laid, airbundle, skopeo, tmp_path) -> None:
    both(airbundle, skopeo, tmp_path, "--dest-decompress", laid("oci"))
    assert servers.tree(tmp_path / "ours") == servers.tree(tmp_path / "theirs")


def test_schema_1_is_skopeos_but_for_the_signature(laid, airbundle, skopeo, tmp_path) -> None:
    both(airbundle, skopeo, tmp_path, "--format", "v2s1", laid("docker"))
    ours, theirs = servers.tree(tmp_path / "ours"), servers.tree(tmp_path / "theirs")
    documents = [json.loads(tree.pop("manifest.json")) for tree in (ours, theirs)]
    assert all(document.pop("signatures") for document in documents)
    assert documents[0] == documents[1]
    assert ours == theirs


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_schema_1_becomes_what_skopeo_makes_of_it(form, laid, airbundle, skopeo, tmp_path) -> None:
    skopeo.ok("copy", "--format", "v2s1", laid("docker"), f"dir:{tmp_path}/old")
    both(airbundle, skopeo, tmp_path, "--format", form, f"dir:{tmp_path}/old")
    theirs = servers.tree(tmp_path / "theirs")
    theirs.pop(EMPTY_LAYER)  # skopeo copies it, though nothing needs it any more
    assert servers.tree(tmp_path / "ours") == theirs


@pytest.mark.parametrize("algorithm", ["gzip", "zstd", "zstd:chunked"])
@pytest.mark.parametrize("kind", ["oci", "plain"])
def test_skopeo_finds_in_our_layers_what_was_in_them(
    kind, algorithm, laid, airbundle, skopeo, tmp_path
) -> None:
    start = laid(kind)
    airbundle.ok("copy", "--dest-compress-format", algorithm, start, f"dir:{tmp_path}/made")
    skopeo.ok("copy", "--dest-decompress", f"dir:{tmp_path}/made", f"dir:{tmp_path}/back")
    skopeo.ok("copy", "--dest-decompress", start, f"dir:{tmp_path}/bare")
    back, plain = (servers.tree(tmp_path / name) for name in ("back", "bare"))
    assert back.keys() - plain.keys() == set()
    made = json.loads((tmp_path / "made/manifest.json").read_text())
    suffix = f"+{algorithm.partition(':')[0]}"
    assert all(layer["mediaType"].endswith(suffix) for layer in made["layers"])


@pytest.mark.parametrize("ours_first", [True, False])
def test_layers_that_one_encrypts_the_other_decrypts(
    ours_first, laid, airbundle, skopeo, tmp_path
) -> None:
    private, public = servers.rsa_pair(tmp_path)
    start = laid("oci")
    seal, open_ = (airbundle, skopeo) if ours_first else (skopeo, airbundle)
    seal.ok("copy", "--encryption-key", f"jwe:{public}", start, f"oci:{tmp_path}/sealed:app")
    opened = f"oci:{tmp_path}/opened:app"
    open_.ok("copy", "--decryption-key", private, f"oci:{tmp_path}/sealed:app", opened)
    assert skopeo.ok("inspect", "--raw", opened) == skopeo.ok("inspect", "--raw", start)
    sealed = json.loads(skopeo.ok("inspect", "--raw", f"oci:{tmp_path}/sealed:app"))
    assert all(layer["mediaType"].endswith("+encrypted") for layer in sealed["layers"])


def test_another_key_opens_nothing(laid, airbundle, tmp_path) -> None:
    _, public = servers.rsa_pair(tmp_path)
    other, _ = servers.rsa_pair(tmp_path, "other")
    sealed = f"oci:{tmp_path}/sealed:app"
    airbundle.ok("copy", "--encryption-key", f"jwe:{public}", laid("oci"), sealed)
    ran = airbundle("copy", "--decryption-key", other, sealed, f"oci:{tmp_path}/opened:app")
    assert ran.returncode not in (0, 1), ran.stderr
    assert not (tmp_path / "opened" / "index.json").exists()


def both(airbundle, skopeo, tmp_path: Path, *arguments: str) -> None:
    airbundle.ok("copy", *arguments, f"dir:{tmp_path}/ours")
    skopeo.ok("copy", *arguments, f"dir:{tmp_path}/theirs")
